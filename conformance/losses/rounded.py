"""Running error analysis: numbers that carry the largest error a rounded computation of them can have.

A `Rounded` holds, per element, the value and a bound on the error that an implementation obeying a `Model` can have
made on the way to it. Every operation propagates the errors of its operands and adds its own rounding, so that a
loss formula evaluated with `Rounded` inputs yields its own derived bound (Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., chapters 2 to 4: the standard model of rounding and its running form). Nothing of
second order is dropped.

The two models of a trial:

* **bound**, the pass line: every operation rounds to the dtype, 16-bit types are summed in float32, sums may run in
  any order. exp, log and log1p have the errors that the OpenCL full profile grants (OpenCL C specification,
  section "Relative error as ULPs": 3, 3, 2 ulp for single and double precision; 2, 2, 2 for half, which serves
  bfloat16 too, as the specification has no bfloat16 table). Subnormal results may be flushed to zero, except in
  float16, whose subnormals are ordinary values.
* **sharp**, the grade: everything in at least float32 and one rounding to the dtype at the end, log1p over the
  non-maximal terms, sums no taller than 64 additions, no flushing; exp, log and log1p as accurate as the framework
  documents or as was measured of it, where its adapter says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from conformance.losses.formats import FORMATS, Array, Format

Pair = tuple[Array, Array]
"""A value and the bound on its error, both float64 and of one shape."""


Accuracy = tuple[tuple[str, tuple[float, float, float]], ...]
"""Errors of exp, log and log1p in ulp by dtype: pairs of a dtype's name and the three figures."""


@dataclass(frozen=True)
class Model:
    """What an implementation promises: the format it computes, sums and stores in, and the accuracy of its exp, log
    and log1p in ulp."""

    compute: Format
    accumulate: Format
    storage: Format
    exp: float
    log: float
    log1p: float
    underflow: float
    strict: bool = False
    tallest_sum: int | None = None

    @property
    def u(self) -> float:
        return self.compute.unit_roundoff

    @property
    def u_sum(self) -> float:
        return self.accumulate.unit_roundoff


def _published(dtype: Format) -> tuple[float, float, float]:
    """OpenCL full profile accuracy of exp, log and log1p, in ulp."""
    return (2.0, 2.0, 2.0) if dtype.precision < 24 else (3.0, 3.0, 2.0)


def _at_least_float32(dtype: Format) -> Format:
    return dtype if dtype.precision >= 24 else FORMATS["float32"]


@cache
def bound_model(dtype: str) -> Model:
    """The pass line for `dtype`."""
    fmt = FORMATS[dtype]
    flushed = fmt.smallest_subnormal if dtype == "float16" else fmt.smallest_normal
    return Model(fmt, _at_least_float32(fmt), fmt, *_published(fmt), underflow=flushed)


@cache
def sharp_model(dtype: str, accuracy: Accuracy = ()) -> Model:
    """The sharp grade for `dtype`, with a framework's own accuracy of exp, log and log1p where it declares one."""
    fmt = FORMATS[dtype]
    inner = _at_least_float32(fmt)
    functions = dict(accuracy).get(inner.name, _published(inner))
    return Model(inner, inner, fmt, *functions, underflow=inner.smallest_subnormal, strict=True, tallest_sum=64)


class Rounded(NDArrayOperatorsMixin):
    """Values with error bounds under a model; numpy's arithmetic and `np.exp`, `np.log`, `np.log1p` work on it.

    Plain numbers and arrays that meet a `Rounded` in an operation are taken as exact. Comparisons look at values.
    """

    __slots__ = ("error", "model", "value")

    def __init__(self, value: Any, model: Model, error: Any = 0.0) -> None:
        self.value: Array = np.asarray(value, dtype=np.float64)
        self.error: Array = np.asarray(error, dtype=np.float64)
        if self.error.shape != self.value.shape:
            self.error = np.broadcast_to(self.error, self.value.shape)
        self.model = model

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    def map(self, change: Callable[[Array], Array]) -> Rounded:
        """The same selection, reordering or reshaping of values and errors: no arithmetic, so no new error."""
        return Rounded(change(self.value), self.model, change(self.error))

    def __getitem__(self, key: Any) -> Rounded:
        return self.map(lambda array: array[key])

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        if ufunc in _COMPARISONS:
            return ufunc(*(x.value if isinstance(x, Rounded) else x for x in inputs))
        if ufunc not in _RULES:
            return NotImplemented
        value, error = _RULES[ufunc](self.model, *(_pair(x) for x in inputs))
        return Rounded(value, self.model, _of_finite(value, error))

    def total(self, axis: Any, keepdims: bool) -> Rounded:
        """Sum of the elements in any order: at most (1+u)**height - 1 relative to the sum of magnitudes (Higham,
        chapter 4). Adding an exact zero makes no error, so only the other terms count.

        Nor do zeros count that an implementation may return as something too small to matter, as exp(-inf) where it
        clamps: to add t makes an error of at most |t|, since what it is added to can be had.
        """
        magnitude = np.abs(self.value).sum(axis, keepdims=keepdims)
        inherited = self.error.sum(axis, keepdims=keepdims)
        largest = np.abs(self.value).max(axis, keepdims=True, initial=0.0)
        negligible = (self.value == 0) & (self.error * self.size <= self.model.u_sum * largest)
        absorbed = np.where(negligible, self.error, 0.0).sum(axis, keepdims=keepdims)
        terms = (~negligible).sum(axis, keepdims=keepdims)
        height = np.maximum(terms - 1, 0)
        if self.model.tallest_sum is not None:
            height = np.minimum(height, self.model.tallest_sum)
        error = inherited + absorbed + np.expm1(height * np.log1p(self.model.u_sum)) * (magnitude + inherited)
        value = self.value.sum(axis, keepdims=keepdims)
        if self.model.u_sum < self.model.u:  # the float32 sum of a 16-bit type is stored in that type
            error = error + np.where(height > 0, self.model.u * (np.abs(value) + error), 0.0)
        return Rounded(value, self.model, _of_finite(value, error))

    def roundings(self, count: int) -> Rounded:
        """`count` further roundings, for constants stored in the dtype or operations done in another order."""
        growth = np.expm1(count * np.log1p(self.model.u))
        return Rounded(self.value, self.model, self.error + growth * (np.abs(self.value) + self.error))

    def stored(self) -> Rounded:
        """Rounded once more to the storage format when that is narrower than the computing one."""
        if self.model.storage == self.model.compute:
            return self
        u, tiny = self.model.storage.unit_roundoff, self.model.storage.smallest_subnormal
        return Rounded(self.value, self.model, self.error + u * (np.abs(self.value) + self.error) + tiny)


