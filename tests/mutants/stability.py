"""Unstable forms: no shift by the maximum, clipping, epsilons, differences that cancel, thresholds."""

import numpy as np

from conformance.losses import LOSSES
from conformance.losses.arithmetic import largest, total
from conformance.losses.sigmoid import sigmoid
from conformance.losses.softmax import (
    log_normaliser,
    log_probabilities,
    probabilities,
    probabilities_for_gradient,
    shifted,
)
from conformance.losses.softplus import sigmoid_for_gradient, softplus
from mutants.base import SOFTMAX_FAMILY, classes_last, mutant

LOG_PROBABILITIES = ("log_softmax", "cross_entropy")
SIGMOID_LOSSES = ("log_sigmoid", "softplus", "binary_cross_entropy_with_logits", "soft_margin_loss")
LOGITS = tuple(name for name, loss in LOSSES.items() if loss.wrt == "logits")


@mutant(*SOFTMAX_FAMILY, replaces=shifted)
def no_shift_by_the_maximum(logits):
    return logits


@mutant(*SOFTMAX_FAMILY, replaces=largest)
def shift_by_a_maximum_of_at_least_zero(x):
    """The running maximum starts from 0 and not from -inf."""
    return np.maximum(x.max(-1, keepdims=True), 0)


@mutant(*SOFTMAX_FAMILY, replaces=shifted)
def shift_by_the_maximum_of_the_batch(logits):
    return logits - logits.max() if logits.size else logits


@mutant(*SOFTMAX_FAMILY, replaces=shifted)
def shift_by_the_mean(logits):
    return (logits - logits.mean(-1, keepdims=True, dtype=np.float64)).astype(logits.dtype)


@mutant(*SOFTMAX_FAMILY, replaces=shifted)
def shift_by_the_first_logit(logits):
    return logits - logits[..., :1]


def clipped(bound):
    return lambda call: call.with_x(np.clip(call.x, call.scalar(-bound), call.scalar(bound))).right()


@mutant(*LOGITS)
def logits_clipped_to_10(call):
    return clipped(10)(call)


@mutant(*LOGITS)
def logits_clipped_to_30(call):
    return clipped(30)(call)


@mutant(*LOGITS)
def logits_clipped_to_88(call):
    return clipped(88)(call)


@mutant(*LOGITS)
def logits_clipped_to_1000(call):
    return clipped(1000)(call)


@mutant(*SOFTMAX_FAMILY, replaces=shifted)
def gaps_clipped_to_50(logits):
    """The shifted logits never fall below -50."""
    return np.maximum(shifted(logits), logits.dtype.type(-50))


@mutant(*LOG_PROBABILITIES, replaces=log_probabilities, output="value")
def log_of_softmax(logits):
    return np.log(probabilities(logits))


@mutant(*LOG_PROBABILITIES, replaces=log_probabilities, output="value")
def log_of_softmax_clipped_at_1e_7(logits):
    return np.log(np.clip(probabilities(logits), logits.dtype.type(1e-7), logits.dtype.type(1 - 1e-7)))


@mutant(*LOG_PROBABILITIES, replaces=log_probabilities, output="value")
def log_of_softmax_plus_1e_8(logits):
    return np.log(probabilities(logits) + logits.dtype.type(1e-8))


@mutant(*LOG_PROBABILITIES, replaces=log_probabilities, output="value")
def log_probabilities_at_least_minus_100(logits):
    return np.maximum(log_probabilities(logits), logits.dtype.type(-100))


@mutant(*LOG_PROBABILITIES, replaces=log_probabilities, output="value")
def normaliser_completed_before_it_is_subtracted(logits):
    """x - (m + log s) cancels at the scale of the logits."""
    return logits - (largest(logits) + log_normaliser(shifted(logits)))


@mutant("log_softmax", "cross_entropy", "logsumexp", replaces=log_normaliser, output="value")
def log_of_the_whole_sum_in_a_wide_gap(shift):
    """1 + s rounds to 1 where s is small: the sum is rounded to 10 bits before its logarithm is taken."""
    step = shift.dtype.type(2.0**-10)
    s = total(np.exp(shift), -1, keepdims=True)
    return np.log(np.round(s / step) * step)


@mutant("logsumexp", output="value")
def logsumexp_without_the_maximum(call):
    """log(sum(exp(x)))."""
    x, _ = classes_last(call)
    return np.log(total(np.exp(x), -1))


@mutant("cross_entropy", output="value")
def normaliser_less_the_mean_of_logits(call):
    """lse(x) - sum q x, whose terms cancel at the scale of the logits."""
    if call.option("weight") is not None or call.target.dtype.kind in "iu" or call.options["reduction"] != "none":
        return call.right()
    x, _ = classes_last(call)
    q, _ = classes_last(call, call.target)
    if call.option("label_smoothing") or not np.allclose(q.sum(-1, dtype=np.float64), 1):
        return call.right()
    return (largest(x) + log_normaliser(shifted(x)))[..., 0] - total(q * x, -1)


