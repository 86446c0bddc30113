"""Losses of two classes: terms left out or exchanged, clipped probabilities, positive weights in the wrong place."""

import numpy as np

from conformance.losses import binary_cross_entropy, binary_cross_entropy_with_logits
from conformance.losses.arithmetic import total
from conformance.losses.reduction import reduce
from conformance.losses.sigmoid import sigmoid
from conformance.losses.softplus import softplus
from mutants.base import mutant

BCE, LOGITS, MARGIN = "binary_cross_entropy", "binary_cross_entropy_with_logits", "soft_margin_loss"


def weighted(call, loss):
    """`loss` per element, weighted and reduced as the call asks."""
    weight = call.options.get("weight")
    return reduce(loss if weight is None else loss * weight, call.options["reduction"])


def masked(condition, term):
    return np.where(condition, term, 0 * term)


def clipped_probability(low):
    def change(call):
        bound = call.scalar(low)
        return call.with_x(np.clip(call.x, bound, 1 - bound)).right()

    return change


@mutant(BCE)
def probability_clipped_at_1e_7(call):
    return clipped_probability(1e-7)(call)


@mutant(BCE)
def probability_clipped_at_1e_3(call):
    return clipped_probability(1e-3)(call)


@mutant(BCE)
def probability_clipped_at_1e_12(call):
    return clipped_probability(1e-12)(call)


@mutant(BCE, output="value")
def logarithms_clamped_at_minus_10(call):
    p, y = call.x, call.target
    floor = p.dtype.type(-10)
    loss = -(y * np.maximum(np.log(p), floor) + (1 - y) * np.maximum(np.log1p(-p), floor))
    return weighted(call, loss)


@mutant(BCE, output="value")
def epsilon_in_both_logarithms(call):
    p, y = call.x, call.target
    eps = p.dtype.type(1e-8)
    return weighted(call, -(y * np.log(p + eps) + (1 - y) * np.log(1 - p + eps)))


@mutant(BCE, output="value")
def certain_and_right_gives_nan(call):
    """0 log 0 as IEEE arithmetic has it."""
    p, y = call.x, call.target
    return weighted(call, -(y * np.log(p) + (1 - y) * np.log1p(-p)))


@mutant(BCE, LOGITS)
def target_rounded_to_a_label(call):
    return call.right(target=(call.target > 0.5).astype(call.target.dtype))


@mutant(BCE, LOGITS)
def targets_exchanged(call):
    """1 - y in place of y."""
    return call.right(target=1 - call.target)


@mutant(BCE, output="value")
def prediction_and_target_exchanged(call):
    p, y = call.x, call.target
    return weighted(call, -(masked(p != 0, p * np.log(y)) + masked(p != 1, (1 - p) * np.log1p(-y))))


@mutant(BCE, output="value")
def negative_term_missing(call):
    return weighted(call, -masked(call.target != 0, call.target * np.log(call.x)))


@mutant(BCE, output="value")
def positive_term_missing(call):
    y = call.target
    return weighted(call, -masked(y != 1, (1 - y) * np.log1p(-call.x)))


@mutant(BCE, output="value")
def binary_entropy_in_bits(call):
    return call.right() / call.scalar(np.log(2))


@mutant(BCE, output="gradient")
def gradient_with_an_epsilon_in_the_denominator(call):
    p = call.x
    spread = p * (1 - p)
    return call.right() * (spread / (spread + p.dtype.type(1e-7)))


@mutant(BCE, output="gradient")
def gradient_denominator_at_least_1e_3(call):
    p = call.x
    spread = p * (1 - p)
    return call.right() * (spread / np.maximum(spread, p.dtype.type(1e-3)))


@mutant(BCE, output="gradient")
def gradient_with_respect_to_the_logit(call):
    """p - y, without the division by p (1 - p)."""
    return call.right() * call.x * (1 - call.x)


@mutant(BCE, output="gradient")
def gradient_of_the_positive_term_only(call):
    return np.where(call.target == 0, call.scalar(0), call.right())


@mutant(LOGITS, MARGIN)
def sigmoid_twice(call):
    """Scores that have been through a sigmoid already."""
    return call.with_x(sigmoid(call.x)).right()


@mutant(LOGITS, output="value")
def product_subtracted_from_the_softplus(call):
    """softplus(x) - x y cancels for x far above zero."""
    if call.options.get("pos_weight") is not None:
        return call.right()
    return weighted(call, softplus(call.x) - call.x * call.target)


@mutant(LOGITS, output="value")
def log_sigmoid_subtracted(call):
    """(1 - y) x - log_sigmoid(x) cancels for x far below zero."""
    if call.options.get("pos_weight") is not None:
        return call.right()
    return weighted(call, (1 - call.target) * call.x + softplus(-call.x))


