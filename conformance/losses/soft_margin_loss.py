r"""Logistic loss with labels +1 and -1: $\log(1 + e^{-y s})$ (S4), from $P(y|s) = g(y s)$.

Computed as softplus(-y s). Gradient: $-y\, g(-y s)$ times the upstream gradient.
"""

from conformance.losses.arithmetic import Number
from conformance.losses.reduction import Reduction, reduce, upstream
from conformance.losses.softplus import sigmoid_for_gradient, softplus


def value(logits: Number, target: Number, *, reduction: Reduction = "mean") -> Number:
    """Loss per element (`reduction="none"`), or a scalar."""
    return reduce(softplus(-(target * logits)), reduction)


def gradient(cotangent: Number, logits: Number, target: Number, *, reduction: Reduction = "mean") -> Number:
    """Gradient with respect to `logits`, of their shape."""
    g = upstream(cotangent, logits.shape, reduction)
    return -(target * sigmoid_for_gradient(-(target * logits))) * g
