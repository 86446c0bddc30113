"""Python loops over numbers: every loss written out once more, row by row, sums from left to right."""

from __future__ import annotations

import numpy as np

from right.plumbing import Adapter


class Loops(Adapter):
    """Row by row, number by number, from left to right; 16-bit sums in float32; log of the sum."""

    loops = True

    def softmax(self, logits, *, axis=-1):
        return rowwise(lambda x: divided(exponentials(x)), axis, logits)

    def softmax_gradient(self, g, logits, *, axis=-1):
        def pull(x, g):
            p = divided(exponentials(x))
            expected = total([gi * pi for gi, pi in zip(g, p, strict=True)])
            return [(gi - expected) * pi for gi, pi in zip(g, p, strict=True)]

        return rowwise(pull, axis, logits, g)

    def log_softmax(self, logits, *, axis=-1):
        return rowwise(log_probabilities, axis, logits)

    def log_softmax_gradient(self, g, logits, *, axis=-1):
        def pull(x, g):
            p, everything = divided(exponentials(x)), total(g)
            return [gi - everything * pi for gi, pi in zip(g, p, strict=True)]

        return rowwise(pull, axis, logits, g)

    def logsumexp(self, logits, *, axis=-1):
        rows = np.moveaxis(logits, axis, -1)
        results = [largest(x) + np.log(total(exponentials(x))) for x in rows.reshape(-1, rows.shape[-1])]
        return np.array(results, logits.dtype).reshape(rows.shape[:-1])

    def logsumexp_gradient(self, g, logits, *, axis=-1):
        def pull(x, g):
            return [gi * pi for gi, pi in zip(g, divided(exponentials(x)), strict=True)]

        return rowwise(pull, axis, logits, np.broadcast_to(np.expand_dims(g, axis), logits.shape))

    def cross_entropy(
        self, logits, target, *, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1
    ):
        rows, masses, divisor = tasks(logits, target, weight, ignore_index, label_smoothing, axis)
        losses = [dot(mass, [-v for v in log_probabilities(x)]) for x, mass in zip(rows, masses, strict=True)]
        return reduced(losses, reduction, divisor, logits, shape_without(logits, axis))

    def cross_entropy_gradient(
        self, g, logits, target, *, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1
    ):
        rows, masses, divisor = tasks(logits, target, weight, ignore_index, label_smoothing, axis)
        pulls = []
        for x, mass, gi in zip(rows, masses, spread(g, reduction, divisor, len(rows)), strict=True):
            if mass is None:
                pulls.append([0 * gi] * len(x))
                continue
            p, everything = divided(exponentials(x)), total(mass)
            pulls.append([(pi * everything - mi) * gi for pi, mi in zip(p, mass, strict=True)])
        return restored(pulls, logits, axis)

    def nll_loss(self, log_probs, target, *, weight=None, ignore_index=-100, reduction="mean", axis=1):
        rows, masses, divisor = tasks(log_probs, target, weight, ignore_index, 0.0, axis)
        losses = [dot(mass, [-v for v in x]) for x, mass in zip(rows, masses, strict=True)]
        return reduced(losses, reduction, divisor, log_probs, shape_without(log_probs, axis))

    def nll_loss_gradient(self, g, log_probs, target, *, weight=None, ignore_index=-100, reduction="mean", axis=1):
        rows, masses, divisor = tasks(log_probs, target, weight, ignore_index, 0.0, axis)
        each = zip(rows, masses, spread(g, reduction, divisor, len(rows)), strict=True)
        pulls = [[0 * gi if mass is None or m == 0 else -m * gi for m in mass or x] for x, mass, gi in each]
        return restored(pulls, log_probs, axis)

    def sigmoid(self, logits):
        return elementwise(logistic, logits)

    def sigmoid_gradient(self, g, logits):
        return elementwise(lambda x, g: g * (logistic(x) * logistic(-x)), logits, g)

    def softplus(self, logits):
        return elementwise(softplus, logits)

    def softplus_gradient(self, g, logits):
        return elementwise(lambda x, g: g * logistic(x), logits, g)

    def log_sigmoid(self, logits):
        return elementwise(lambda x: -softplus(-x), logits)

    def log_sigmoid_gradient(self, g, logits):
        return elementwise(lambda x, g: g * logistic(-x), logits, g)

    def soft_margin_loss(self, logits, target, *, reduction="mean"):
        losses = [softplus(-y * x) for x, y in zip(logits.flat, target.flat, strict=True)]
        return reduced(losses, reduction, len(losses), logits, logits.shape)

    def entropy(self, probs, *, axis=-1):
        rows = np.moveaxis(probs, axis, -1)
        results = [-total([p * np.log(p) for p in row if p != 0] or row) for row in rows.reshape(-1, rows.shape[-1])]
        return np.array(results, probs.dtype).reshape(rows.shape[:-1])

    def self_information(self, probs):
        return elementwise(lambda p: -np.log(p), probs)

    def kl_div(self, log_probs, target, *, reduction="mean", log_target=False):
        losses = []
        for log_q, t in zip(log_probs.flat, target.flat, strict=True):
            p, log_p = (np.exp(t), t) if log_target else (t, np.log(t))
            losses.append(0 * p if p == 0 else (log_p - log_q) * p)
        divisor = len(log_probs) if reduction == "batchmean" and log_probs.ndim else len(losses)
        return reduced(losses, reduction.replace("batchmean", "mean"), divisor, log_probs, log_probs.shape)

    def binary_cross_entropy(self, probs, target, *, weight=None, reduction="mean"):
        weights = np.broadcast_to(probs.dtype.type(1) if weight is None else weight, probs.shape)
        losses = []
        for p, y, w in zip(probs.flat, target.flat, weights.flat, strict=True):
            one = probs.dtype.type(1)
            loss = 0 * y if y == 0 else -np.log(p) * y
            losses.append((loss if y == 1 else loss - np.log1p(-p) * (one - y)) * w)
        return reduced(losses, reduction, len(losses), probs, probs.shape)

    def binary_cross_entropy_with_logits(self, logits, target, *, weight=None, pos_weight=None, reduction="mean"):
        one = logits.dtype.type(1)
        weights = np.broadcast_to(one if weight is None else weight, logits.shape)
        positive = np.broadcast_to(one if pos_weight is None else pos_weight, logits.shape)
        losses = [
            (softplus(x) * (one - y) + softplus(-x) * y * v) * w
            for x, y, w, v in zip(logits.flat, target.flat, weights.flat, positive.flat, strict=True)
        ]
        return reduced(losses, reduction, len(losses), logits, logits.shape)


