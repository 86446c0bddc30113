"""What a question's answer must be, and how far a careful implementation may be from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conformance.casefiles.case import Question
from conformance.losses import Accuracy, Array, pass_line, sharp

_REFERENCE_SLACK = 1 + 2.0**-20
"""The float64 reference of a narrower dtype is itself in error by at most the same bound with 2**-53 for the dtype's
unit roundoff: at most 2**-29 of the bound times the ratio of the published constants (3/2). Balls need none of it."""


@dataclass
class Reference:
    """The exact value as `value + remainder`, and per element the pass line and the sharp grade. The remainder is None
    where it would be zero everywhere."""

    value: Array
    remainder: Array | None
    bound: Array
    sharp: Array


def reference(question: Question, accuracy: Accuracy = ()) -> Reference:
    """Reference and bounds at exactly the inputs that the framework sees; `accuracy` is what the framework declares of
    its exp, log and log1p."""
    value, remainder, bound = required(question)
    return Reference(value, remainder, bound, np.minimum(grade(question, accuracy), bound))


def required(question: Question) -> tuple[Array, Array | None, Array]:
    """Value, remainder and pass line; float64 by ball arithmetic."""
    inputs, options, cotangent = question.exact
    loss = question.case.loss
    value, bound = pass_line(loss, question.dtype, inputs, options, cotangent)
    remainder = None
    if question.dtype == "float64":
        from conformance.judge.exact import exact  # slow to import, and seldom needed with a cache

        certified, rest = exact(loss, inputs, options, cotangent)
        enclosed = np.isfinite(certified)
        value, rest = np.where(enclosed, certified, value), np.where(enclosed, rest, 0.0)
        remainder = rest if np.any(rest) else None
    return value, remainder, bound * _REFERENCE_SLACK


def grade(question: Question, accuracy: Accuracy) -> Array:
    """The sharp grade, before it is cut to the bound."""
    inputs, options, cotangent = question.exact
    return sharp(question.case.loss, question.dtype, inputs, options, cotangent, accuracy=accuracy) * _REFERENCE_SLACK