@mutant(LOGITS, output="value")
def logarithms_of_probabilities(call):
    """Binary cross entropy of sigmoid(x)."""
    p, y = sigmoid(call.x), call.target
    positive = y if call.options.get("pos_weight") is None else y * call.options["pos_weight"]
    return weighted(call, -(masked(y != 0, positive * np.log(p)) + masked(y != 1, (1 - y) * np.log1p(-p))))


@mutant(LOGITS, output="value")
def clipped_probabilities_of_logits(call):
    p, y = np.clip(sigmoid(call.x), call.scalar(1e-6), call.scalar(1 - 1e-6)), call.target
    positive = y if call.options.get("pos_weight") is None else y * call.options["pos_weight"]
    return weighted(call, -(positive * np.log(p) + (1 - y) * np.log(1 - p)))


def weight_of(call):
    weight = call.options.get("weight")
    return call.scalar(1) if weight is None else weight


def positive_weight(call, change):
    weight = call.options.get("pos_weight")
    return call.right() if weight is None else call.right(pos_weight=change(weight))


@mutant(LOGITS)
def pos_weight_ignored(call):
    return positive_weight(call, lambda weight: None)


@mutant(LOGITS)
def pos_weight_added_to_one(call):
    return positive_weight(call, lambda weight: 1 + weight)


@mutant(LOGITS)
def pos_weight_on_the_negatives(call):
    weight = call.options.get("pos_weight")
    if weight is None:
        return call.right()
    return call.right(weight=weight * weight_of(call), pos_weight=call.scalar(1) / weight)


@mutant(LOGITS)
def pos_weight_on_both_sides(call):
    weight = call.options.get("pos_weight")
    if weight is None:
        return call.right()
    return call.right(pos_weight=None, weight=weight * weight_of(call))


@mutant(LOGITS)
def pos_weight_for_hard_labels_only(call):
    """Only targets of exactly 1 are weighted."""
    return positive_weight(call, lambda weight: np.where(call.target == 1, weight, weight.dtype.type(1)))


@mutant(LOGITS)
def pos_weight_left_out_beside_a_weight(call):
    return positive_weight(call, lambda weight: None if call.options.get("weight") is not None else weight)


@mutant(LOGITS)
def pos_weight_of_the_first_column_for_all(call):
    return positive_weight(call, lambda weight: weight.ravel()[0])


@mutant(LOGITS, output="gradient")
def pos_weight_not_in_the_gradient(call):
    return positive_weight(call, lambda weight: None)


@mutant(LOGITS, output="gradient")
def pos_weight_twice_in_the_gradient(call):
    return positive_weight(call, np.square)


@mutant(LOGITS)
def mean_over_the_positive_weights(call):
    """The mean divides by the weights of positives and the number of negatives."""
    weight = call.options.get("pos_weight")
    if weight is None or call.options["reduction"] != "mean":
        return call.right()
    divisor = (1 - call.target + call.target * weight).astype(np.float64).mean()
    return np.asarray(call.right().astype(np.float64) / divisor).astype(call.x.dtype)


@mutant(MARGIN)
def margin_of_the_other_sign(call):
    return call.right(target=-call.target)


@mutant(MARGIN)
def margin_labels_reduced_to_their_sign(call):
    return call.right(target=np.sign(call.target))


@mutant(MARGIN)
def margin_labels_taken_for_zero_and_one(call):
    """-1 counts as 0."""
    return call.right(target=np.maximum(call.target, 0))


@mutant(MARGIN, output="value")
def hinge_in_place_of_the_logistic_loss(call):
    return reduce(np.maximum(1 - call.target * call.x, 0), call.options["reduction"])


@mutant(MARGIN, output="value")
def logistic_loss_in_bits(call):
    return call.right() / call.scalar(np.log(2))


@mutant(MARGIN, output="gradient")
def margin_gradient_without_the_label(call):
    return call.right() * np.where(call.target == 0, call.scalar(1), np.sign(call.target))


@mutant(BCE, replaces=binary_cross_entropy.reduce, output="value")
def rows_averaged_and_then_summed(loss, reduction, count=None):
    """The mean runs over the first axis only."""
    right = reduce(loss, reduction, count)
    return right * right.dtype.type(loss.shape[-1]) if reduction == "mean" and loss.ndim > 1 else right


@mutant(LOGITS, replaces=binary_cross_entropy_with_logits.reduce, output="value")
def zero_losses_left_out_of_the_mean(loss, reduction, count=None):
    """The mean divides by the number of elements that cost anything."""
    if reduction != "mean":
        return reduce(loss, reduction, count)
    return total(loss) / np.asarray(max(np.count_nonzero(loss), 1)).astype(loss.dtype)
