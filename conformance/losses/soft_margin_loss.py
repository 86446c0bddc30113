r"""Logistic loss with labels +1 and -1: $\log(1 + e^{-y s})$ (S4), from $P(y|s) = g(y s)$.

Computed as softplus(-y s). Gradient: $-y\, g(-y s)$ times the upstream gradient.
"""

import numpy as np

from conformance.losses.arithmetic import Number, constant, either
from conformance.losses.reduction import Reduction, reduce, upstream
from conformance.losses.softplus import sigmoid_for_gradient, softplus


def value(logits: Number, target: Number, *, reduction: Reduction = "mean") -> Number:
    """Loss per element (`reduction="none"`), or a scalar."""
    return reduce(softplus(-(target * logits)), reduction)


def gradient(cotangent: Number, logits: Number, target: Number, *, reduction: Reduction = "mean") -> Number:
    """Gradient with respect to `logits`, of their shape."""
    slope = -(target * sigmoid_for_gradient(-(target * logits)))
    share = upstream(constant(np.ones(()), logits), logits.shape, reduction)
    # A mean may divide before the upstream gradient comes in; a slope over a large count is subnormal in float16.
    return either(slope * upstream(cotangent, logits.shape, reduction), slope * share * cotangent)
