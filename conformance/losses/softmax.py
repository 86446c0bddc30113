r"""Softmax over the class axis: $p_i = e^{x_i} / \sum_j e^{x_j}$.

Computed after subtracting the largest logit, which changes nothing exactly and keeps every exponential at most 1
(Blanchard, Higham & Higham, Accurately computing the log-sum-exp and softmax functions, IMA J. Numer. Anal. 41, 2021).
Gradient: $\partial L/\partial x_i = p_i (g_i - \sum_j g_j p_j)$.

This file also holds the pieces that the other losses of the softmax family share.
"""

import numpy as np

from conformance.losses.arithmetic import (
    Number,
    either,
    first_largest,
    fractions,
    largest,
    log_of_sum,
    move_axis,
    roundings,
    total,
    where,
)


def value(logits: Number, *, axis: int = -1) -> Number:
    """Probabilities, of the shape of `logits`."""
    return move_axis(probabilities(move_axis(logits, axis, -1)), -1, axis)


def gradient(cotangent: Number, logits: Number, *, axis: int = -1) -> Number:
    """Gradient with respect to `logits`, of their shape."""
    p = probabilities(move_axis(logits, axis, -1))
    g = move_axis(cotangent, axis, -1)
    expected = total(g * p, -1, keepdims=True)
    return move_axis(either(p * (g - expected), p * g - p * expected), -1, axis)


def shifted(logits: Number) -> Number:
    """Logits less their row's maximum."""
    return logits - largest(logits)


def log_normaliser(shift: Number) -> Number:
    """log sum exp of shifted logits, kept as an axis of length one."""
    exponentials = np.exp(shift)
    rest = where(first_largest(shift), 0 * shift, exponentials)
    return log_of_sum(exponentials, rest)


def probabilities(logits: Number) -> Number:
    """Softmax over the last axis. One rounding is granted to a multiplication by the reciprocal of the sum."""
    return roundings(fractions(np.exp(shifted(logits))), 1)


def log_probabilities(logits: Number) -> Number:
    """Log-softmax over the last axis, (x - max x) - log sum exp(x - max x)."""
    shift = shifted(logits)
    return shift - log_normaliser(shift)


def probabilities_for_gradient(logits: Number) -> Number:
    """Softmax as a backward pass has it: computed afresh, or exp of the log-softmax that the forward pass stored."""
    p = probabilities(logits)
    return either(p, np.exp(log_probabilities(logits)))
