"""The loss formulas in ball arithmetic (Arb, by way of python-flint): values with a proven radius.

A ball is a midpoint and a radius; every operation returns a ball that contains the exact result, so the answer comes
with its own proof (Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, 2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from flint import arb, ctx

from conformance.errors import ConformanceError
from conformance.losses import Array, Loss

BITS = 160
_MOST_BITS = 5120


class PrecisionError(ConformanceError):
    """Ball arithmetic cannot enclose a value tightly enough: a defect of the suite, not of a framework."""


def exact(
    loss: Loss, inputs: Mapping[str, Array], options: Mapping[str, Any], cotangent: Array | None = None
) -> tuple[Array, Array]:
    """Value (or gradient, with a `cotangent`) as float64 plus remainder: together good to about 2**-100.

    Elements that are infinite or NaN come out as NaN with remainder zero; their class is the float64 reference's.
    """
    return _split(enclose(loss, inputs, options, cotangent))


def enclose(
    loss: Loss, inputs: Mapping[str, Array], options: Mapping[str, Any], cotangent: Array | None = None
) -> Array:
    """Value (or gradient) as an object array of balls, each with at least 110 bits right, or negligibly small."""
    bits = BITS
    while True:
        balls = _evaluate(bits, loss, inputs, options, cotangent)
        loose = [b for b in balls.flat if b.is_finite() and b.rel_accuracy_bits() < 110 and not b.is_exact()]
        if not loose or all(_negligible(b) for b in loose):
            return balls
        if bits >= _MOST_BITS:
            raise PrecisionError(f"{loss.name}: {loose[0]} is not enclosed tightly enough with {bits} bits")
        bits *= 2


def _evaluate(
    bits: int, loss: Loss, inputs: Mapping[str, Array], options: Mapping[str, Any], cotangent: Array | None
) -> Array:
    before = ctx.prec
    ctx.prec = bits
    try:
        result = loss.evaluate(_balls, inputs, options, cotangent)
        return np.asarray(_to_arb(result), dtype=object)
    finally:
        ctx.prec = before


def _balls(x: Any) -> Any:
    return np.asarray(_from_float(np.asarray(x)), dtype=object)


_from_float = np.frompyfunc(lambda v: arb(float(v)), 1, 1)
_to_arb = np.frompyfunc(arb, 1, 1)


def _negligible(ball: Any) -> bool:
    """Too small for float64 to tell from zero, as after total cancellation."""
    return bool(abs(ball) < arb(2) ** -1200)


def _split(balls: Array) -> tuple[Array, Array]:
    high = np.empty(balls.shape)
    low = np.empty(balls.shape)
    for i, ball in enumerate(balls.flat):
        finite = ball.is_finite()
        high.flat[i] = float(ball) if finite else np.nan
        low.flat[i] = float(ball - arb(high.flat[i])) if np.isfinite(high.flat[i]) else 0.0
    return high, low
