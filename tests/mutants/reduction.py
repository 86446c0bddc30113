"""Wrong reductions: what the sum, the mean and none of them give."""

import numpy as np

from conformance.losses import kl_div
from conformance.losses.arithmetic import quotient, total
from conformance.losses.reduction import reduce, upstream
from conformance.losses.target import Mass, index_mass, target_mass
from mutants.base import CLASS_LABELS, REDUCED, mutant


@mutant(*REDUCED, output="value")
def mean_returns_the_sum(call):
    return call.right(reduction="sum" if call.options["reduction"] == "mean" else call.options["reduction"])


@mutant(*REDUCED)
def sum_returns_the_mean(call):
    return call.right(reduction="mean" if call.options["reduction"] == "sum" else call.options["reduction"])


@mutant(*REDUCED)
def none_is_divided_by_the_batch(call):
    right = call.right()
    return right / call.scalar(len(call.x)) if call.options["reduction"] == "none" and call.x.ndim else right


@mutant(*REDUCED, replaces=quotient, output="value")
def mean_over_one_less(numerator, denominator):
    """Bessel's correction, as in a standard deviation."""
    return quotient(numerator, denominator - 1)


@mutant(*REDUCED, output="gradient")
def gradient_of_the_sum_for_the_mean(call):
    return call.right(reduction="sum" if call.options["reduction"] == "mean" else call.options["reduction"])


@mutant(*REDUCED, output="gradient")
def gradient_of_the_mean_for_the_sum(call):
    return call.right(reduction="mean" if call.options["reduction"] == "sum" else call.options["reduction"])


@mutant(*REDUCED, output="gradient", replaces=upstream)
def gradient_of_the_mean_divided_twice(cotangent, loss_shape, reduction, count=None):
    return upstream(upstream(cotangent, loss_shape, reduction, count), loss_shape, reduction, count)


@mutant(*REDUCED, replaces=reduce, output="value")
def last_element_left_out(loss, reduction, count=None):
    """A loop that ends one element early, when there is more than one."""
    if reduction != "none" and loss.size > 1:
        loss = loss.copy()
        loss[(-1,) * loss.ndim] = 0
    return reduce(loss, reduction, count)


@mutant(*REDUCED, replaces=reduce, output="value")
def first_element_counted_twice(loss, reduction, count=None):
    if reduction != "none" and loss.size:
        loss = loss.copy()
        loss.flat[0] *= 2
    return reduce(loss, reduction, count)


@mutant("binary_cross_entropy", "binary_cross_entropy_with_logits", "soft_margin_loss", "kl_div")
def mean_over_rows_and_not_elements(call):
    """The mean of sums over the last axis."""
    right = call.right()
    if call.options["reduction"] != "mean" or call.x.ndim < 2:
        return right
    return right * call.scalar(call.x.shape[-1])


@mutant("cross_entropy")
def mean_over_elements_with_probability_targets(call):
    right = call.right()
    if call.options["reduction"] == "mean" and call.target.dtype.kind not in "iu":
        return right / call.scalar(call.x.shape[call.option("axis") if call.x.ndim > 1 else 0])
    return right


@mutant(*CLASS_LABELS)
def mean_over_samples_and_not_positions(call):
    """K-dimensional inputs: the sum over positions is divided by the first axis."""
    right = call.right()
    if call.options["reduction"] != "mean" or call.x.ndim < 3:
        return right
    positions = call.x.size / call.x.shape[call.option("axis")]
    return (right * (positions / len(call.x))).astype(right.dtype)


@mutant(*CLASS_LABELS, output="gradient")
def gradient_of_the_mean_over_samples_and_not_positions(call):
    right = call.right()
    if call.options["reduction"] != "mean" or call.x.ndim < 3:
        return right
    positions = call.x.size / call.x.shape[call.option("axis")]
    return (right * (positions / len(call.x))).astype(right.dtype)


@mutant(*CLASS_LABELS, output="value")
def mean_of_the_means_of_two_halves(call):
    """Micro-batches averaged with equal shares, whatever they count: wrong when the halves count differently."""
    half = len(call.x) // 2
    if call.options["reduction"] != "mean" or call.x.ndim < 2 or not half or call.option("axis") == 0:
        return call.right()
    parts = []
    for rows in (slice(None, half), slice(half, None)):
        x, target = call.x[rows], call.target[rows]
        parts.append(call.with_x(x).right(target=target))
    return np.asarray((parts[0] * half + parts[1] * (len(call.x) - half)) / call.scalar(len(call.x)), call.x.dtype)


def at_least_one(mass, kept, count):
    return Mass(mass, kept, np.maximum(count, 1))


@mutant("nll_loss", replaces=index_mass)
def divisor_at_least_one_in_nll(*args):
    """max(total weight, 1) guards the division and is wrong for a small total weight."""
    return at_least_one(*index_mass(*args))


@mutant("cross_entropy", replaces=target_mass)
def divisor_at_least_one(*args):
    """max(total weight, 1) guards the division and is wrong for a small total weight."""
    return at_least_one(*target_mass(*args))


@mutant(*CLASS_LABELS, replaces=quotient, output="value")
def epsilon_in_the_divisor(numerator, denominator):
    """1e-3 beside a total weight."""
    return quotient(numerator, denominator + np.asarray(1e-3, numerator.dtype))


@mutant(*REDUCED, replaces=quotient, output="value")
def mean_of_a_constant_batch(numerator, denominator):
    """The batch size of the usual inputs in place of the actual one."""
    return total(numerator) / np.asarray(8, numerator.dtype)


@mutant("cross_entropy", "nll_loss", output="value")
def batch_axis_kept_by_the_sum(call):
    """The sum keeps an axis of length one."""
    right = call.right()
    return right.reshape(1) if call.options["reduction"] == "sum" else right


@mutant("cross_entropy", "nll_loss", output="value")
def per_sample_losses_flattened(call):
    right = call.right()
    return right.ravel() if call.options["reduction"] == "none" and call.x.ndim > 2 else right


@mutant("cross_entropy", "nll_loss")
def single_sample_divided_by_its_classes(call):
    """Without a batch axis, the mean divides by the length of the only axis."""
    right = call.right()
    return right / call.scalar(call.x.size) if call.x.ndim == 1 and call.options["reduction"] == "mean" else right


@mutant("kl_div")
def batchmean_is_the_mean(call):
    return call.right(reduction={"batchmean": "mean"}.get(call.options["reduction"], call.options["reduction"]))


@mutant("kl_div")
def mean_is_the_batchmean(call):
    return call.right(reduction={"mean": "batchmean"}.get(call.options["reduction"], call.options["reduction"]))


@mutant("kl_div")
def batchmean_is_the_sum(call):
    return call.right(reduction={"batchmean": "sum"}.get(call.options["reduction"], call.options["reduction"]))


@mutant("kl_div", replaces=kl_div._count)
def batchmean_over_the_last_axis(shape, reduction):
    return (shape[-1] if shape else 1) if reduction == "batchmean" else None


@mutant("kl_div", replaces=kl_div._count)
def batchmean_over_all_but_the_last_axis(shape, reduction):
    """Sequences of distributions are averaged over positions, which batchmean does not do."""
    return int(np.prod(shape[:-1])) if reduction == "batchmean" else None


@mutant("kl_div", output="gradient", replaces=kl_div._count)
def gradient_of_batchmean_over_elements(shape, reduction):
    return int(np.prod(shape)) if reduction == "batchmean" else None