def _pair(x: Any) -> Pair:
    if isinstance(x, Rounded):
        return x.value, x.error
    value = np.asarray(x, dtype=np.float64)
    return value, np.zeros_like(value)


def _of_finite(value: Array, error: Array) -> Array:
    """The error; an infinite or NaN value is judged by its class alone."""
    finite = np.isfinite(value)
    return error if finite.all() else np.where(finite, error, 0.0)


def _round(model: Model, value: Array, error: Array) -> Pair:
    return value, error + model.u * (np.abs(value) + error)


def _add(model: Model, a: Pair, b: Pair) -> Pair:
    return _round(model, a[0] + b[0], a[1] + b[1])


def _subtract(model: Model, a: Pair, b: Pair) -> Pair:
    return _round(model, a[0] - b[0], a[1] + b[1])


def _multiply(model: Model, a: Pair, b: Pair) -> Pair:
    value = a[0] * b[0]
    first, second = np.abs(a[0]), np.abs(b[0])
    inherited = first * b[1] + second * a[1] + a[1] * b[1]
    rounded = _round(model, value, inherited)[1] + model.underflow
    return value, np.where(_trivial(first, a[1]) | _trivial(second, b[1]), inherited, rounded)


def _trivial(magnitude: Array, error: Array) -> Array:
    """Exactly 0, 1 or -1: multiplying by it rounds nothing."""
    return np.asarray((error == 0) & ((magnitude == 0) | (magnitude == 1)))


def _divide(model: Model, a: Pair, b: Pair) -> Pair:
    value = a[0] / b[0]
    smallest = np.abs(b[0]) - b[1]
    inherited = np.where(smallest > 0, (a[1] + np.abs(value) * b[1]) / smallest, np.inf)
    rounded = _round(model, value, inherited)[1] + model.underflow
    return value, np.where((b[1] == 0) & (np.abs(b[0]) == 1), a[1], rounded)


def _exp(model: Model, a: Pair) -> Pair:
    value = np.exp(a[0])
    inherited = np.expm1(np.minimum(a[1], 700.0))
    own = 2 * model.u * model.exp  # an ulp of y is at most 2u|y|
    error = value * (inherited + own + inherited * own) + model.underflow
    return value, np.where((a[0] == 0) & (a[1] == 0), 0.0, error)


def _log(model: Model, a: Pair) -> Pair:
    value = np.log(a[0])
    relative = a[1] / np.abs(a[0])
    inherited = np.where(relative < 1, -np.log1p(-np.minimum(relative, 1 - 1e-16)), np.inf)
    own = 2 * model.u * model.log
    error = inherited + own * (np.abs(value) + inherited)
    return value, np.where((a[0] == 1) & (a[1] == 0), 0.0, error)


def _log1p(model: Model, a: Pair) -> Pair:
    value = np.log1p(a[0])
    relative = a[1] / (1 + a[0])
    inherited = np.where(relative < 1, -np.log1p(-np.minimum(relative, 1 - 1e-16)), np.inf)
    own = 2 * model.u * model.log1p
    return value, inherited + own * (np.abs(value) + inherited) + np.where(a[0] == 0, 0.0, model.underflow)


def _negative(_: Model, a: Pair) -> Pair:
    return -a[0], a[1]


def _absolute(_: Model, a: Pair) -> Pair:
    return np.abs(a[0]), a[1]


def _maximum(_: Model, a: Pair, b: Pair) -> Pair:
    return np.maximum(a[0], b[0]), np.maximum(a[1], b[1])


_RULES: dict[np.ufunc, Callable[..., Pair]] = {
    np.add: _add,
    np.subtract: _subtract,
    np.multiply: _multiply,
    np.divide: _divide,
    np.exp: _exp,
    np.log: _log,
    np.log1p: _log1p,
    np.negative: _negative,
    np.absolute: _absolute,
    np.maximum: _maximum,
}
_COMPARISONS = {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal}
