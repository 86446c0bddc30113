"""One example tried on a target: its answers judged like those of a case, then by a law."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from conformance.casefiles.case import Question
from conformance.judge.verdict import Judgement
from conformance.results.records import FAILING
from conformance.search.equation import DoesNotApply, Measured
from conformance.search.laws import LAWS
from conformance.search.session import Session, settled_reference
from conformance.search.settled import flushed


@dataclass
class Tally:
    """What a search has done: examples drawn, answers judged, laws tried, and failures that were known, by place."""

    examples: int = 0
    judged: int = 0
    laws: int = 0
    recognised: Counter[str] = field(default_factory=Counter)


@dataclass
class Probe:
    """Tries examples on a target, by their laws alone if `laws_only`, and counts what it has done."""

    session: Session
    laws_only: bool = False
    tally: Tally = field(default_factory=Tally)

    def failures(self, question: Question, law: str) -> list[tuple[Question, Judgement, str]]:
        """How the target fails on a question, and on what a law asks beside it; with the law that told."""
        if not self.laws_only:
            judgement = self.session.judge(question)
            self.tally.judged += judgement is not None
            if judgement is not None and judgement.verdict in FAILING:
                return [(question, judgement, "")]
        return self._broken(question, law) if law else []

    def _broken(self, question: Question, law: str) -> list[tuple[Question, Judgement, str]]:
        """What is behind a law that does not hold: one of its answers is outside its own bound.

        Were all of them within their bounds, law and reference would contradict each other; that is a finding too.
        """
        asked: list[Question] = []

        def measured(part: Question) -> Measured:
            asked.append(part)
            return _measured(self.session, part)

        try:
            equation = LAWS[law](measured, question)
        except DoesNotApply:
            return []
        self.tally.laws += 1
        if equation.holds(question.dtype):
            return []
        for part in asked:
            judgement = self.session.judge(part)
            if judgement is not None and judgement.verdict in FAILING:
                return [(part, judgement, law)]
        return [(question, Judgement("mismatch", f"{law} does not hold, though every answer is within its bound"), law)]


def _measured(session: Session, question: Question) -> Measured:
    """A target's answer with its bound. Raises `DoesNotApply` where there is no one right answer, or none came."""
    expected = settled_reference(question)
    if expected is None or flushed(question) is not None:
        raise DoesNotApply
    answer = session.ask(question)
    if answer.array is None or answer.array.shape != expected.value.shape:
        raise DoesNotApply
    return Measured(answer.array.astype(np.longdouble), expected.bound)
