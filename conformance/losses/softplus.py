r"""Softplus: $\log(1 + e^x)$.

Computed as $\max(x, 0) + \log1p(e^{-|x|})$ (Maechler, Accurately computing log(1 - exp(-|a|)), 2012). The pass line
also admits log1p(exp(x)) for as long as exp(x) stays finite. Gradient: sigmoid(x) times the upstream gradient.
"""

import numpy as np

from conformance.losses.arithmetic import Number
from conformance.losses.sigmoid import sigmoid


def value(logits: Number) -> Number:
    """Softplus of each element."""
    return softplus(logits)


def gradient(cotangent: Number, logits: Number) -> Number:
    """Gradient with respect to `logits`, of their shape."""
    return cotangent * sigmoid(logits)


def softplus(x: Number) -> Number:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
