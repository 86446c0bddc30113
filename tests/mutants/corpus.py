"""The golden cases put to a mutant, in this process: which of them kill it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.casefiles.case import Case, Question, questions
from conformance.casefiles.load import builtin_files, load_cases
from conformance.judge.reference import Reference, reference
from conformance.judge.verdict import judge
from conformance.plan import SLOW
from conformance.results.records import FAILING
from conformance.targets import worker
from conformance.targets.answer import Answer, request
from conformance.targets.wire import unpack
from mutants.base import Defect


@dataclass(frozen=True)
class Trial:
    """A question as a worker is sent it, with what must come out; made once, put to every mutant."""

    question: Question
    request: dict[str, Any]
    reference: Reference | None

    @property
    def elements(self) -> int:
        return sum(x.size for x in self.question.inputs.values())


@dataclass(frozen=True)
class Kill:
    """A trial that noticed."""

    case: str
    dtype: str
    output: str
    elements: int
    verdict: str


def trials(cases: Iterable[Case] | None = None, dtypes: tuple[str, ...] | None = None) -> dict[str, list[Trial]]:
    """By loss, the trials of the cases, the small ones first; by default of those that are shipped and not slow."""
    found: dict[str, list[Trial]] = {}
    if cases is None:  # conventions are observed, never right or wrong
        cases = [case for case in load_cases(builtin_files()) if SLOW not in case.tags and not case.convention]
    for question in questions(list(cases), dtypes):
        case = question.case
        expected = None if case.raises or case.convention else reference(question)
        found.setdefault(case.loss.name, []).append(Trial(question, request(question), expected))
    for asked in found.values():
        asked.sort(key=lambda trial: trial.elements)
    return found


def kills(defect: Defect, loss: str, asked: list[Trial], enough: int | None = None) -> list[Kill]:
    """The trials of `loss` that the mutant fails, `enough` of them at most."""
    adapter = defect.adapter("cpu", "eager")
    found = []
    for trial in asked:
        question = trial.question
        if question.output not in defect.outputs:
            continue
        verdict = put(adapter, trial)
        if verdict in FAILING:
            found.append(Kill(question.case.id, question.dtype, question.output, trial.elements, verdict))
            if len(found) == enough:
                break
    return found


def put(adapter: Any, trial: Trial) -> str:
    """The verdict on one trial."""
    with np.errstate(all="ignore"):
        reply = worker.answer(adapter, trial.request)
    array = unpack(reply["array"]) if "array" in reply else None
    answer = Answer(reply["status"], array, message=reply.get("message", ""), changed=tuple(reply.get("changed", ())))
    return judge(trial.question, answer, trial.reference, None).verdict
