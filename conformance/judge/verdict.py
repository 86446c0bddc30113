"""From an answer to a verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance.casefiles.case import Case, Question, half_last_digit
from conformance.judge.compare import Comparison, compare
from conformance.judge.deviations import Entry
from conformance.judge.reference import Reference
from conformance.losses import FORMATS, Array
from conformance.targets.answer import Answer

VERDICTS = ("pass", "mismatch", "known", "fixed", "unsupported", "error", "crash", "timeout", "not run")
FAILING = ("mismatch", "error", "crash", "timeout")
"""Verdicts that a known deviation may excuse."""


@dataclass(frozen=True)
class Judgement:
    """The verdict on a trial, why, and the comparison behind it where there was a result to compare.

    `outcome` names the side of a convention that was taken; `printed` says whether the published digits came out.
    """

    verdict: str
    message: str = ""
    comparison: Comparison | None = None
    outcome: str = ""
    printed: bool | None = None
    entry: Entry | None = None


def judge(
    question: Question, answer: Answer, reference: Reference | None, entry: Entry | None, device: str = ""
) -> Judgement:
    """The verdict on an answer. `reference` is None where no value is expected: an error case or a convention.

    A result that was computed elsewhere than on `device` is an error, if both are known.
    """
    if device and answer.device and answer.device.partition(":")[0] != device:
        return _excuse(Judgement("error", f"asked for {device}, but computed on {answer.device}"), entry)
    return _excuse(_judge_both(question, answer, reference), entry)


def _judge_both(question: Question, answer: Answer, reference: Reference | None) -> Judgement:
    """The verdict on both results of a question that was put twice: each must be right, and they may differ."""
    judgement = _judge(question, answer, reference)
    if answer.array is None or answer.again is None:
        return judgement
    second = _judge(question, replace(answer, array=answer.again), reference)
    worse = second if judgement.verdict == "pass" else judgement
    note = f"not the same twice: {answer.differing} of {answer.array.size} elements differ in their bits"
    return replace(worse, message=f"{worse.message}; {note}".removeprefix("; "))


def _judge(question: Question, answer: Answer, reference: Reference | None) -> Judgement:
    case = question.case
    if answer.status in ("unsupported", "crash", "timeout", "not run"):
        return Judgement(answer.status, "\n".join(filter(None, [answer.message, answer.detail])))
    if answer.changed:
        return Judgement("error", f"changed its inputs: {', '.join(answer.changed)}")
    if case.convention:
        return _observe(case, question.dtype, answer)
    if case.raises:
        return _refusal(answer)
    if answer.status == "error":
        return Judgement("error", answer.message)
    return _measure(question, answer, reference)


def _refusal(answer: Answer) -> Judgement:
    if answer.status == "error":
        return Judgement("pass", f"refused, as expected: {answer.message}")
    return Judgement("mismatch", "an error was expected, and a result came back")


def _measure(question: Question, answer: Answer, reference: Reference | None) -> Judgement:
    case = question.case
    assert answer.array is not None
    assert reference is not None
    comparison = compare(answer.array, reference, question.dtype)
    printed = _prints(question, answer.array) if comparison.ok else None
    if printed is False:
        return Judgement("mismatch", f"does not round to the published {case.printed}", comparison, printed=False)
    return Judgement("pass" if comparison.ok else "mismatch", comparison.message, comparison, printed=printed)


def _excuse(judgement: Judgement, entry: Entry | None) -> Judgement:
    """Apply a known deviation: `known` when it fails as listed, `fixed` when it no longer fails."""
    if entry is None or judgement.verdict in ("unsupported", "not run"):
        return judgement
    if judgement.verdict == "pass":
        if entry.passes == "sometimes":
            return judgement
        return replace(judgement, verdict="fixed", message=f"passes, but is listed at {entry.where}", entry=entry)
    comparison = judgement.comparison
    ratio = comparison.ratio if comparison and comparison.ratio is not None else float("inf")
    if judgement.verdict != entry.outcome:
        note = f"listed at {entry.where} as {entry.outcome}"
    elif entry.at_most is not None and ratio > entry.at_most:
        note = f"error over bound is {ratio:.3g}, above the {entry.at_most:g} listed at {entry.where}"
    else:
        return replace(judgement, verdict="known", entry=entry)
    return replace(judgement, message=f"{judgement.message} ({note})".strip(), entry=entry)


def _observe(case: Case, dtype: str, answer: Answer) -> Judgement:
    """Which side of a convention was taken. One that no name fits is shown as new, and is for a person to look at."""
    for name, expected in case.outcomes.items():
        if isinstance(expected, str):
            if answer.status == "error":
                return Judgement("pass", f"{case.convention}: {name} ({answer.message})", outcome=name)
        elif answer.array is not None and _is(answer.array, expected, dtype):
            return Judgement("pass", f"{case.convention}: {name}", outcome=name)
    got = answer.message if answer.array is None else np.array2string(answer.array.astype(np.float64), threshold=8)
    known = ", ".join(case.outcomes)
    return Judgement("mismatch", f"{case.convention}: {got} is none of the known outcomes ({known})", outcome="new")


def _is(got: Array, expected: Array, dtype: str) -> bool:
    """Whether an outcome is the named one: outcomes lie far apart, so 32 ulp tell them from each other."""
    if got.shape != expected.shape:
        return False
    near = 32 * FORMATS[dtype].ulp(np.where(np.isfinite(expected), expected, 0.0))
    with np.errstate(invalid="ignore"):
        same = (got == expected) | (np.abs(got.astype(np.float64) - expected) <= near)
    return bool(np.all(same | (np.isnan(expected) & np.isnan(got))))


def _prints(question: Question, got: Array) -> bool | None:
    """Whether the result rounds to the published digits, where the dtype can resolve them."""
    printed: Any = question.case.printed
    if printed is None or question.output != "value":
        return None
    published = np.vectorize(float, otypes=[float])(printed)
    half = np.vectorize(half_last_digit, otypes=[float])(printed)
    resolution = 4 * FORMATS[question.dtype].ulp(published)
    if np.any(resolution > half):
        return None
    return bool(np.all(np.abs(got.astype(np.float64) - published) <= half + resolution))
