"""One target that is asked one question after another, whatever the framework does."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from conformance.casefiles.case import Case, Question
from conformance.judge.reference import Reference, reference
from conformance.judge.verdict import Judgement, judge
from conformance.losses import LOSSES
from conformance.search.settled import flushed, may_be_refused, open_point, overflows_on_the_way, settled_by
from conformance.targets.answer import Answer
from conformance.targets.conversation import Conversation
from conformance.targets.names import Target
from conformance.targets.process import Limits


def settled_reference(question: Question) -> Reference | None:
    """What must come out; nothing where there is no one right answer."""
    if open_point(question) or overflows_on_the_way(question):
        return None
    expected = reference(question)
    return expected if settled_by(question, expected) else None


def nearer(answer: Answer, expected: Reference, at_zero: Reference) -> Reference:
    """`expected`, but of each element that has the value for subnormal inputs taken as zero, that one: a processor may
    flush in its vector instructions and not in the others."""
    got = answer.array
    if got is None or got.shape != at_zero.value.shape:
        return expected
    with np.errstate(invalid="ignore"):
        flush = (got == at_zero.value) | (np.abs(got - at_zero.value) <= at_zero.bound)
        flush |= np.isnan(got) & np.isnan(at_zero.value)
    none = np.zeros(got.shape)
    both = ([none if x is None else x for x in astuple(one)] for one in (at_zero, expected))
    return Reference(*(np.where(flush, zero, exact) for zero, exact in zip(*both, strict=True)))


class Lost(Exception):  # noqa: N818 - the end of a search, not an error of the suite
    """The framework cannot be started, or has died too often."""


class Session:
    """Asks a target. `facts` is what the adapter said of its environment."""

    def __init__(self, target: Target, seconds: float) -> None:
        """Raises `Lost` when the framework does not start."""
        self.target = target
        self._conversation = Conversation(target, Limits(seconds))
        logits = {"logits": np.zeros(1)}
        self.ask(Question(Case("start", LOSSES["sigmoid"], logits, {}), "float32", "value"))

    @property
    def facts(self) -> dict[str, str]:
        return self.target.conditions(self._conversation.facts)

    def ask(self, question: Question) -> Answer:
        """The answer to a question. Raises `Lost` when there is nobody any more to answer it."""
        answer = self._conversation.ask(question)
        if answer.status == "not run":
            raise Lost(answer.message)
        return answer

    def judge(self, question: Question) -> Judgement | None:
        """The verdict on the target's answer; nothing where there is no one right answer."""
        expected = settled_reference(question)
        if expected is None:
            return None
        answer = self.ask(question)
        if answer.status == "error" and may_be_refused(question):
            return None
        judgement = judge(question, answer, expected, None)
        if judgement.verdict == "mismatch" and (zeroed := flushed(question)) is not None:
            at_zero = settled_reference(zeroed)
            if at_zero is None or judge(question, answer, nearer(answer, expected, at_zero), None).verdict == "pass":
                return None
        return judgement

    def close(self) -> None:
        """End the framework's process."""
        self._conversation.close()
