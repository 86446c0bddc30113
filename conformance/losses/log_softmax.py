r"""Log-softmax over the class axis: $x_i - \log \sum_j e^{x_j}$.

Computed as $(x_i - c) - \log \sum_j e^{x_j - c}$ with $c = \max_j x_j$ ("anti-overflow", S1).
Gradient: $\partial L/\partial x_i = g_i - p_i \sum_j g_j$ with p the softmax.
"""

from conformance.losses.arithmetic import Number, move_axis, total
from conformance.losses.softmax import log_probabilities, probabilities_for_gradient


def value(logits: Number, *, axis: int = -1) -> Number:
    """Log-probabilities, of the shape of `logits`."""
    return move_axis(log_probabilities(move_axis(logits, axis, -1)), -1, axis)


def gradient(cotangent: Number, logits: Number, *, axis: int = -1) -> Number:
    """Gradient with respect to `logits`, of their shape."""
    p = probabilities_for_gradient(move_axis(logits, axis, -1))
    g = move_axis(cotangent, axis, -1)
    return move_axis(g - p * total(g, -1, keepdims=True), -1, axis)
