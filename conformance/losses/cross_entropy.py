r"""Cross entropy of logits: $-\sum_j q_j w_j \log p_j$ with p the softmax of the logits.

For a class-index target q is one-hot, and the loss is $-w_y \log p_y$ (S1, S2, S5). For a probability target
$H(q, p) = -\sum_x q(x) \log p(x)$ (S1, S3). `label_smoothing` e replaces q by $(1 - e) q + e/K$ (Szegedy et al.,
Rethinking the Inception Architecture, 2016, section 7; S2). `weight` multiplies each class's term.

The mean over index targets divides by the weights of the kept rows' classes; over probability targets by the number
of rows (as PyTorch documents for `CrossEntropyLoss`). Terms of mass zero count as zero (0 log 0 = 0).

Gradient with respect to the logits, for upstream gradient g per row and $a_j = q_j w_j$:
$\partial L/\partial x_j = g (p_j \sum_k a_k - a_j)$, with g multiplied in before or after the difference.
"""

import numpy as np

from conformance.losses.arithmetic import Number, constant, either, expand, is_float, move_axis, total, where
from conformance.losses.reduction import Reduction, reduce, upstream
from conformance.losses.softmax import log_probabilities, probabilities_for_gradient
from conformance.losses.target import class_axis, target_mass


def value(
    logits: Number,
    target: Number,
    *,
    weight: Number | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    axis: int = 1,
) -> Number:
    """Loss per sample (`reduction="none"`: the shape of `logits` without `axis`), or a scalar."""
    logits, target = _class_axis_last(logits, target, axis)
    mass, kept, count = target_mass(logits, target, weight, ignore_index, label_smoothing)
    loss = total(where(mass != 0, -log_probabilities(logits) * mass, 0 * mass), -1)
    return reduce(where(kept, loss, 0 * total(mass, -1)), reduction, count)


def gradient(
    cotangent: Number,
    logits: Number,
    target: Number,
    *,
    weight: Number | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    axis: int = 1,
) -> Number:
    """Gradient with respect to `logits`, of their shape."""
    ndim = logits.ndim
    logits, target = _class_axis_last(logits, target, axis)
    mass, kept, count = target_mass(logits, target, weight, ignore_index, label_smoothing)
    g = expand(upstream(cotangent, kept.shape, reduction, count))
    scaled, p = mass * g, probabilities_for_gradient(logits)
    first = p * total(scaled, -1, keepdims=True) - scaled
    slope = p * total(mass, -1, keepdims=True) - mass
    # A fused kernel stores the slope, which a mean has divided by then, before the upstream gradient comes in.
    share = expand(upstream(constant(np.ones(()), logits), kept.shape, reduction, count))
    pull = either(first, either(slope * g, slope * share * expand(cotangent)))
    return move_axis(where(kept[..., None], pull, 0 * mass), -1, class_axis(axis, ndim))


def _class_axis_last(logits: Number, target: Number, axis: int) -> tuple[Number, Number]:
    axis = class_axis(axis, logits.ndim)
    return move_axis(logits, axis, -1), move_axis(target, axis, -1) if is_float(target) else target
