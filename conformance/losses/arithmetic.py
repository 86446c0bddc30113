"""What the loss formulas need beyond numpy's operators, for each arithmetic a formula is evaluated in.

A loss is written once, with operators, `np.exp`, `np.log`, `np.log1p` and the functions below. It is evaluated with

* arrays of a dtype: an implementation of its own, which the `numpy` target runs (16-bit sums in float32);
* float64 arrays: the reference for the narrower dtypes;
* object arrays of balls (python-flint's `arb`): the certified reference for float64;
* `Rounded`: the error bound.

Selections (where, pick, move an axis) round nothing in any of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.losses.formats import Array
from conformance.losses.rounded import Rounded

Number = Any
"""A numpy array of a dtype, an object array of balls, or a `Rounded`."""


def total(x: Number, axis: Any = None, *, keepdims: bool = False) -> Number:
    """Sum over `axis` (all axes when None), 16-bit types accumulated in float32 and stored in their own type."""
    return stored(wide_total(x, axis, keepdims=keepdims), x)


def wide_total(x: Number, axis: Any = None, *, keepdims: bool = False) -> Number:
    """The same sum before it is stored: that of a 16-bit type is still float32, in which it cannot overflow."""
    if isinstance(x, Rounded):
        return x.total(axis, keepdims)
    x = np.asarray(x)  # numpy hands out the element of a 0-d object array bare
    return x.sum(axis, dtype=np.float32 if x.dtype.itemsize == 2 else None, keepdims=keepdims)


def stored(x: Number, like: Number) -> Number:
    """`x`, computed in float32 for a 16-bit type, rounded to the type of `like`."""
    if isinstance(x, Rounded) or np.asarray(like).dtype.itemsize != 2:
        return x
    return x.astype(like.dtype)


def quotient(numerator: Number, denominator: Number) -> Number:
    """total(numerator) / denominator, where a 16-bit total is divided before it is stored.

    `denominator` is a count or a total of the same arithmetic. The pass line grants three roundings more: a count
    or its reciprocal stored in the dtype, and the division done term by term.
    """
    if isinstance(numerator, Rounded):
        mean = (total(numerator) / denominator).roundings(2)
        terms = int(np.count_nonzero(numerator.value))  # each may underflow when it is divided by itself
        return Rounded(mean.value, mean.model, mean.error + terms * mean.model.underflow)
    numerator = np.asarray(numerator)
    if numerator.dtype.itemsize == 2:
        ratio = numerator.sum(dtype=np.float32) / np.asarray(denominator, dtype=np.float32)
        return np.asarray(ratio).astype(numerator.dtype)
    return total(numerator) / denominator


def shared(x: Number, count: Number) -> Number:
    """`x / count`, elementwise; a count may be more than a 16-bit type holds, so there float32 divides."""
    if isinstance(x, Rounded) or np.asarray(x).dtype.itemsize != 2:
        return x / count
    return np.asarray(np.asarray(x, dtype=np.float32) / np.asarray(count, dtype=np.float32)).astype(x.dtype)


def where(condition: Array, x: Number, y: Number) -> Number:
    """Elements of `x` where `condition` holds, else of `y`; one of them may be a plain number."""
    for chosen in (x, y):
        if isinstance(chosen, Rounded):
            (xv, xe), (yv, ye) = _pair(x), _pair(y)
            return Rounded(np.where(condition, xv, yv), chosen.model, np.where(condition, xe, ye))
    return np.where(condition, x, y)


def either(x: Number, y: Number) -> Number:
    """`x`, with the wider of the two bounds: `y` is the same quantity reached in another admissible way.

    The sharp grade knows the first way only.
    """
    if isinstance(x, Rounded) and not x.model.strict:
        assert isinstance(y, Rounded)
        return Rounded(x.value, x.model, np.maximum(x.error, y.error))
    return x


def roundings(x: Number, count: int) -> Number:
    """`x`, with `count` further roundings granted to its bound."""
    return x.roundings(count) if isinstance(x, Rounded) else x


def log_of_sum(exponentials: Number, rest: Number) -> Number:
    """Logarithm of the sum of `exponentials`, whose maximal one is 1, over the last axis, which is kept.

    Computed as log1p of the sum of `rest`, the others, which keeps what is small beside 1. The pass line lets an
    implementation add all of them up, in any order, and take the logarithm of the stored sum; the sharp grade does not.
    """
    if isinstance(exponentials, Rounded) and not exponentials.model.strict:
        lenient: Rounded = np.log(exponentials.total(-1, keepdims=True))
        precise = np.log1p(rest.value.sum(-1, keepdims=True))
        return Rounded(precise, lenient.model, lenient.error)
    return stored(np.log1p(wide_total(rest, -1, keepdims=True)), rest)


def fractions(x: Number) -> Number:
    """`x` over its total on the last axis, where a 16-bit total is divided by before it is stored."""
    return stored(x / wide_total(x, -1, keepdims=True), x)


def constant(mask: Array, like: Number) -> Number:
    """The 0/1 array of `mask` in the arithmetic of `like`."""
    if isinstance(like, Rounded):
        return Rounded(mask, like.model)
    return mask.astype(int).astype(object) if like.dtype == object else mask.astype(like.dtype)


def largest(x: Number) -> Number:
    """Maximum over the last axis, which is kept with length one."""
    if isinstance(x, Rounded):
        return x.map(lambda array: array.max(-1, keepdims=True))
    return x.max(-1, keepdims=True)


def first_largest(x: Number) -> Array:
    """Mask of the first maximal element along the last axis."""
    values = x.value if isinstance(x, Rounded) else x
    return np.asarray(np.arange(values.shape[-1]) == values.argmax(-1)[..., None])


def move_axis(x: Number, source: int, destination: int) -> Number:
    if isinstance(x, Rounded):
        return x.map(lambda array: np.moveaxis(array, source, destination))
    return np.moveaxis(x, source, destination)


def expand(x: Number) -> Number:
    """`x` with a last axis of length one; a scalar stays as it is."""
    if np.ndim(x.value if isinstance(x, Rounded) else x) == 0:
        return x
    return x[..., None]


def is_float(x: Number) -> bool:
    """Whether `x` holds numbers of the arithmetic rather than integer class indices."""
    if isinstance(x, Rounded) or x.dtype == object:
        return True
    return bool(x.dtype.kind not in "iub")


def _pair(x: Any) -> tuple[Any, Any]:
    return (x.value, x.error) if isinstance(x, Rounded) else (x, 0.0)
