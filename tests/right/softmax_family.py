"""Softmax, log-softmax, logsumexp, NLL and cross entropy on rows of classes, each step a method to override."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from right.plumbing import Arithmetic, number, picked, stored


@dataclass
class Rows:
    """A class loss as rows: `x` is (rows, classes), with `labels` or probabilities `q`; only `kept` rows count."""

    x: Any
    labels: Any
    q: Any
    kept: Any
    weight: Any
    smoothing: float
    shape: tuple[int, ...]

    @property
    def classes(self):
        return self.x.shape[-1]


class SoftmaxFamily(Arithmetic):
    def softmax(self, logits, *, axis=-1):
        return self._on_rows(self.softmax_of, axis, logits)

    def log_softmax(self, logits, *, axis=-1):
        return self._on_rows(self.log_softmax_of, axis, logits)

    def logsumexp(self, logits, *, axis=-1):
        moved = np.moveaxis(self.inside(logits), axis, -1)
        flat = self.logsumexp_of(moved.reshape(-1, moved.shape[-1]))
        return stored(flat.reshape(moved.shape[:-1]), logits)

    def softmax_gradient(self, g, logits, *, axis=-1):
        return self._on_rows(self.softmax_pull, axis, g, logits)

    def log_softmax_gradient(self, g, logits, *, axis=-1):
        return self._on_rows(self.log_softmax_pull, axis, g, logits)

    def logsumexp_gradient(self, g, logits, *, axis=-1):
        wide = np.broadcast_to(np.expand_dims(g, axis), logits.shape)
        return self._on_rows(lambda g, x: self.backward_softmax(x) * g, axis, wide, logits)

    def nll_loss(self, log_probs, target, *, weight=None, ignore_index=-100, reduction="mean", axis=1):
        rows = self.rows(log_probs, target, weight, ignore_index, 0.0, axis)
        return self._reduced(rows, self.weighted(rows, -picked(rows.x, rows.labels)), reduction, log_probs)

    def nll_loss_gradient(self, g, log_probs, target, *, weight=None, ignore_index=-100, reduction="mean", axis=1):
        rows = self.rows(log_probs, target, weight, ignore_index, 0.0, axis)
        g = self._upstream(g, rows, reduction)
        pull = np.zeros_like(rows.x)
        np.put_along_axis(pull, rows.labels[:, None], -(g * self.row_weight(rows)), axis=-1)
        return self._restored(np.where(rows.kept[:, None], pull, number(0, pull)), log_probs, axis)

    def cross_entropy(
        self, logits, target, *, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1
    ):
        rows = self.rows(logits, target, weight, ignore_index, label_smoothing, axis)
        return self._reduced(rows, self.row_losses(rows), reduction, logits)

    def cross_entropy_gradient(
        self, g, logits, target, *, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1
    ):
        rows = self.rows(logits, target, weight, ignore_index, label_smoothing, axis)
        pull = self.row_gradients(rows, self._upstream(g, rows, reduction))
        return self._restored(np.where(rows.kept[:, None], pull, number(0, pull)), logits, axis)

    # The steps, on rows in the type inside.

    def exponentials(self, x):
        """Shifted logits, their exponentials and the sum of these."""
        shift = x - x.max(-1, keepdims=True)
        e = self.exp(shift)
        return shift, e, self.add_up(e)[..., None]

    def softmax_of(self, x):
        _, e, s = self.exponentials(x)
        return e / s

    def log_softmax_of(self, x):
        shift, _, s = self.exponentials(x)
        return shift - self.log(s)

    def logsumexp_of(self, x):
        return x.max(-1, keepdims=True) + self.log(self.exponentials(x)[2])

    def backward_softmax(self, x):
        """Softmax as the backward pass has it: computed again."""
        return self.softmax_of(x)

    def softmax_pull(self, g, x):
        p = self.softmax_of(x)
        return p * (g - self.add_up(g * p)[..., None])

    def log_softmax_pull(self, g, x):
        return g - self.backward_softmax(x) * self.add_up(g)[..., None]

    def mass(self, rows):
        """What multiplies -log p of each class: the target, smoothed, times the class weight."""
        q = rows.q
        if q is None:
            q = (np.arange(rows.classes) == rows.labels[:, None]).astype(rows.x.dtype)
        if rows.smoothing:
            keep, spread = (number(v, q) for v in (1 - rows.smoothing, rows.smoothing / rows.classes))
            q = q * keep + spread
        return q if rows.weight is None else q * rows.weight

    def row_losses(self, rows):
        if rows.q is None and not rows.smoothing:
            return self.weighted(rows, -picked(self.log_softmax_of(rows.x), rows.labels))
        mass = self.mass(rows)
        return self.add_up(np.where(mass != 0, mass * -self.log_softmax_of(rows.x), 0 * mass))

    def row_gradients(self, rows, g):
        p = self.backward_softmax(rows.x)
        mass = self.mass(rows)
        return (p * self.add_up(mass)[:, None] - mass) * g

    def row_weight(self, rows):
        """Weight of each row's class, (rows, 1)."""
        return number(1, rows.x) if rows.weight is None else rows.weight[rows.labels][:, None]

    def weighted(self, rows, losses):
        weight = self.row_weight(rows)
        return np.where(weight != 0, losses * weight, 0 * weight)[:, 0]

    def divisor(self, rows):
        """What a mean divides by: rows, kept rows, or the weights of the kept rows' classes."""
        if rows.labels is None:
            return len(rows.x)
        if rows.weight is None:
            return int(rows.kept.sum())
        return self.add_up(rows.weight[rows.labels][rows.kept])

    # Axes, ignored rows and reductions.

    def rows(self, x, target, weight, ignore_index, smoothing, axis):
        axis = axis if x.ndim > 1 else 0
        moved = np.moveaxis(self.inside(x), axis, -1)
        flat = moved.reshape(-1, moved.shape[-1])
        weight = None if weight is None else self.inside(weight)
        if target.dtype.kind in "iu":
            labels = target.reshape(-1).astype(np.int64)
            kept = labels != ignore_index
            return Rows(flat, np.where(kept, labels, 0), None, kept, weight, smoothing, moved.shape[:-1])
        q = np.moveaxis(self.inside(target), axis, -1).reshape(flat.shape)
        return Rows(flat, None, q, np.ones(len(flat), bool), weight, smoothing, moved.shape[:-1])

    def _reduced(self, rows, losses, reduction, like):
        losses = np.where(rows.kept, losses, number(0, losses))
        return stored(self.reduce(losses.reshape(rows.shape), reduction, self.divisor(rows)), like)

    def _upstream(self, g, rows, reduction):
        g = self.upstream(self.inside(g), reduction, self.divisor(rows))
        return np.broadcast_to(g, rows.shape).reshape(-1, 1)

    def _restored(self, pull, like, axis):
        axis = axis if like.ndim > 1 else 0
        shape = np.moveaxis(like, axis, -1).shape
        return stored(np.moveaxis(pull.reshape(shape), -1, axis), like)

    def _on_rows(self, function, axis, *arrays):
        moved = [np.moveaxis(self.inside(x), axis, -1) for x in arrays]
        shape = moved[-1].shape
        result = function(*(x.reshape(-1, shape[-1]) for x in moved)).reshape(shape)
        return stored(np.moveaxis(result, -1, axis), arrays[-1])
