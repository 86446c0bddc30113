r"""Kullback-Leibler divergence $KL(P, Q) = \sum P (\log P - \log Q)$ (S3), from `log_probs` = log Q and `target` = P.

With `log_target` the target is log P. Terms with P = 0 are zero. The element-wise loss may be taken as
P (log P - log Q) or as P log P - P log Q. `mean` divides by the number of elements, `batchmean` by the length of the
first axis, which is the mathematical definition (as PyTorch documents for `KLDivLoss`).
Gradient with respect to `log_probs`: $-P$ times the upstream gradient.
"""

from typing import Literal

import numpy as np

from conformance.losses.arithmetic import Number, either, where
from conformance.losses.reduction import reduce, upstream


def value(
    log_probs: Number,
    target: Number,
    *,
    reduction: Literal["none", "mean", "sum", "batchmean"] = "mean",
    log_target: bool = False,
) -> Number:
    """Divergence per element (`reduction="none"`), or a scalar."""
    return reduce(_terms(log_probs, target, log_target), reduction, _count(log_probs.shape, reduction))


def gradient(
    cotangent: Number,
    log_probs: Number,
    target: Number,
    *,
    reduction: Literal["none", "mean", "sum", "batchmean"] = "mean",
    log_target: bool = False,
) -> Number:
    """Gradient with respect to `log_probs`, of their shape."""
    g = upstream(cotangent, log_probs.shape, reduction, _count(log_probs.shape, reduction))
    return -(np.exp(target) if log_target else target) * g


def _terms(log_probs: Number, target: Number, log_target: bool) -> Number:
    p = np.exp(target) if log_target else target
    log_p = target if log_target else np.log(target)
    terms = either(p * (log_p - log_probs), p * log_p - p * log_probs)
    return where(p != 0, terms, 0 * p)


def _count(shape: tuple[int, ...], reduction: str) -> int | None:
    return (shape[0] if shape else 1) if reduction == "batchmean" else None