@mutant("softmax", replaces=probabilities, output="value")
def softmax_less_than_1e_7_flushed(logits):
    p = probabilities(logits)
    return np.where(p < p.dtype.type(1e-7), p.dtype.type(0), p)


@mutant("softmax", replaces=probabilities, output="value")
def softmax_through_the_stored_normaliser(logits):
    """exp(x - lse(x)) with the rounded normaliser."""
    return np.exp(logits - (largest(logits) + log_normaliser(shifted(logits))))


@mutant("logsumexp", "log_softmax", "cross_entropy", replaces=probabilities_for_gradient, output="gradient")
def gradient_through_the_stored_normaliser(logits):
    """exp(x - lse(x)) with the rounded normaliser."""
    return np.exp(logits - (largest(logits) + log_normaliser(shifted(logits))))


@mutant("sigmoid", replaces=sigmoid)
def sigmoid_clipped_at_1e_7(x):
    return np.clip(sigmoid(x), x.dtype.type(1e-7), x.dtype.type(1 - 1e-7))


@mutant("sigmoid", replaces=sigmoid)
def sigmoid_of_the_other_side(x):
    """1 - g(-x), which has no digits for x far below zero."""
    return 1 - sigmoid(-x)


@mutant("sigmoid", replaces=sigmoid)
def sigmoid_by_tanh(x):
    """(1 + tanh(x / 2)) / 2 has no digits for x far below zero."""
    half = x.dtype.type(0.5)
    return (1 + np.tanh(x * half)) * half


@mutant("sigmoid", replaces=sigmoid)
def sigmoid_by_a_growing_exponential(x):
    """exp(x) / (1 + exp(x)) is inf / inf for x far above zero."""
    return np.exp(x) / (1 + np.exp(x))


@mutant("sigmoid", output="gradient", replaces=sigmoid)
def sigmoid_gradient_saturates_at_15(x):
    """The slope is 0 outside +-15."""
    return np.where(np.abs(x) > 15, (x > 0).astype(x.dtype), sigmoid(x))


@mutant(*SIGMOID_LOSSES, replaces=softplus, output="value")
def softplus_without_log1p(x):
    return np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x)))


@mutant(*SIGMOID_LOSSES, replaces=softplus, output="value")
def softplus_as_it_is_written(x):
    return np.log(1 + np.exp(x))


@mutant(*SIGMOID_LOSSES, replaces=softplus, output="value")
def softplus_without_a_guard(x):
    """log1p(exp(x)) overflows."""
    return np.log1p(np.exp(x))


@mutant(*SIGMOID_LOSSES, replaces=softplus, output="value")
def softplus_linear_above_10(x):
    return np.where(x > 10, x, softplus(x))


@mutant(*SIGMOID_LOSSES, replaces=softplus, output="value")
def softplus_linear_above_20(x):
    return np.where(x > 20, x, softplus(x))


@mutant(*SIGMOID_LOSSES, replaces=softplus, output="value")
def softplus_zero_below_minus_20(x):
    return np.where(x < -20, x.dtype.type(0), softplus(x))


@mutant(*SIGMOID_LOSSES, replaces=softplus, output="value")
def softplus_by_the_log_of_sigmoid(x):
    """-log(g(-x)) is infinite for x far above zero, and 0 far below."""
    return -np.log(sigmoid(-x))


@mutant(*SIGMOID_LOSSES, replaces=softplus, output="value")
def softplus_by_subtraction(x):
    """x + softplus(-x) on both sides cancels for x far below zero."""
    return x + softplus(-x)


@mutant(*SIGMOID_LOSSES, replaces=sigmoid_for_gradient, output="gradient")
def slope_of_softplus_by_subtraction(x):
    """1 - g(-x)."""
    return 1 - sigmoid(-x)


@mutant(*SIGMOID_LOSSES, replaces=sigmoid_for_gradient, output="gradient")
def slope_of_softplus_one_above_10(x):
    return np.where(x > 10, x.dtype.type(1), sigmoid(x))


@mutant(*SIGMOID_LOSSES, replaces=sigmoid_for_gradient, output="gradient")
def slope_of_softplus_zero_below_minus_15(x):
    return np.where(x < -15, x.dtype.type(0), sigmoid(x))


@mutant(*LOGITS, output="gradient")
def gradient_through_a_clip(call):
    """No gradient where the logits were clipped to +-50, which the value does not show."""
    right = call.right()
    return np.where(np.abs(call.x) > 50, right.dtype.type(0), right)
