"""Inputs described instead of written out: `{generator: normal, shape: [64, 10], seed: 3, scale: 5}`.

Drawn from the raw 64-bit output of numpy's PCG64, whose stream is fixed, with no transcendental function on the way,
so that a case is the same bit for bit on every platform and in every version of numpy.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt

from conformance.losses.formats import Array

LARGEST = 2**22
"""The most numbers that a generator draws, so that a slip in a shape is refused before it fills the memory."""


def _not_too_large(shape: list[int]) -> list[int]:
    if prod(shape) > LARGEST:
        raise ValueError(f"{prod(shape)} numbers; a generator draws at most {LARGEST}")
    return shape


Shape = Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=8), AfterValidator(_not_too_large)]
_Integer = Annotated[int, Field(ge=-(2**53), le=2**53)]


def _drawn(x: Array) -> Array:
    """`x`, unless finite parameters overflowed on the way to it."""
    if not np.all(np.isfinite(x)):
        raise ValueError("the numbers overflow")
    return x


class _Generator(BaseModel):
    model_config = ConfigDict(extra="forbid")
    shape: Shape
    seed: int = Field(0, ge=0)

    def _uniform(self, *shape: int) -> Array:
        """Uniform on [0, 1), 53 bits each."""
        count = prod(shape)
        raw = np.asarray(np.random.PCG64(self.seed).random_raw(count))
        return np.asarray((raw >> np.uint64(11)) * 2.0**-53).reshape(shape)


class Normal(_Generator):
    """Nearly normal with mean `offset` and standard deviation `scale`: the sum of twelve uniforms, less six."""

    generator: Literal["normal"]
    scale: FiniteFloat = 1.0
    offset: FiniteFloat = 0.0

    def draw(self) -> Array:
        draws = self._uniform(12, *self.shape)
        total = draws[0]
        for row in draws[1:]:
            total = total + row
        with np.errstate(over="ignore", invalid="ignore"):
            return _drawn(np.asarray((total - 6.0) * self.scale + self.offset))


class Uniform(_Generator):
    """Uniform on [low, high)."""

    generator: Literal["uniform"]
    low: FiniteFloat = 0.0
    high: FiniteFloat = 1.0

    def draw(self) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return _drawn(np.asarray(self.low + (self.high - self.low) * self._uniform(*self.shape)))


class Integers(_Generator):
    """Integers in [low, high)."""

    generator: Literal["integers"]
    low: _Integer = 0
    high: _Integer

    def draw(self) -> Array:
        span = self.high - self.low
        if span <= 0:
            raise ValueError(f"high ({self.high}) must be above low ({self.low})")
        return np.asarray(self.low + np.floor(self._uniform(*self.shape) * span), dtype=np.int64)


class Distribution(_Generator):
    """Rows of `uniform` draws divided by their sum over the last axis."""

    generator: Literal["distribution"]

    def draw(self) -> Array:
        rows = self._uniform(*self.shape) + 2.0**-20
        return np.asarray(rows / rows.cumsum(-1)[..., -1:])


class Constant(BaseModel):
    """The same number everywhere."""

    model_config = ConfigDict(extra="forbid")
    generator: Literal["constant"]
    shape: Shape
    value: float

    def draw(self) -> Array:
        return np.full(self.shape, self.value)


class Linspace(BaseModel):
    """Evenly spaced from `start` to `stop`, both included, in the order of memory."""

    model_config = ConfigDict(extra="forbid")
    generator: Literal["linspace"]
    shape: Annotated[list[PositiveInt], Field(min_length=1, max_length=8), AfterValidator(_not_too_large)]
    start: FiniteFloat
    stop: FiniteFloat

    def draw(self) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return _drawn(np.linspace(self.start, self.stop, prod(self.shape))).reshape(self.shape)


Generator = Annotated[
    Normal | Uniform | Integers | Distribution | Constant | Linspace, Field(discriminator="generator")
]
