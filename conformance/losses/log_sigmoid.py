r"""Log-sigmoid: $\log g(x) = -\log(1 + e^{-x})$, the softplus of $-x$, negated.

Gradient: sigmoid(-x) times the upstream gradient.
"""

from conformance.losses.arithmetic import Number
from conformance.losses.softplus import sigmoid_for_gradient, softplus


def value(logits: Number) -> Number:
    """Log-sigmoid of each element."""
    return -softplus(-logits)


def gradient(cotangent: Number, logits: Number) -> Number:
    """Gradient with respect to `logits`, of their shape."""
    return cotangent * sigmoid_for_gradient(-logits)
