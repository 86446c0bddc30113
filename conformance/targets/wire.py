"""How arrays cross the process boundary: dtype name, shape and bytes; a layout is made on the other side.

Standard library and numpy only, as the worker imports it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.targets.contract import BFLOAT16

Packed = tuple[str, tuple[int, ...], bytes]


def pack(array: NDArray[Any]) -> Packed:
    """`array` as plain values; its memory layout is not kept."""
    if not array.dtype.isnative:  # names say nothing of byte order
        array = array.astype(array.dtype.newbyteorder("="))
    return _name(array.dtype), array.shape, array.tobytes()


def unpack(packed: Packed, layout: str | None = None) -> NDArray[Any]:
    """The array again, writable, in the memory layout asked for."""
    name, shape, data = packed
    dtype = BFLOAT16 if name == "bfloat16" else np.dtype(name)
    array = np.frombuffer(data, dtype=dtype).reshape(shape).copy()
    return array if layout is None else lay_out(array, layout)


@cache
def _name(dtype: np.dtype[Any]) -> str:
    return "bfloat16" if dtype == BFLOAT16 else dtype.name


def lay_out(array: NDArray[Any], layout: str) -> NDArray[Any]:
    """A view equal to `array` but laid out otherwise in memory.

    * transposed: the axes in reverse order of memory, as after a transpose
    * strided: every second element of the last axis of a wider array
    * sliced: the middle of an array that is larger on every side
    * reversed: negative strides along the first axis
    * expanded: no strides along the axes on which all is the same, as the gradient of a sum has
    """
    if array.ndim == 0:
        return array
    if layout == "expanded":
        return _expanded(array)
    if layout == "transposed":
        return np.ascontiguousarray(array.T).T
    if layout == "reversed":
        return np.ascontiguousarray(array[::-1])[::-1]
    if layout == "strided":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), dtype=array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "sliced":
        padded = np.zeros([n + 2 for n in array.shape], dtype=array.dtype)
        inside = padded[tuple(slice(1, n + 1) for n in array.shape)]
        inside[...] = array
        return inside
    raise ValueError(f"unknown layout {layout!r}")


def _expanded(array: NDArray[Any]) -> NDArray[Any]:
    """Writable unlike `np.broadcast_to`, so that a framework that writes there is found out."""
    small = array
    for axis, length in enumerate(array.shape):
        first = small.take([0], axis) if length else small
        if (small == first).all():
            small = np.ascontiguousarray(first)
    strides = [
        0 if n > 1 and s == 1 else step for n, s, step in zip(array.shape, small.shape, small.strides, strict=True)
    ]
    return np.lib.stride_tricks.as_strided(small, array.shape, strides)
