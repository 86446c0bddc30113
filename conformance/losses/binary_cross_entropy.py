r"""Binary cross entropy of probabilities: $-w [y \log p + (1 - y) \log(1 - p)]$ (S4).

It is the negative logarithm of $P(y|x) = p^y (1 - p)^{1-y}$. The second logarithm is taken by log1p(-p), which keeps
small p. Terms of mass zero count as zero. Gradient: $w g (p - y) / (p (1 - p))$, with g multiplied in first or last;
the pass line also admits its two terms -y/p and (1 - y)/(1 - p) taken apart, as automatic differentiation does. Where
p = y = 1 the joined form is 0/0, and the gradient is that of -log p, -1; where p = y = 0 it is 1.
"""

import numpy as np

from conformance.losses.arithmetic import Number, either, where
from conformance.losses.reduction import Reduction, reduce, upstream


def value(probs: Number, target: Number, *, weight: Number | None = None, reduction: Reduction = "mean") -> Number:
    """Loss per element (`reduction="none"`), or a scalar. `weight` is broadcast to `probs`; the mean ignores it."""
    positive = where(target != 0, target * np.log(probs), 0 * target)
    negative = where(target != 1, (1 - target) * np.log1p(-probs), 0 * target)
    loss = -(positive + negative)
    return reduce(loss if weight is None else loss * weight, reduction)


def gradient(
    cotangent: Number, probs: Number, target: Number, *, weight: Number | None = None, reduction: Reduction = "mean"
) -> Number:
    """Gradient with respect to `probs`, of their shape."""
    g = upstream(cotangent, probs.shape, reduction)
    scale = g + 0 * probs if weight is None else g * (weight + 0 * probs)
    joined = (probs - target) / (probs * (1 - probs)) * scale
    before = scale * (probs - target) / (probs * (1 - probs))
    rising = where(target != 1, (1 - target) / (1 - probs), 0 * target)
    falling = where(target != 0, target / probs, 0 * target)
    apart = scale * rising - scale * falling
    certain = (probs == target) & ((target == 0) | (target == 1))  # where the joined form is 0 / 0
    return where(certain, apart, either(joined, either(before, apart)))
