"""Softmax, its logarithm and its normaliser by a wrong formula, in the value or in the gradient."""

import numpy as np

from conformance.losses.arithmetic import expand, first_largest, log_of_sum, total, where
from conformance.losses.softmax import (
    log_normaliser,
    log_probabilities,
    probabilities,
    probabilities_for_gradient,
    shifted,
)
from mutants.base import SOFTMAX_FAMILY, classes_last, mutant

LOGARITHMIC = ("log_softmax", "logsumexp", "cross_entropy")


@mutant("softmax", "log_softmax", "cross_entropy")
def softmax_twice(call):
    """Logits that have been through a softmax already."""
    x, back = classes_last(call)
    return call.with_x(back(probabilities(x))).right()


@mutant(*LOGARITHMIC, replaces=log_normaliser, output="value")
def normaliser_in_base_two(shift):
    return log_normaliser(shift) / shift.dtype.type(np.log(2))


@mutant("log_softmax", "cross_entropy", replaces=log_probabilities, output="value")
def logarithm_to_base_two(logits):
    return log_probabilities(logits) / logits.dtype.type(np.log(2))


@mutant("log_softmax", "cross_entropy", replaces=log_probabilities, output="value")
def no_normaliser(logits):
    return shifted(logits)


@mutant(*LOGARITHMIC, replaces=log_of_sum, output="value")
def maximal_term_left_out_of_the_normaliser(exponentials, rest):
    return np.log(total(rest, -1, keepdims=True))


@mutant(*LOGARITHMIC, replaces=log_of_sum, output="value")
def maximal_term_counted_twice(exponentials, rest):
    """log1p of the sum of all exponentials, the maximal one among them."""
    return np.log1p(total(exponentials, -1, keepdims=True))


@mutant(*LOGARITHMIC, replaces=first_largest, output="value")
def all_ties_taken_out_with_the_maximum(x):
    """log1p of the other terms drops every term that equals the maximum."""
    return x == x.max(-1, keepdims=True)


@mutant("softmax", "cross_entropy", replaces=probabilities)
def one_more_in_the_denominator(logits):
    """exp(x) / (1 + sum exp(x)), the softmax that may attend to nothing."""
    exponentials = np.exp(shifted(logits))
    return exponentials / (total(exponentials, -1, keepdims=True) + 1)


@mutant("softmax", replaces=probabilities)
def denominator_with_an_epsilon(logits):
    exponentials = np.exp(shifted(logits))
    return exponentials / (total(exponentials, -1, keepdims=True) + logits.dtype.type(1e-6))


@mutant(*SOFTMAX_FAMILY)
def signs_of_the_logits_turned(call):
    return call.with_x(-call.x).right()


@mutant(*SOFTMAX_FAMILY)
def temperature_of_two(call):
    return call.with_x(call.x / call.scalar(2)).right()


@mutant("softmax", replaces=probabilities)
def normalised_over_the_whole_batch(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum(dtype=np.float64).astype(logits.dtype)


@mutant(*LOGARITHMIC, replaces=log_of_sum, output="value")
def normaliser_is_a_mean(exponentials, rest):
    """The mean of the exponentials in place of their sum."""
    return np.log(total(exponentials, -1, keepdims=True) / exponentials.dtype.type(exponentials.shape[-1]))


@mutant("logsumexp", output="value")
def maximum_not_added_back(call):
    x, _ = classes_last(call)
    return log_normaliser(shifted(x))[..., 0]


@mutant("logsumexp", output="value")
def maximum_of_the_batch_added_back(call):
    x, _ = classes_last(call)
    return log_normaliser(shifted(x))[..., 0] + x.max()


@mutant("logsumexp", output="value")
def logsumexp_keeps_its_axis(call):
    right = call.right()
    return np.expand_dims(right, call.option("axis"))


@mutant("softmax", output="gradient")
def softmax_gradient_is_diagonal(call):
    """p (1 - p) g, without the terms between classes."""
    x, back = classes_last(call)
    p = probabilities(x)
    return back(p * (1 - p) * classes_last(call, call.cotangent)[0])


@mutant("softmax", output="gradient")
def softmax_gradient_without_its_projection(call):
    """p g."""
    x, back = classes_last(call)
    return back(probabilities(x) * classes_last(call, call.cotangent)[0])


@mutant("softmax", output="gradient")
def softmax_gradient_less_the_plain_sum(call):
    """p (g - sum g)."""
    x, back = classes_last(call)
    g = classes_last(call, call.cotangent)[0]
    return back(probabilities(x) * (g - total(g, -1, keepdims=True)))


@mutant("softmax", output="gradient")
def softmax_gradient_less_the_mean(call):
    x, back = classes_last(call)
    g = classes_last(call, call.cotangent)[0]
    mean = total(g, -1, keepdims=True) / g.dtype.type(g.shape[-1])
    return back(probabilities(x) * (g - mean))


@mutant("log_softmax", output="gradient")
def log_softmax_gradient_passes_through(call):
    return call.cotangent.copy()


@mutant("log_softmax", output="gradient")
def log_softmax_gradient_is_diagonal(call):
    """(1 - p) g."""
    x, back = classes_last(call)
    return back((1 - probabilities(x)) * classes_last(call, call.cotangent)[0])


@mutant("log_softmax", output="gradient")
def log_softmax_gradient_with_the_mean(call):
    """g - p mean(g)."""
    x, back = classes_last(call)
    g = classes_last(call, call.cotangent)[0]
    return back(g - probabilities(x) * (total(g, -1, keepdims=True) / g.dtype.type(g.shape[-1])))


@mutant("log_softmax", output="gradient")
def log_softmax_gradient_sums_over_the_batch(call):
    """The upstream gradient is summed over the first axis."""
    x, back = classes_last(call)
    g = classes_last(call, call.cotangent)[0]
    return back(g - probabilities(x) * total(g, 0, keepdims=True))


@mutant("log_softmax", output="gradient")
def log_softmax_gradient_takes_the_normaliser_for_constant_one(call):
    """g - p, right for a one-hot upstream gradient only."""
    x, back = classes_last(call)
    return back(classes_last(call, call.cotangent)[0] - probabilities(x))


@mutant("log_softmax", "cross_entropy", "logsumexp", output="gradient", replaces=probabilities_for_gradient)
def gradient_uses_log_probabilities(logits):
    """The stored output is used as if it were the softmax."""
    return log_probabilities(logits)


@mutant("log_softmax", "cross_entropy", "logsumexp", output="gradient", replaces=probabilities_for_gradient)
def gradient_uses_unnormalised_exponentials(logits):
    return np.exp(shifted(logits))


@mutant("logsumexp", output="gradient")
def logsumexp_gradient_spread_evenly(call):
    x, back = classes_last(call)
    share = np.full(x.shape, 1 / x.shape[-1]).astype(x.dtype)
    return back(share * expand(call.cotangent))


@mutant("logsumexp", output="gradient")
def logsumexp_gradient_at_the_maximum_only(call):
    x, back = classes_last(call)
    g = expand(call.cotangent)
    return back(where(first_largest(x), 0 * x + g, 0 * g))


@mutant("cross_entropy", output="gradient", replaces=probabilities_for_gradient)
def gradient_without_the_softmax(logits):
    """Only minus the one-hot row."""
    return np.zeros_like(logits)


@mutant("log_softmax", output="gradient", replaces=total)
def log_softmax_gradient_without_the_sum(x, axis=None, *, keepdims=False):
    """g - p g."""
    return x
