r"""Softplus: $\log(1 + e^x)$.

Computed as $\max(x, 0) + \log1p(e^{-|x|})$ (Maechler, Accurately computing log(1 - exp(-|a|)), 2012). The pass line
also admits log1p(exp(x)) for as long as exp(x) stays finite. Gradient: sigmoid(x) times
the upstream gradient.
"""

import numpy as np

from conformance.losses.arithmetic import Number, either
from conformance.losses.rounded import Rounded
from conformance.losses.sigmoid import sigmoid


def value(logits: Number) -> Number:
    """Softplus of each element."""
    return softplus(logits)


def gradient(cotangent: Number, logits: Number) -> Number:
    """Gradient with respect to `logits`, of their shape."""
    return cotangent * sigmoid_for_gradient(logits)


def softplus(x: Number) -> Number:
    return either(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), direct(x))


def sigmoid_for_gradient(x: Number) -> Number:
    """Sigmoid as a backward pass has it: computed afresh, or exp of the log-sigmoid x - softplus(x)."""
    return either(sigmoid(x), np.exp(x - softplus(x)))


def direct(x: Number) -> Number:
    """log1p(exp(x)) for x > 0, whose exponential's error enters the result as it is; for other x the two forms agree.

    Only the bound needs it, and log1p(e^x) is x + log1p(e^-x) there, so exp is not asked to overflow.
    """
    if not isinstance(x, Rounded):
        return x
    model = x.model
    value = np.maximum(x.value, 0) + np.log1p(np.exp(-np.abs(x.value)))
    relative = 2 * model.u * model.exp
    entering = relative + x.error + relative * x.error
    own = 2 * model.u * model.log1p * (value + entering)
    return Rounded(value, model, np.where((x.value > 0) & np.isfinite(value), entering + own, 0.0))
