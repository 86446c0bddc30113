r"""Shannon entropy of given probabilities over an axis: $H(P) = -\sum P \log P$ (S3), in nats, with 0 log 0 = 0.

The probabilities are taken as they are; they need not sum to one. Gradient: $-(\log P + 1)$ times the upstream
gradient.
"""

import numpy as np

from conformance.losses.arithmetic import Number, either, expand, move_axis, total, where


def value(probs: Number, *, axis: int = -1) -> Number:
    """Entropy, of the shape of `probs` without `axis`."""
    probs = move_axis(probs, axis, -1)
    return total(where(probs != 0, -(probs * np.log(probs)), 0 * probs), -1)


def gradient(cotangent: Number, probs: Number, *, axis: int = -1) -> Number:
    """Gradient with respect to `probs`, of their shape."""
    probs = move_axis(probs, axis, -1)
    g = expand(cotangent)
    log_p = np.log(probs)
    return move_axis(-either(log_p * g + g, (log_p + 1) * g), -1, axis)
