"""From an answer to a verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance.casefiles.case import Question, half_last_digit
from conformance.casefiles.convention import Convention
from conformance.judge.compare import Comparison, compare, compare_all
from conformance.judge.declared import Declaration
from conformance.judge.deviations import Entry
from conformance.judge.observe import NEW, observe, shown
from conformance.judge.reference import Reference
from conformance.losses import FORMATS, Array
from conformance.targets.answer import Answer

_FRAME = re.compile(r'^ *File "(.+)", line (\d+), in (.+)$', re.MULTILINE)


@dataclass
class Judgement:
    """The verdict on a trial, why, and the comparison behind it where there was a result to compare.

    `outcome` names the side of a convention that was taken, `declared` the documented one; `printed` says whether the
    published digits came out.
    """

    verdict: str
    message: str = ""
    comparison: Comparison | None = None
    outcome: str = ""
    printed: bool | None = None
    entry: Entry | None = None
    declared: Declaration | None = None


def judge(
    question: Question,
    answer: Answer,
    reference: Reference | None,
    entry: Entry | None,
    declared: Declaration | None = None,
    *,
    device: str = "",
    comparison: Comparison | None = None,
) -> Judgement:
    """The verdict on an answer. `reference` is None where no value is expected: an error case or a convention.

    `entry` is the known deviation that applies, `declared` what the framework's documentation says of a convention.
    A result that was computed elsewhere than on `device` is an error, if both are known. `comparison` is that of the
    answer with the reference, where it has been made already.
    """
    if device and answer.device and answer.device.partition(":")[0] != device:
        return _excuse(Judgement("error", f"asked for {device}, but computed on {answer.device}"), entry)
    judgement = _judge(question, answer, reference, declared, comparison)
    if answer.array is not None and answer.again is not None:
        judgement = _judge_both(judgement, question, answer, reference, declared)
    return _excuse(judgement, entry)


def comparisons(asked: Sequence[tuple[Question, Answer, Reference | None]]) -> list[Comparison | None]:
    """The comparisons that the verdicts on these answers need, made together."""
    needed = {
        i: (answer.array, reference, question.dtype)
        for i, (question, answer, reference) in enumerate(asked)
        if reference is not None and answer.array is not None
    }
    found = dict(zip(needed, compare_all(list(needed.values())), strict=True))
    return [found.get(i) for i in range(len(asked))]


def _judge_both(
    judgement: Judgement,
    question: Question,
    answer: Answer,
    reference: Reference | None,
    declared: Declaration | None,
) -> Judgement:
    """The verdict on both results of a question that was put twice: each must be right, and they may differ."""
    assert answer.array is not None
    second = _judge(question, replace(answer, array=answer.again), reference, declared)
    worse = second if judgement.verdict == "pass" else judgement
    note = f"not the same twice: {answer.differing} of {answer.array.size} elements differ in their bits"
    return replace(worse, message=f"{worse.message}; {note}".removeprefix("; "))


def _judge(
    question: Question,
    answer: Answer,
    reference: Reference | None,
    declared: Declaration | None,
    comparison: Comparison | None = None,
) -> Judgement:
    case = question.case
    if answer.status in ("unsupported", "crash", "timeout", "not run"):
        return Judgement(answer.status, "\n".join(filter(None, [answer.message, answer.detail])))
    if case.convention:
        return _keeps(case.convention, question.dtype, answer, declared)
    if answer.changed:
        return Judgement("error", f"changed its inputs: {', '.join(answer.changed)}")
    if case.raises:
        return _refusal(answer)
    if answer.status == "error":
        return Judgement("error", "\n".join(filter(None, [answer.message, _raised_at(answer.detail)])))
    assert answer.array is not None
    assert reference is not None
    return _measure(question, answer.array, comparison or compare(answer.array, reference, question.dtype))


def _raised_at(traceback: str) -> str:
    """Where an error was raised, for the author of an adapter."""
    frames = _FRAME.findall(traceback)
    return "raised at {}:{} in {}".format(*frames[-1]) if frames else ""


def _refusal(answer: Answer) -> Judgement:
    if answer.status == "error":
        return Judgement("pass", f"refused, as expected: {answer.message}")
    return Judgement("mismatch", "an error was expected, and a result came back")


def _measure(question: Question, got: Array, comparison: Comparison) -> Judgement:
    printed = _prints(question, got) if comparison.ok else None
    if printed is False:
        message = f"does not round to the published {question.case.printed}"
        return Judgement("mismatch", message, comparison, printed=False)
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
    if entry.unwritten:
        note = f"listed at {entry.where}, where the reason is still to be written"
    elif judgement.verdict != entry.outcome:
        note = f"listed at {entry.where} as {entry.outcome}"
    elif entry.at_most is not None and ratio > entry.at_most:
        note = f"error over bound is {ratio:.3g}, above the {entry.at_most:g} listed at {entry.where}"
    else:
        return replace(judgement, verdict="known", entry=entry)
    return replace(judgement, message=f"{judgement.message} ({note})".strip(), entry=entry)


def with_unmet(judgement: Judgement, unmet: Entry) -> Judgement:
    """A failure with the note that it is listed under conditions that do not hold, such as another version."""
    conditions = " and ".join(f"{name} {value}" for name, value in unmet.when.items())
    return replace(judgement, message=f"{judgement.message} (listed at {unmet.where} for {conditions} only)".strip())


def _keeps(convention: Convention, dtype: str, answer: Answer, declared: Declaration | None) -> Judgement:
    """An observed convention passes unless no name fits what was seen, or the documentation says otherwise."""
    outcome = observe(convention, dtype, answer)
    if outcome == NEW:
        message = f"{shown(answer)} is none of the known outcomes ({', '.join(convention.outcomes)})"
    elif declared is not None and outcome != declared.outcome:
        message = f"{outcome}, where the documentation says {declared.outcome}: {declared.says} ({declared.link})"
    else:
        note = f" ({answer.message})" if answer.status == "error" else ""
        return Judgement("pass", f"{convention.name}: {outcome}{note}", outcome=outcome, declared=declared)
    return Judgement("mismatch", f"{convention.name}: {message}", outcome=outcome, declared=declared)


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
