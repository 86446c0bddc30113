"""Class targets as the mass that each class carries, so that index and probability targets share one formula."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from conformance.losses.arithmetic import Number, constant, is_float, roundings, shared, total, where
from conformance.losses.formats import Array


class Mass(NamedTuple):
    """`mass[..., j]` multiplies -log p_j. `kept` marks the rows that are not ignored; `count` is the mean's divisor."""

    mass: Number
    kept: Array
    count: Number


def class_axis(axis: int, ndim: int) -> int:
    """The class axis of logits with `ndim` axes: a single unbatched sample has its classes on its only axis."""
    return axis if ndim > 1 else 0


def index_mass(like: Number, target: Array, weight: Number | None, ignore_index: int) -> Mass:
    """Weighted one-hot rows of class indices; ignored rows carry nothing.

    The mean divides by the sum of the weights of the kept rows' classes: their number, when there is no weight.
    """
    kept = target != ignore_index
    onehot = constant((np.arange(like.shape[-1]) == target[..., None]) & kept[..., None], like)
    if weight is None:
        return Mass(onehot, kept, int(kept.sum()))
    mass = _weighted(onehot, weight)
    return Mass(mass, kept, total(mass))


def target_mass(
    like: Number,
    target: Number,
    weight: Number | None,
    ignore_index: int,
    label_smoothing: Number,
) -> Mass:
    """Mass of index or probability targets, smoothed to (1 - e) q + e / K and then weighted by class.

    The mean of probability targets divides by the number of rows, weighted or not.
    """
    classes = like.shape[-1]
    if is_float(target):
        kept = np.ones(target.shape[:-1], dtype=bool)
        rows = Mass(target, kept, kept.size)
    else:
        rows = index_mass(like, target, None, ignore_index)
    mass = rows.mass
    if _nonzero(label_smoothing):
        # One more rounding for the smoothing factor stored in the dtype.
        mass = roundings(mass * (1 - label_smoothing) + shared(label_smoothing, classes), 1)
        mass = where(rows.kept[..., None], mass, 0 * mass)
    count = rows.count
    if weight is not None and is_float(target):
        mass = mass * weight
    elif weight is not None:
        mass, count = _weighted(mass, weight), index_mass(like, target, weight, ignore_index).count
    return Mass(mass, rows.kept, count)


def _weighted(mass: Number, weight: Number) -> Number:
    """The mass of class indices times the weights; that of a class that no row has is nothing, even times NaN."""
    return where(mass != 0, mass * weight, 0 * mass)


def _nonzero(x: Number) -> bool:
    return bool(x != 0)
