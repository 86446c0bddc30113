r"""Self-information $I(x) = -\log P(x)$, in nats (S3).

Gradient: $-1/P$ times the upstream gradient; the pass line admits a reciprocal that is then multiplied.
"""

import numpy as np

from conformance.losses.arithmetic import Number, either


def value(probs: Number) -> Number:
    """Information of each probability, of the shape of `probs`."""
    return -np.log(probs)


def gradient(cotangent: Number, probs: Number) -> Number:
    """Gradient with respect to `probs`, of their shape."""
    return -either(cotangent / probs, cotangent * (1 / probs))
