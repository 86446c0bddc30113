r"""Log-sum-exp over the class axis: $\log \sum_j e^{x_j}$.

Computed as $c + \log \sum_j e^{x_j - c}$ with $c = \max_j x_j$ (Blanchard, Higham & Higham 2021, Algorithm 3.1).
Gradient: $g$ times the softmax.
"""

from conformance.losses.arithmetic import Number, expand, largest, move_axis
from conformance.losses.softmax import log_normaliser, probabilities_for_gradient, shifted


def value(logits: Number, *, axis: int = -1) -> Number:
    """The log of the normaliser, of the shape of `logits` without `axis`."""
    logits = move_axis(logits, axis, -1)
    return (largest(logits) + log_normaliser(shifted(logits)))[..., 0]


def gradient(cotangent: Number, logits: Number, *, axis: int = -1) -> Number:
    """Gradient with respect to `logits`, of their shape."""
    p = probabilities_for_gradient(move_axis(logits, axis, -1))
    return move_axis(p * expand(cotangent), -1, axis)
