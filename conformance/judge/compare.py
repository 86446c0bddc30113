"""Compare what a framework returned with the reference, element by element.

NaN, infinities and finite numbers are classes of their own: an element whose class differs from the reference's is
wrong, whatever the bound, and its error is infinite. A finite reference may come back as infinity only where the bound
reaches the overflow threshold of the dtype. Shapes and dtypes must be equal before anything is compared; nothing is
broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conformance.judge.reference import Reference
from conformance.losses import FORMATS, Array, Format


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison, at its worst element (the one whose error is the largest multiple of the bound).

    `flushed` counts results that are zero where the reference is a nonzero number below the smallest normal one.
    """

    ok: bool
    sharp: bool
    message: str
    elements: int = 0
    wrong: int = 0
    flushed: int = 0
    index: tuple[int, ...] = ()
    got: float | None = None
    expected: float | None = None
    absolute: float | None = None
    relative: float | None = None
    ulp: float | None = None
    bound: float | None = None
    ratio: float | None = None


@np.errstate(all="ignore")
def compare(got: Array, reference: Reference, dtype: str) -> Comparison:
    """`got` (in its own dtype) against the reference for `dtype`."""
    if got.dtype != FORMATS[dtype].dtype:
        return Comparison(False, False, f"returned dtype {got.dtype.name}, expected {dtype}")
    if got.shape != reference.value.shape:
        return Comparison(False, False, f"returned shape {got.shape}, expected {reference.value.shape}")
    if got.size == 0:
        return Comparison(True, True, "empty, as expected")
    return _compare_elements(got.astype(np.float64), reference, FORMATS[dtype])


def _compare_elements(got: Array, reference: Reference, fmt: Format) -> Comparison:
    error = np.abs((got - reference.value) - reference.remainder)
    if not np.isfinite(error).all():
        both = np.isfinite(got) & np.isfinite(reference.value)
        error = np.where(_same_class(got, reference, fmt), np.where(both, error, 0.0), np.inf)
    ratio = _ratio(error, reference.bound)
    count = got.size - int(np.count_nonzero(ratio <= 1))
    worst = np.unravel_index(ratio.argmax(), ratio.shape)
    expected = float(reference.value[worst])
    absolute = float(error[worst])
    ulp = absolute / fmt.ulp_of(expected)
    sharp = count == 0 and bool((error <= reference.sharp).all())
    flushed = 0 if got.all() else _flushed(got, reference.value, fmt)
    message = _describe(got, reference, ~(ratio <= 1), fmt) if count else ""
    return Comparison(
        ok=count == 0,
        sharp=sharp,
        message=message,
        elements=got.size,
        wrong=count,
        flushed=flushed,
        index=tuple(int(i) for i in worst),
        got=float(got[worst]),
        expected=expected,
        absolute=absolute,
        relative=absolute / abs(expected) if expected else (0.0 if absolute == 0 else float("inf")),
        ulp=ulp,
        bound=float(reference.bound[worst]),
        ratio=float(ratio[worst]),
    )


def _same_class(got: Array, reference: Reference, fmt: Format) -> Array:
    """Whether NaN meets NaN, an infinity the same infinity, and a finite number a finite one.

    A reference that rounds to infinity in the dtype may come back as infinity; so may one that the bound carries
    over the threshold, and a reference beyond it may come back as the largest number when the bound reaches down.
    """
    value = reference.value
    same = np.where(np.isnan(value), np.isnan(got), got == value)
    reaches = np.isfinite(value) & (np.abs(value) + reference.bound >= fmt.overflow)
    overflowed = np.isinf(got) & reaches & (np.sign(got) == np.sign(value))
    return np.asarray(same | (np.isfinite(got) & np.isfinite(value)) | overflowed)


def _ratio(error: Array, bound: Array) -> Array:
    """Error over bound; zero where there is no error, infinite where the bound is no finite number."""
    ratio = error / bound
    if np.isfinite(ratio + bound).all():
        return np.asarray(ratio)
    ratio = np.where(error == 0, 0.0, ratio)
    return np.where(np.isnan(ratio) | ((error > 0) & ~np.isfinite(bound)), np.inf, ratio)


def _flushed(got: Array, value: Array, fmt: Format) -> int:
    return int(np.count_nonzero((got == 0) & (value != 0) & (np.abs(value) < fmt.smallest_normal)))


def _describe(got: Array, reference: Reference, wrong: Array, fmt: Format) -> str:
    agrees = _same_class(got, reference, fmt)
    count, size = int(wrong.sum()), got.size
    message = f"{count} of {size} elements ({count / size:.1%}) outside the bound"
    classes = int((wrong & ~agrees).sum())
    if classes:
        kinds = sorted(
            {f"{_kind(g)} for {_kind(e)}" for g, e in zip(got[~agrees], reference.value[~agrees], strict=True)}
        )
        message += f", {classes} of another class ({', '.join(kinds)})"
    return message


def _kind(x: float) -> str:
    if np.isnan(x):
        return "NaN"
    if np.isinf(x):
        return "inf" if x > 0 else "-inf"
    return "a finite number"
