"""What laws are made of: measured answers, the equation between them, and questions made from another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance.casefiles.case import Case, Question
from conformance.losses import FORMATS, LOSSES, Array
from conformance.losses.target import class_axis


class DoesNotApply(Exception):  # noqa: N818 - an answer, not an error
    """A law says nothing of a question."""


@dataclass(frozen=True)
class Measured:
    """An answer, with the bound on its error; in extended precision, so that an equation's own sums round nothing."""

    value: Array
    bound: Array


@dataclass(frozen=True)
class Equation:
    """Two sides that may differ by `tolerance` per element."""

    left: Array
    right: Array
    tolerance: Array

    def holds(self, dtype: str) -> bool:
        """Whether the sides agree; where the tolerance reaches the overflow threshold, either may be infinite."""
        with np.errstate(invalid="ignore"):
            same = (self.left == self.right) | (np.isnan(self.left) & np.isnan(self.right))
            near = np.abs(self.left - self.right) <= self.tolerance
            smaller = np.fmin(np.abs(self.left), np.abs(self.right))
            overflows = ~np.isnan(self.left + self.right) & (smaller + self.tolerance >= FORMATS[dtype].overflow)
        return bool(np.all(same | near | overflows))


Ask = Callable[[Question], Measured]
Law = Callable[[Ask, Question], Equation]


def needs(question: Question, *losses: str) -> None:
    if question.case.loss.name not in losses:
        raise DoesNotApply


def finite_input(question: Question) -> Array:
    """The differentiated input, which must hold finite numbers only."""
    first = question.exact[0][question.case.loss.wrt]
    if first.size == 0 or not np.all(np.isfinite(first)):
        raise DoesNotApply
    return first


def has_probabilities(case: Case) -> bool:
    return "target" in case.inputs and case.inputs["target"].dtype.kind == "f"


def class_axis_of(question: Question) -> int:
    case, ndim = question.case, question.inputs[question.case.loss.wrt].ndim
    axis: int = case.options.get("axis", case.loss.options["axis"].default)
    return (class_axis(axis, ndim) if case.loss.name in ("cross_entropy", "nll_loss") else axis) % ndim


def upstream(question: Question) -> Array:
    cotangent = question.exact[2]
    assert cotangent is not None
    return cotangent


def shifted(question: Question, name: str, shift: float) -> Question:
    """The question with a number added to an input; it does not apply where the dtype cannot hold the sums exactly."""
    before = question.exact[0][name]
    x = before + shift
    added = x - before
    lost = (before - (x - added)) + (shift - added)  # what the sum in float64 itself has rounded away
    if np.any(lost) or np.any(FORMATS[question.dtype].round(x) != x):
        raise DoesNotApply
    case = question.case
    return like(question, {**case.inputs, name: x}, case.options, case.cotangent)


def like(question: Question, inputs: Any, options: Any, cotangent: Array | None) -> Question:
    case = replace(question.case, inputs=inputs, options=options, cotangent=cotangent)
    return Question(case, question.dtype, question.output)


def other(question: Question, loss: str, inputs: Any, options: Any) -> Question:
    """A question about another loss with these inputs."""
    wanted = LOSSES[loss].options
    kept = {name: x for name, x in options.items() if name in wanted}
    cotangent = question.case.cotangent if question.output == "gradient" else None
    case = replace(question.case, loss=LOSSES[loss], inputs=inputs, options=kept, cotangent=cotangent, layout={})
    return Question(case, question.dtype, question.output)
