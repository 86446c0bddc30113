"""Kullback-Leibler divergence, entropy and self-information by a wrong formula."""

import numpy as np

from conformance.losses.arithmetic import total, where
from conformance.losses.kl_div import _terms
from conformance.losses.reduction import reduce
from mutants.base import classes_last, mutant


@mutant("kl_div")
def divergence_of_the_exchanged_arguments(call):
    """KL(Q, P): the truth and the prediction in the wrong order."""
    log_q, p = call.x, call.target
    swapped = call.with_x(p if call.option("log_target") else np.log(p))
    return swapped.right(target=log_q if call.option("log_target") else np.exp(log_q))


@mutant("kl_div")
def log_target_ignored(call):
    return call.right(log_target=False)


@mutant("kl_div", output="gradient")
def log_target_ignored_in_the_gradient(call):
    return call.right(log_target=False)


@mutant("kl_div")
def target_exponentiated_twice(call):
    return call.right(target=np.exp(call.target)) if call.option("log_target") else call.right()


@mutant("kl_div", replaces=_terms, output="value")
def divergence_without_the_entropy(log_probs, target, log_target):
    """The cross entropy -p log q."""
    p = np.exp(target) if log_target else target
    return -p * log_probs


@mutant("kl_div", replaces=_terms, output="value")
def zero_targets_give_nan(log_probs, target, log_target):
    p = np.exp(target) if log_target else target
    return p * ((target if log_target else np.log(target)) - log_probs)


@mutant("kl_div", replaces=_terms, output="value")
def targets_clipped_at_1e_7(log_probs, target, log_target):
    if not log_target:
        target = np.maximum(target, target.dtype.type(1e-7))
    return _terms(log_probs, target, log_target)


@mutant("kl_div", replaces=_terms, output="value")
def targets_with_an_epsilon(log_probs, target, log_target):
    """log(p + 1e-8)."""
    if log_target:
        return _terms(log_probs, target, log_target)
    return target * (np.log(target + target.dtype.type(1e-8)) - log_probs)


@mutant("kl_div", replaces=_terms, output="value")
def negative_terms_cut_off(log_probs, target, log_target):
    """Every element is at least 0, as the whole divergence is."""
    return np.maximum(_terms(log_probs, target, log_target), 0)


@mutant("kl_div", replaces=_terms, output="value")
def unnormalised_divergence(log_probs, target, log_target):
    """The generalised form p log(p / q) - p + q."""
    p = np.exp(target) if log_target else target
    return _terms(log_probs, target, log_target) - p + np.exp(log_probs)


@mutant("kl_div", output="gradient")
def gradient_of_the_unnormalised_divergence(call):
    """q - p."""
    return call.right() - call.right(target=call.x, log_target=True)


@mutant("kl_div")
def targets_renormalised(call):
    if call.option("log_target"):
        return call.right()
    return call.right(target=call.target / total(call.target, -1, keepdims=True))


@mutant("kl_div")
def log_probabilities_normalised_first(call):
    """A log-softmax is applied to what is log-probabilities already."""
    shift = call.x - call.x.max(-1, keepdims=True)
    return call.with_x(shift - np.log(total(np.exp(shift), -1, keepdims=True))).right()


@mutant("kl_div")
def prediction_taken_for_probabilities(call):
    """The logarithm of the first argument is taken once more."""
    return call.with_x(np.log(np.abs(call.x))).right()


@mutant("kl_div", output="value")
def divergence_in_bits(call):
    return call.right() / call.scalar(np.log(2))


@mutant("entropy", output="value")
def entropy_in_bits(call):
    return call.right() / call.scalar(np.log(2))


@mutant("entropy")
def entropy_of_the_normalised_row(call):
    p, back = classes_last(call)
    return call.with_x(back(p / total(p, -1, keepdims=True))).right()


@mutant("entropy", output="value")
def entropy_with_an_epsilon(call):
    """log(p + 1e-8)."""
    p, _ = classes_last(call)
    return total(-(p * np.log(p + p.dtype.type(1e-8))), -1)


@mutant("entropy", output="value")
def entropy_of_zero_is_nan(call):
    p, _ = classes_last(call)
    return total(-(p * np.log(p)), -1)


@mutant("entropy", output="value")
def entropy_skips_small_probabilities(call):
    """Anything below 1e-3 counts as zero."""
    p, _ = classes_last(call)
    return total(where(p > 1e-3, -(p * np.log(p)), 0 * p), -1)


@mutant("entropy", output="value")
def entropy_relative_to_the_uniform(call):
    """Divided by log K, so that it lies between 0 and 1."""
    p, _ = classes_last(call)
    return call.right() / p.dtype.type(np.log(p.shape[-1]))


@mutant("entropy", output="value")
def entropy_without_its_sign(call):
    return -call.right()


@mutant("entropy", output="value")
def entropy_keeps_its_axis(call):
    return np.expand_dims(call.right(), call.option("axis"))


@mutant("entropy", output="gradient")
def entropy_gradient_without_the_one(call):
    """-log p."""
    p, back = classes_last(call)
    return back(-(np.log(p) * call.cotangent[..., None]))


@mutant("entropy", output="gradient")
def entropy_gradient_of_a_normalised_row(call):
    """The gradient within the simplex, its mean over the row taken out."""
    g, back = classes_last(call, call.right())
    return back(g - total(g, -1, keepdims=True) / g.dtype.type(g.shape[-1]))


@mutant("entropy", output="gradient")
def entropy_gradient_with_an_epsilon(call):
    p, back = classes_last(call)
    g = call.cotangent[..., None]
    return back(-(np.log(p + p.dtype.type(1e-6)) * g + g))


@mutant("self_information", output="value")
def self_information_in_bits(call):
    return call.right() / call.scalar(np.log(2))


@mutant("self_information", output="value")
def self_information_clipped_at_1e_7(call):
    return -np.log(np.maximum(call.x, call.scalar(1e-7)))


@mutant("self_information", output="value")
def self_information_with_an_epsilon(call):
    return -np.log(call.x + call.scalar(1e-9))


@mutant("self_information", output="value")
def self_information_never_infinite(call):
    return np.minimum(call.right(), call.scalar(100))


@mutant("self_information", output="value")
def self_information_to_first_order_near_one(call):
    """1 - p for p above 0.95."""
    return np.where(call.x > 0.95, 1 - call.x, call.right())


@mutant("self_information", output="value")
def self_information_through_a_rounded_reciprocal(call):
    """log(1 / p), where the rounding of 1 / p shows near p = 1."""
    return np.log(1 / call.x)


@mutant("self_information", output="gradient")
def information_gradient_with_an_epsilon(call):
    return -call.cotangent / (call.x + call.scalar(1e-6))


@mutant("self_information", output="gradient")
def information_gradient_without_the_reciprocal(call):
    return -call.cotangent * call.x


@mutant("kl_div", replaces=reduce, output="value")
def divergence_never_negative(loss, reduction, count=None):
    """The reduced value is cut off at 0, which unnormalised rows pass."""
    right = reduce(loss, reduction, count)
    return right if reduction == "none" else np.maximum(right, 0)
