"""The floating-point formats a trial can run in, and the spacing of their numbers.

Constants are those of IEEE 754-2019 (binary16, binary32, binary64) and of bfloat16, which is binary32 with the
significand cut to 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Format:
    """A binary floating-point format with `precision` significand bits, the hidden one included."""

    name: str
    precision: int
    min_exponent: int
    max_exponent: int
    dtype: np.dtype[Any]

    @property
    def unit_roundoff(self) -> float:
        """Largest relative error of one rounding to nearest, u = 2**-precision."""
        return 2.0**-self.precision

    @property
    def smallest_normal(self) -> float:
        return 2.0**self.min_exponent

    @property
    def smallest_subnormal(self) -> float:
        return 2.0 ** (self.min_exponent - self.precision + 1)

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return (2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.max_exponent

    @property
    def overflow(self) -> float:
        """Half a step above the largest number: what is at least this rounds to infinity.

        For float64 the threshold itself is no float64; the largest number stands in for it.
        """
        step = 2.0 ** (self.max_exponent - self.precision)
        return self.largest if self.max_exponent == 1023 else self.largest + step

    def ulp(self, value: Array | float) -> Array:
        """Distance between neighbouring numbers of this format at `value` (Goldberg; gradual underflow).

        At a power of two it is the wider, upper distance. Below the smallest normal number it is the smallest
        subnormal; above the largest number it stays that of the top binade.
        """
        magnitude = np.minimum(np.abs(np.asarray(value, dtype=np.float64)), self.largest)
        exponent = np.frexp(magnitude)[1] - 1
        exponent = np.where(magnitude == 0, self.min_exponent, exponent)
        exponent = np.minimum(np.maximum(exponent, self.min_exponent), self.max_exponent)
        return np.asarray(np.ldexp(1.0, exponent - self.precision + 1))

    def round(self, value: Array | float) -> Array:
        """`value` rounded to this format, still as float64."""
        with np.errstate(over="ignore"):
            return np.asarray(value).astype(self.dtype).astype(np.float64)


FORMATS = {
    "float16": Format("float16", 11, -14, 15, np.dtype(np.float16)),
    "bfloat16": Format("bfloat16", 8, -126, 127, np.dtype(ml_dtypes.bfloat16)),
    "float32": Format("float32", 24, -126, 127, np.dtype(np.float32)),
    "float64": Format("float64", 53, -1022, 1023, np.dtype(np.float64)),
}
DTYPES = tuple(FORMATS)
