r"""Logistic sigmoid: $g(s) = 1/(1+e^{-s})$ (S4), with $g(-s) = 1 - g(s)$.

Computed from $e^{-|s|}$, which cannot overflow. Gradient: $g(s) g(-s)$ times the upstream gradient; a backward pass
that keeps only the output y computes it as y (1 - y).
"""

import numpy as np

from conformance.losses.arithmetic import Number, either, where


def value(logits: Number) -> Number:
    """Probabilities, of the shape of `logits`."""
    return sigmoid(logits)


def gradient(cotangent: Number, logits: Number) -> Number:
    """Gradient with respect to `logits`, of their shape."""
    y = sigmoid(logits)
    return either(cotangent * (y * sigmoid(-logits)), cotangent * (y * (1 - y)))


def sigmoid(x: Number) -> Number:
    """1/(1+e^-|x|) for x >= 0, e^-|x|/(1+e^-|x|) below."""
    z = np.exp(-np.abs(x))
    return where(x >= 0, 0 * z + 1, z) / (z + 1)
