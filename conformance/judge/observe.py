"""Which side of a convention an answer takes: the first of the named outcomes that it fits, or none of them."""

from __future__ import annotations

import numpy as np

from conformance.casefiles.convention import Convention, Outcome
from conformance.losses import FORMATS, Array
from conformance.targets.answer import Answer

NEW = "new"
"""The name of an outcome that no name fits, which is for a person to look at."""


def observe(convention: Convention, dtype: str, answer: Answer) -> str:
    """Name of the outcome of an answer to a question in `dtype`."""
    return next((name for name, outcome in convention.outcomes.items() if _fits(answer, outcome, dtype)), NEW)


def shown(answer: Answer) -> str:
    """What an answer holds, in a line or two."""
    if answer.array is None:
        return answer.message
    note = f"; changed its inputs: {', '.join(answer.changed)}" if answer.changed else ""
    array = answer.array.astype(np.float64)
    return f"{np.array2string(array, threshold=8)} ({answer.array.dtype.name}{list(array.shape) or ''}){note}"


def _fits(answer: Answer, outcome: Outcome, dtype: str) -> bool:
    if outcome.error is not None:
        return answer.status == "error" and (not outcome.error or answer.message.split(":")[0] == outcome.error)
    got = answer.array
    return (
        got is not None
        and answer.changed == outcome.changed
        and outcome.dtype in (None, got.dtype.name)
        and outcome.shape in (None, got.shape)
        and (outcome.value is None or is_value(got, outcome.value, dtype))
    )


def is_value(got: Array, expected: Array, dtype: str) -> bool:
    """Whether an array is the named one: outcomes lie far apart, so 32 ulp tell them from each other."""
    if got.shape != expected.shape:
        return False
    near = 32 * FORMATS[dtype].ulp(np.where(np.isfinite(expected), expected, 0.0))
    with np.errstate(invalid="ignore"):
        same = (got == expected) | (np.abs(got.astype(np.float64) - expected) <= near)
    negative_zero = (expected == 0) & np.signbit(expected)
    same &= ~negative_zero | ((got == 0) & np.signbit(got))
    return bool(np.all(same | (np.isnan(expected) & np.isnan(got))))
