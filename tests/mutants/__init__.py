"""Deliberately wrong implementations, by theme: `base` says how one is written, `score.py` counts the killed."""

from mutants import (  # noqa: F401 - importing a theme registers its mutants
    axis_and_layout,
    behaviour,
    binary,
    divergence,
    gradients,
    ignore_index,
    labels,
    precision,
    reduction,
    smoothing,
    softmax_family,
    special_values,
    stability,
    weights,
)
from mutants.base import REGISTRY

__all__ = ["REGISTRY"]
