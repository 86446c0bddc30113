r"""Negative log likelihood of log-probabilities: $-w_y \, x_y$ (S1, S2, S5).

The mean divides by the weights of the kept rows' classes. Maximising the likelihood $\prod_i p(x_i; \theta)$ is
minimising its sum (S1). Gradient: $-w_y g$ at the target class, zero elsewhere.
"""

from conformance.losses.arithmetic import Number, expand, move_axis, total, where
from conformance.losses.reduction import Reduction, reduce, upstream
from conformance.losses.target import class_axis, index_mass


def value(
    log_probs: Number,
    target: Number,
    *,
    weight: Number | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    axis: int = 1,
) -> Number:
    """Loss per sample (`reduction="none"`: the shape of `log_probs` without `axis`), or a scalar."""
    log_probs = move_axis(log_probs, class_axis(axis, log_probs.ndim), -1)
    mass, _, count = index_mass(log_probs, target, weight, ignore_index)
    loss = total(where(mass != 0, -log_probs * mass, 0 * mass), -1)
    return reduce(loss, reduction, count)


def gradient(
    cotangent: Number,
    log_probs: Number,
    target: Number,
    *,
    weight: Number | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    axis: int = 1,
) -> Number:
    """Gradient with respect to `log_probs`, of their shape."""
    moved = move_axis(log_probs, class_axis(axis, log_probs.ndim), -1)
    mass, kept, count = index_mass(moved, target, weight, ignore_index)
    g = expand(upstream(cotangent, kept.shape, reduction, count))
    return move_axis(where(mass != 0, -mass * g, 0 * mass), -1, class_axis(axis, log_probs.ndim))