def total(numbers):
    """From left to right; 16-bit numbers in float32, stored in their own type."""
    dtype = numbers[0].dtype
    wide = np.float32 if dtype.itemsize == 2 else dtype.type
    result = wide(numbers[0])
    for x in numbers[1:]:
        result += wide(x)
    return dtype.type(result)


def largest(x):
    found = x[0]
    for v in x[1:]:
        if v > found or v != v:  # noqa: PLR0124 - a NaN is what differs from itself
            found = v
    return found


def exponentials(x):
    top = largest(x)
    return [np.exp(v - top) for v in x]


def divided(numbers):
    everything = total(numbers)
    return [v / everything for v in numbers]


def log_probabilities(x):
    top, log_s = largest(x), np.log(total(exponentials(x)))
    return [(v - top) - log_s for v in x]


def softplus(x):
    tail = np.log1p(np.exp(-abs(x)))
    return x + tail if x > 0 else tail


def logistic(x):
    one = x.dtype.type(1)
    if x < 0:
        z = np.exp(x)
        return z / (one + z)
    return one / (one + np.exp(-x))


def dot(mass, values):
    """Sum of mass times value where there is mass; None for an ignored row."""
    terms = [m * v for m, v in zip(mass or (), values if mass else (), strict=True) if m != 0]
    return total(terms) if terms else 0 * mass[0] if mass else None


def tasks(x, target, weight, ignore_index, smoothing, axis):
    """Rows of numbers, the mass of each row's classes (None when it is ignored), and the divisor of a mean."""
    axis = axis if x.ndim > 1 else 0
    rows = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])
    classes, kind = rows.shape[-1], x.dtype.type
    masses, counted = [], []
    probabilities = target.dtype.kind not in "iu"
    targets = np.moveaxis(target, axis, -1).reshape(rows.shape) if probabilities else target.flat
    for t in targets:
        if not probabilities and t == ignore_index:
            masses.append(None)
            continue
        q = list(t) if probabilities else [kind(j == t) for j in range(classes)]
        if smoothing:
            q = [v * kind(1 - smoothing) + kind(smoothing / classes) for v in q]
        masses.append(q if weight is None else [v * w for v, w in zip(q, weight, strict=True)])
        counted.append(kind(1) if weight is None or probabilities else weight[t])
    plain = weight is None or probabilities
    return rows, masses, len(counted) if plain or not counted else total(counted)


def reduced(losses, reduction, divisor, like, shape):
    kind = like.dtype.type
    losses = [kind(0) if v is None else v for v in losses]
    if reduction == "none":
        return np.array(losses, like.dtype).reshape(shape)
    wide = np.float32 if like.dtype.itemsize == 2 else kind
    result = wide(0)
    for v in losses:
        result += wide(v)
    return np.array(kind(result / wide(divisor) if reduction == "mean" else result))


def spread(g, reduction, divisor, count):
    """The upstream gradient of each row; a count may be more than a 16-bit type holds, so float32 divides."""
    wide = np.float32 if g.dtype.itemsize == 2 else g.dtype.type
    divisor = wide(divisor if reduction == "mean" else 1)
    return [g.dtype.type(wide(v) / divisor) for v in np.resize(g, count)]


def shape_without(x, axis):
    axis = axis if x.ndim > 1 else 0
    return np.moveaxis(x, axis, -1).shape[:-1]


def rowwise(function, axis, *arrays):
    moved = [np.moveaxis(x, axis, -1) for x in arrays]
    shape = moved[0].shape
    results = [function(*rows) for rows in zip(*(x.reshape(-1, shape[-1]) for x in moved), strict=True)]
    return np.moveaxis(np.array(results, arrays[0].dtype).reshape(shape), -1, axis)


def restored(pulls, like, axis):
    axis = axis if like.ndim > 1 else 0
    shape = np.moveaxis(like, axis, -1).shape
    return np.moveaxis(np.array(pulls, like.dtype).reshape(shape), -1, axis)


def elementwise(function, *arrays):
    return np.array([function(*v) for v in zip(*(x.flat for x in arrays), strict=True)], arrays[0].dtype).reshape(
        arrays[0].shape
    )
