"""The losses by their textbook definitions in mpmath, with all options: no shifts, no log1p, only many digits."""

from __future__ import annotations

import mpmath
import numpy as np

exp = np.frompyfunc(mpmath.exp, 1, 1)
log = np.frompyfunc(lambda x: mpmath.log(x) if x != 0 else mpmath.mpf(0), 1, 1)
"""Zero at zero, because it only ever occurs there as 0 log 0."""
exactly = np.frompyfunc(lambda x: mpmath.mpf(float(x)), 1, 1)


def textbook(name, inputs, options):
    """The value as an array of mpmath numbers. Floating-point inputs are such arrays, classes on the last axis."""
    reduction = options.get("reduction", "none")
    if name in ("cross_entropy", "nll_loss"):
        losses, divisor = class_losses(name, **inputs, options=options)
    else:
        losses, divisor = ELEMENTWISE[name](*inputs.values(), options), None
    losses = np.asarray(losses, dtype=object)
    if reduction == "none":
        return losses
    if reduction == "mean" and divisor is None:
        divisor = losses.size
    elif reduction == "batchmean":
        divisor = (*losses.shape, 1)[0]
    return np.asarray(losses.sum() / (1 if reduction == "sum" else divisor), dtype=object)


def class_losses(name, target, options, logits=None, log_probs=None):
    """Loss of each row, and what a mean divides by."""
    log_p = log_probs if logits is None else log(softmax(logits))
    classes = log_p.shape[-1]
    weight = exactly(options.get("weight", np.ones(classes)))
    smoothing = mpmath.mpf(options.get("label_smoothing", 0.0))
    if target.dtype == object:
        q, kept, divisor = target, np.ones(target.shape[:-1], int), None
    else:
        kept = (target != options.get("ignore_index", -100)).astype(int)
        q = (np.arange(classes) == target[..., None]).astype(int)
        divisor = np.sum(kept * weight[np.where(kept, target, 0)])
    q = (1 - smoothing) * q + smoothing / classes
    return kept * -np.sum(q * weight * log_p, -1), divisor


def softmax(x):
    return exp(x) / np.sum(exp(x), -1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + exp(-x))


def weighted(losses, options):
    return losses * exactly(options.get("weight", 1.0))


def with_logits(x, y, options):
    positive = exactly(options.get("pos_weight", 1.0))
    return weighted(-(positive * y * log(sigmoid(x)) + (1 - y) * log(1 - sigmoid(x))), options)


def divergence(log_q, target, options):
    p = exp(target) if options.get("log_target") else target
    return p * (log(p) - log_q)


ELEMENTWISE = {
    "softmax": lambda x, _: softmax(x),
    "log_softmax": lambda x, _: log(softmax(x)),
    "logsumexp": lambda x, _: log(np.sum(exp(x), -1)),
    "sigmoid": lambda x, _: sigmoid(x),
    "log_sigmoid": lambda x, _: log(sigmoid(x)),
    "softplus": lambda x, _: log(1 + exp(x)),
    "binary_cross_entropy": lambda p, y, options: weighted(-(y * log(p) + (1 - y) * log(1 - p)), options),
    "binary_cross_entropy_with_logits": with_logits,
    "soft_margin_loss": lambda x, y, _: log(1 + exp(-y * x)),
    "kl_div": divergence,
    "entropy": lambda p, _: -np.sum(p * log(p), -1),
    "self_information": lambda p, _: -log(p),
}
