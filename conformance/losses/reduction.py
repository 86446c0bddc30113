"""How losses per element or per sample become the value that is returned: none, sum, mean and batchmean."""

from __future__ import annotations

from typing import Literal

import numpy as np

from conformance.losses.arithmetic import Number, constant, either, quotient, roundings, shared, total

Reduction = Literal["none", "mean", "sum"]


def reduce(loss: Number, reduction: str, count: Number | None = None) -> Number:
    """`loss` reduced. `count` is what a mean divides by; by default the number of elements."""
    if reduction == "none":
        return loss
    if reduction == "sum":
        return total(loss)
    return quotient(loss, int(np.prod(np.shape(loss))) if count is None else count)


def upstream(cotangent: Number, loss_shape: tuple[int, ...], reduction: str, count: Number | None = None) -> Number:
    """The gradient that reaches each element of the unreduced loss, broadcastable to `loss_shape`.

    For a mean it is cotangent / count; the pass line grants a count stored in the dtype, and its reciprocal too, which
    may be subnormal there.
    """
    if reduction in ("none", "sum"):
        return cotangent
    divisor = int(np.prod(loss_shape)) if count is None else count
    reciprocal = shared(constant(np.ones(()), cotangent), divisor)
    return roundings(either(shared(cotangent, divisor), cotangent * reciprocal), 1)
