"""The numbers that a search draws from, by regime: where implementations of these losses have gone wrong.

Each pool starts with its simplest number, as a finding is shrunk towards the front. Pools hold exact numbers of the
dtype, so that a finding's case file says what the framework saw.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from conformance.losses import FORMATS

LOGITS = ("ordinary", "confident", "gaps", "offset", "mask", "nan", "tiny", "digits", "huge")
"""Regimes of logits; the first is where a finding is simplest."""
_OFFSETS = (100.0, -100.0, 500.0, -500.0, 1e4, -1e4, 1e8, -1e8)
_GAPS = (9, 11, 12, 15, 17, 20.5, 30, 38, 60, 80, 88, 90, 104, 120, 700, 710, 745, 800, 1e4)
_HUGE = {"float16": 3e4, "bfloat16": 1e30, "float32": 1e30, "float64": 1e300}
_POWERS = (2.0**-7, 1e-3, 1e-5, 1e-7, 1e-8, 1e-12, 1e-20, 1e-38)

LABEL_DTYPES = ("int64", "int32", "uint8", "int16", "int8")
COTANGENTS = (1.0, 2.0, -1.0, 0.0, 0.5, -0.7, 1.3, 1e-3, 1e3, -64.0, 1e-7)
WEIGHTS = (1.0, 2.0, 0.5, 0.0, 3.0, 0.3, 1e-3)
SMOOTHINGS = (0.0, 0.1, 0.5, 1.0, 0.9)


def offsets(dtype: str) -> tuple[float, ...]:
    """Common offsets that leave logits apart from each other in the dtype, or nearly."""
    return tuple(c for c in _OFFSETS if abs(c) < 0.5 * FORMATS[dtype].largest)


def logits(regime: str, dtype: str, offset: float = 0.0) -> list[float]:
    """The numbers that logits of a regime are made of; `offset` is the row's own in the regime of that name."""
    step = float(FORMATS[dtype].ulp(offset))
    pools: dict[str, Iterable[float]] = {
        "ordinary": (0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 5, -7, 0.25),
        "confident": (0, -5, -8, -10, -12, -15, -20, -25, -30, -36, 3),
        "gaps": (0, *(sign * g for g in _GAPS for sign in (1, -1))),
        "offset": (offset + k * max(step, 1.0) for k in (0, 1, -1, 2, 0.5, 3, -7)),
        "mask": (0, -np.inf, 1, -1, 20),
        "nan": (0, np.nan, 1, -1),
        "tiny": (0, *(sign * p for p in _POWERS for sign in (1, -1)), -0.0, FORMATS[dtype].smallest_subnormal),
        "digits": (0.1, -0.7, 1.3, 2.9, -4.1, 6.3, -8.7, 10.1, 0.017, -16.3),
        "huge": (0, _HUGE[dtype], -_HUGE[dtype], 1, -1),
    }
    return _exact(pools[regime], dtype)


def mixed(dtype: str) -> list[float]:
    """Finite logits of several regimes, for losses whose elements do not touch each other."""
    pools = (logits(regime, dtype) for regime in ("ordinary", "gaps", "confident", "digits", "tiny"))
    return _exact((x for pool in pools for x in pool), dtype)


def log_probabilities(regime: str, dtype: str) -> list[float]:
    """Logarithms of probabilities; regimes as for logits where they make sense."""
    pools: dict[str, Iterable[float]] = {
        "mask": (-1, -np.inf, 0, -0.5),
        "nan": (-1, np.nan, -2),
        "gaps": (-1, 0, *(-g for g in _GAPS)),
        "tiny": (0, *(-p for p in _POWERS)),
    }
    return _exact(pools.get(regime, (-1, 0, -0.5, -2, -0.1, -0.7, -3.3, -6.3)), dtype)


def probabilities(dtype: str) -> list[float]:
    """Probabilities in the middle, at both ends and next to them."""
    u = FORMATS[dtype].unit_roundoff
    return _exact((0.5, 1, 0, 0.25, 0.75, 0.1, 0.9, 0.3, 1 - u, 1 - 4 * u, 1 - 2.0**-7, *_POWERS), dtype)


def target_probabilities(dtype: str) -> list[float]:
    return _exact((0, 1, 0.5, 0.25, 0.125, 0.1, 0.9, 0.3, 1e-3, 1e-7), dtype)


def cotangents(dtype: str) -> list[float]:
    return _exact(COTANGENTS, dtype)


def weights(dtype: str) -> list[float]:
    return _exact(WEIGHTS, dtype)


def _exact(numbers: Iterable[float], dtype: str) -> list[float]:
    """The numbers rounded to the dtype, each once, without those that overflow by rounding."""
    given = np.asarray(list(numbers), dtype=np.float64)
    rounded = FORMATS[dtype].round(given)
    kept = rounded[np.isfinite(rounded) | ~np.isfinite(given)]
    return list({repr(x): x for x in kept.tolist()}.values())
