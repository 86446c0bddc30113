"""NaN, infinities and zeros: swallowed, spread, replaced or invented."""

import numpy as np

from conformance.losses import LOSSES
from conformance.losses.arithmetic import largest, total
from conformance.losses.softmax import log_probabilities, probabilities, shifted
from mutants.base import SOFTMAX_FAMILY, classes_last, mutant

EVERY = tuple(LOSSES)
WITH_NAN = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "sigmoid", "log_sigmoid", "softplus")
WITH_NAN = (*WITH_NAN, "binary_cross_entropy_with_logits")
MASKED = ("softmax", "log_softmax", "logsumexp", "cross_entropy")


@mutant(*WITH_NAN)
def nan_replaced_by_zero(call):
    return call.with_x(np.where(np.isnan(call.x), call.scalar(0), call.x)).right()


@mutant(*WITH_NAN)
def nan_in_the_result_replaced_by_zero(call):
    right = call.right()
    return np.where(np.isnan(right), right.dtype.type(0), right)


@mutant(*SOFTMAX_FAMILY)
def nan_in_a_row_masked(call):
    """A maximum that skips NaN and a sum that does, too."""
    return call.with_x(np.where(np.isnan(call.x), call.scalar(-np.inf), call.x)).right()


@mutant(*WITH_NAN)
def nan_spreads_to_the_batch(call):
    right = call.right()
    return np.full_like(right, np.nan) if np.isnan(call.x).any() else right


@mutant(*MASKED, replaces=shifted)
def infinite_maximum_replaced_by_zero(logits):
    """A row with a NaN maximum is not shifted and its NaN becomes a mask."""
    top = largest(logits)
    top = np.where(np.isfinite(top), top, 0)
    return np.where(np.isnan(logits), logits.dtype.type(-np.inf), logits - top.astype(logits.dtype))


@mutant(*MASKED)
def minus_infinity_replaced_by_minus_1e4(call):
    """A mask of -10000 in place of -inf."""
    return call.with_x(np.where(np.isneginf(call.x), call.scalar(-1e4), call.x)).right()


@mutant("log_softmax", "cross_entropy", "log_sigmoid", "nll_loss", "self_information", output="value")
def infinite_result_replaced_by_the_largest_number(call):
    right = call.right()
    return np.where(np.isinf(right), np.sign(right) * right.dtype.type(6e4), right)


@mutant("log_softmax", "cross_entropy", replaces=log_probabilities, output="value")
def masked_classes_poison_their_row(logits):
    """0 times -inf is added to every entry."""
    masked = np.isneginf(logits).any(-1, keepdims=True)
    return np.where(masked, logits.dtype.type(np.nan), log_probabilities(logits))


@mutant("log_softmax", "cross_entropy", "logsumexp", "softmax", output="gradient")
def masked_classes_have_no_number_for_a_gradient(call):
    right = call.right()
    return np.where(np.isneginf(call.x), right.dtype.type(np.nan), right)


@mutant("softmax", replaces=probabilities, output="value")
def masked_classes_keep_a_little(logits):
    p = probabilities(logits)
    return np.where(p == 0, p.dtype.type(1e-6), p)


@mutant(*MASKED)
def leading_mask_gives_nan(call):
    """A running maximum that starts from -inf meets -inf - -inf."""
    x, back = classes_last(call)
    bad = np.isneginf(x[..., :2]).all(-1, keepdims=True)
    return call.with_x(back(np.where(bad, x.dtype.type(np.nan), x))).right()


@mutant("cross_entropy", "nll_loss")
def zero_mass_times_infinity(call):
    """One-hot rows times log-probabilities: 0 times -inf is NaN."""
    right = call.right()
    if call.target.dtype.kind not in "iu":
        return right
    x, back = classes_last(call)
    kept = call.target != call.option("ignore_index")
    bad = kept & np.isneginf(x).any(-1)
    if not bad.any():
        return right
    if call.cotangent is not None:
        return back(np.where(bad[..., None], right.dtype.type(np.nan), classes_last(call, right)[0]))
    return np.where(bad if call.options["reduction"] == "none" else True, right.dtype.type(np.nan), right)


@mutant("sigmoid", "log_sigmoid", "softplus")
def infinite_arguments_give_nan(call):
    right = call.right()
    return np.where(np.isinf(call.x), right.dtype.type(np.nan), right)


@mutant("sigmoid", "log_sigmoid", "softplus", output="gradient")
def infinite_arguments_give_a_nan_gradient(call):
    right = call.right()
    return np.where(np.isinf(call.x), right.dtype.type(np.nan), right)


@mutant("cross_entropy", "nll_loss", output="value")
def infinite_losses_skipped(call):
    right = call.right()
    return np.where(np.isposinf(right), right.dtype.type(0), right)


@mutant("cross_entropy", "log_softmax")
def zero_logits_taken_for_padding(call):
    """A logit of exactly 0 is masked, unless its row has nothing else."""
    x, back = classes_last(call)
    zero = (x == 0) & (x != 0).any(-1, keepdims=True)
    return call.with_x(back(np.where(zero, x.dtype.type(-1e4), x))).right()


@mutant("softmax", "logsumexp")
def zero_logits_left_out_of_the_sum(call):
    """As a padded kernel does that fills with zeros and masks them."""
    x, back = classes_last(call)
    zero = (x == 0) & (x != 0).any(-1, keepdims=True)
    return call.with_x(back(np.where(zero, x.dtype.type(-1e4), x))).right()


@mutant("softplus", "sigmoid", "log_sigmoid")
def zero_is_taken_for_negative_infinity(call):
    """`x or -inf`."""
    return call.with_x(np.where(call.x == 0, call.scalar(-1e4), call.x)).right()


@mutant("cross_entropy", "nll_loss", output="value")
def losses_never_above_1000(call):
    return np.minimum(call.right(), call.scalar(1000))


@mutant("cross_entropy", replaces=total, output="value")
def sums_skip_what_is_not_finite(x, axis=None, *, keepdims=False):
    return total(np.where(np.isfinite(x), x, x.dtype.type(0)), axis, keepdims=keepdims)
