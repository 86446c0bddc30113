"""Compare what a framework returned with the reference, element by element.

NaN, infinities and finite numbers are classes of their own: an element whose class differs from the reference's is
wrong, whatever the bound, and its error is infinite. A finite reference may come back as infinity only where the bound
reaches the overflow threshold of the dtype. Shapes and dtypes must be equal before anything is compared; nothing is
broadcast.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.judge.reference import Reference
from conformance.losses import FORMATS, Array, Format

Pair = tuple[Array, Reference, str]
"""A result in its own dtype, what it must be, and the dtype asked for."""
_LARGE = 4096
"""Elements from which a result is compared by itself. Smaller ones take longer to begin with than to compare."""


@dataclass
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


def compare(got: Array, reference: Reference, dtype: str) -> Comparison:
    """`got` (in its own dtype) against the reference for `dtype`."""
    return compare_all([(got, reference, dtype)])[0]


@np.errstate(all="ignore")
def compare_all(pairs: Sequence[Pair]) -> list[Comparison]:
    """Each result against its reference; small ones of one dtype are worked through together."""
    found = {i: unlike for i, pair in enumerate(pairs) if (unlike := _unlike(*pair))}
    together: dict[Any, list[int]] = defaultdict(list)
    for i, (got, _, dtype) in enumerate(pairs):
        if i not in found:
            together[dtype if got.size < _LARGE else i].append(i)
    for places in together.values():
        fmt = FORMATS[pairs[places[0]][2]]
        found.update(zip(places, _compare_elements([pairs[i][:2] for i in places], fmt), strict=True))
    return [found[i] for i in range(len(pairs))]


def _unlike(got: Array, reference: Reference, dtype: str) -> Comparison | None:
    """What can be said without looking at elements."""
    if got.dtype != FORMATS[dtype].dtype:
        return Comparison(False, False, f"returned dtype {got.dtype.name}, expected {dtype}")
    if got.shape != reference.value.shape:
        return Comparison(False, False, f"returned shape {got.shape}, expected {reference.value.shape}")
    if got.size == 0:
        return Comparison(True, True, "empty, as expected")
    return None


def _compare_elements(pairs: Sequence[tuple[Array, Reference]], fmt: Format) -> Iterator[Comparison]:
    """Comparisons of results that are not empty, end to end in one array. Most are right and finite, which takes few
    passes over the elements to see."""
    results, references = zip(*pairs, strict=True)
    got = _joined(results).astype(np.float64, copy=False)
    value, bound, sharp = (_joined([getattr(r, name) for r in references]) for name in ("value", "bound", "sharp"))
    sizes = np.array([result.size for result in results])
    starts = np.concatenate([[0], sizes.cumsum()[:-1]])

    error = got - value
    if any(reference.remainder is not None for reference in references):
        error -= _joined([np.zeros_like(r.value) if r.remainder is None else r.remainder for r in references])
    np.abs(error, out=error)
    if not np.isfinite(error.max()):  # it is NaN where any element is
        both = np.isfinite(got) & np.isfinite(value)
        error = np.where(_same_class(got, value, bound, fmt), np.where(both, error, 0.0), np.inf)
    ratio = _ratio(error, bound)
    wrong = ratio > 1
    lost = got == 0
    if lost.any():
        lost &= (value != 0) & (np.abs(value) < fmt.smallest_normal)
    worst = _first_largest(ratio, sizes, starts)

    expected, absolute = value[worst], error[worst]
    relative = np.where(absolute == 0, 0.0, absolute / np.abs(expected))
    # the last fields of a comparison, in their order
    at_worst = (got[worst], expected, absolute, relative, absolute / fmt.ulp(expected), bound[worst], ratio[worst])
    precise = np.logical_and.reduceat(error <= sharp, starts)
    columns = (_counts(wrong, starts), _counts(lost, starts), precise, starts, worst - starts, *at_worst)
    rows = zip(results, *(column.tolist() for column in columns), strict=True)
    for result, count, flushed, is_sharp, start, place, *measured in rows:
        part = slice(start, start + result.size)
        message = _describe(got[part], value[part], bound[part], wrong[part], fmt) if count else ""
        index = _place(place, result.shape)
        yield Comparison(count == 0, count == 0 and is_sharp, message, result.size, count, flushed, index, *measured)


def _joined(arrays: Sequence[Array]) -> Array:
    return arrays[0].reshape(-1) if len(arrays) == 1 else np.concatenate([x.reshape(-1) for x in arrays])


def _counts(flags: Array, starts: Array) -> Array:
    """How many flags of each part are set."""
    return np.asarray(np.add.reduceat(flags, starts, dtype=np.intp)) if flags.any() else np.zeros_like(starts)


def _first_largest(ratio: Array, sizes: Array, starts: Array) -> Array:
    """Where the largest ratio of each part stands, the first of equal ones."""
    if len(starts) == 1:
        return np.array([ratio.argmax()])
    largest = np.flatnonzero(ratio == np.repeat(np.maximum.reduceat(ratio, starts), sizes))
    return np.asarray(largest[np.searchsorted(largest, starts)])


def _place(position: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The index of a position in memory order; `np.unravel_index` for one, a quarter of the time."""
    index = []
    for length in reversed(shape):
        position, rest = divmod(position, length)
        index.append(rest)
    return tuple(reversed(index))


def _same_class(got: Array, value: Array, bound: Array, fmt: Format) -> Array:
    """Whether NaN meets NaN, an infinity the same infinity, and a finite number a finite one.

    A reference that rounds to infinity in the dtype may come back as infinity; so may one that the bound carries
    over the threshold, and a reference beyond it may come back as the largest number when the bound reaches down.
    """
    same = np.where(np.isnan(value), np.isnan(got), got == value)
    reaches = np.isfinite(value) & (np.abs(value) + bound >= fmt.overflow)
    overflowed = np.isinf(got) & reaches & (np.sign(got) == np.sign(value))
    return np.asarray(same | (np.isfinite(got) & np.isfinite(value)) | overflowed)


def _ratio(error: Array, bound: Array) -> Array:
    """Error over bound; zero where there is no error, infinite where the bound is no finite number."""
    ratio = error / bound
    if np.isfinite(ratio.max()) and np.isfinite(bound.max()):
        return np.asarray(ratio)
    ratio = np.where(error == 0, 0.0, ratio)
    return np.where(np.isnan(ratio) | ((error > 0) & ~np.isfinite(bound)), np.inf, ratio)


def _describe(got: Array, value: Array, bound: Array, wrong: Array, fmt: Format) -> str:
    agrees = _same_class(got, value, bound, fmt)
    count, size = int(wrong.sum()), got.size
    message = f"{count} of {size} elements ({count / size:.1%}) outside the bound"
    classes = int((wrong & ~agrees).sum())
    if classes:
        kinds = sorted({f"{_kind(g)} for {_kind(e)}" for g, e in zip(got[~agrees], value[~agrees], strict=True)})
        message += f", {classes} of another class ({', '.join(kinds)})"
    return message


def _kind(x: float) -> str:
    if np.isnan(x):
        return "NaN"
    if np.isinf(x):
        return "inf" if x > 0 else "-inf"
    return "a finite number"
