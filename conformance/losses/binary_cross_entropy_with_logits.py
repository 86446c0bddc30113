r"""Binary cross entropy of logits: $w [P\, y\, s(-x) + (1 - y)\, s(x)]$ with s the softplus and P the `pos_weight`.

It is binary cross entropy at p = sigmoid(x), in the form that cannot overflow and does not cancel. The pass line also
admits $\max(x, 0) - x y + \log1p(e^{-|x|})$ (TensorFlow's documentation of `sigmoid_cross_entropy_with_logits`), which
is as good for hard labels. It does not admit $(1 - y) x - \log g(x)$, whose terms cancel for x far below zero.

Gradient: $w g [(1 - y)\, g(x) - P\, y\, g(-x)]$; without P that is $g(x) - y$, which is admitted too, with the upstream
gradient multiplied in before or after the difference.
"""

import numpy as np

from conformance.losses.arithmetic import Number, either
from conformance.losses.reduction import Reduction, reduce, upstream
from conformance.losses.sigmoid import sigmoid
from conformance.losses.softplus import sigmoid_for_gradient, softplus


def value(
    logits: Number,
    target: Number,
    *,
    weight: Number | None = None,
    pos_weight: Number | None = None,
    reduction: Reduction = "mean",
) -> Number:
    """Loss per element (`reduction="none"`), or a scalar.

    `weight` and `pos_weight` are broadcast to `logits`; the mean ignores them in its divisor.
    """
    positive = target * softplus(-logits)
    negative = (1 - target) * softplus(logits)
    if pos_weight is not None:
        loss = positive * pos_weight + negative
    else:
        loss = either(positive + negative, _maximum_form(logits, target))
    return reduce(loss if weight is None else loss * weight, reduction)


def gradient(
    cotangent: Number,
    logits: Number,
    target: Number,
    *,
    weight: Number | None = None,
    pos_weight: Number | None = None,
    reduction: Reduction = "mean",
) -> Number:
    """Gradient with respect to `logits`, of their shape."""
    g = upstream(cotangent, logits.shape, reduction)
    scale = g + 0 * logits if weight is None else g * (weight + 0 * logits)
    share = target if pos_weight is None else target * pos_weight
    falling, rising = sigmoid_for_gradient(logits), sigmoid_for_gradient(-logits)
    apart = (1 - target) * falling * scale - share * rising * scale
    # With a weight on the positives the two terms join to (1 - y + P y) g(x) - P y.
    mass = 1 - target + share
    first = mass * sigmoid(logits) * scale - share * scale
    last = (mass * sigmoid(logits) - share) * scale
    return either(apart, either(first, last))


def _maximum_form(logits: Number, target: Number) -> Number:
    return (np.maximum(logits, 0) - logits * target) + np.log1p(np.exp(-np.abs(logits)))
