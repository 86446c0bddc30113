"""Label smoothing: the wrong uniform part, the wrong share of it, or none where another option is in use."""

import numpy as np
from ml_dtypes import bfloat16

from conformance.losses.arithmetic import is_float, total, where
from conformance.losses.target import Mass, target_mass
from mutants.base import mutant


def smoothed(call, change):
    """The right result for another smoothing."""
    smoothing = call.option("label_smoothing")
    return call.right(label_smoothing=float(change(smoothing))) if smoothing else call.right()


def classes(call):
    return call.x.shape[call.option("axis") if call.x.ndim > 1 else 0]


@mutant("cross_entropy")
def smoothing_ignored(call):
    return smoothed(call, lambda e: 0.0)


@mutant("cross_entropy")
def smoothing_over_the_other_classes(call):
    """K - 1 in place of K: the label keeps 1 - e and the others share e."""
    return smoothed(call, lambda e: e * classes(call) / max(classes(call) - 1, 1))


@mutant("cross_entropy")
def smoothing_over_one_class_more(call):
    return smoothed(call, lambda e: e * classes(call) / (classes(call) + 1))


@mutant("cross_entropy")
def smoothing_over_the_length_of_the_last_axis(call):
    """K is read off the last axis, wherever the classes are."""
    return smoothed(call, lambda e: e * classes(call) / call.x.shape[-1])


@mutant("cross_entropy", replaces=target_mass)
def label_keeps_all_its_mass(like, target, weight, ignore_index, label_smoothing):
    """q + e/K in place of (1 - e) q + e/K."""
    share = float(label_smoothing)
    mass, kept, count = target_mass(like, target, weight, ignore_index, label_smoothing * 0)
    uniform = target_mass(like, target, weight, ignore_index, np.asarray(1.0, like.dtype)).mass
    return Mass(mass + np.asarray(share, like.dtype) * uniform if share else mass, kept, count)


@mutant("cross_entropy", replaces=target_mass)
def uniform_part_not_divided_by_the_classes(like, target, weight, ignore_index, label_smoothing):
    """(1 - e) q + e."""
    plain, kept, count = target_mass(like, target, weight, ignore_index, label_smoothing * 0)
    uniform = target_mass(like, target, weight, ignore_index, np.asarray(1.0, like.dtype)).mass
    uniform = uniform * like.dtype.type(like.shape[-1])
    return Mass(plain * (1 - label_smoothing) + uniform * label_smoothing, kept, count)


@mutant("cross_entropy", replaces=target_mass)
def label_has_no_uniform_share(like, target, weight, ignore_index, label_smoothing):
    """The uniform part goes to the classes without mass only, e/K each."""
    plain = target_mass(like, target, weight, ignore_index, label_smoothing * 0).mass
    mass, kept, count = target_mass(like, target, weight, ignore_index, label_smoothing)
    return Mass(where(plain != 0, plain * (1 - label_smoothing), mass), kept, count)


@mutant("cross_entropy", output="value")
def smoothing_missing_in_the_value(call):
    return smoothed(call, lambda e: 0.0)


@mutant("cross_entropy", output="gradient")
def smoothing_missing_in_the_gradient(call):
    return smoothed(call, lambda e: 0.0)


@mutant("cross_entropy", output="gradient")
def uniform_part_missing_in_the_gradient(call):
    """The gradient has (1 - e) (p - onehot) and nothing else."""
    smoothing = call.option("label_smoothing")
    right = call.right(label_smoothing=0.0)
    return right * call.scalar(1 - smoothing) if smoothing else right


@mutant("cross_entropy", output="gradient")
def smoothing_over_the_other_classes_in_the_gradient(call):
    return smoothing_over_the_other_classes(call)


@mutant("cross_entropy")
def smoothing_squared(call):
    return smoothed(call, np.square)


@mutant("cross_entropy")
def smoothing_applied_twice(call):
    return smoothed(call, lambda e: 1 - (1 - e) ** 2)


@mutant("cross_entropy")
def smoothing_of_one_is_off(call):
    """`0 < e < 1` leaves the upper end out."""
    return smoothed(call, lambda e: e if e < 1 else 0.0)


@mutant("cross_entropy")
def smoothing_at_most_half(call):
    return smoothed(call, lambda e: min(e, 0.5))


@mutant("cross_entropy")
def smoothing_rounded_to_bfloat16(call):
    return smoothed(call, bfloat16)


@mutant("cross_entropy")
def smoothing_left_out_with_weights(call):
    return smoothed(call, lambda e: e if call.options.get("weight") is None else 0.0)


@mutant("cross_entropy")
def smoothing_left_out_with_ignored_rows(call):
    return smoothed(call, lambda e: 0.0 if np.any(call.target == call.option("ignore_index")) else e)


@mutant("cross_entropy")
def smoothing_left_out_with_probability_targets(call):
    return smoothed(call, lambda e: e if call.target.dtype.kind in "iu" else 0.0)


@mutant("cross_entropy")
def smoothing_left_out_of_k_dimensional_inputs(call):
    return smoothed(call, lambda e: e if call.x.ndim < 3 else 0.0)


@mutant("cross_entropy")
def smoothing_left_out_per_sample(call):
    return smoothed(call, lambda e: 0.0 if call.options["reduction"] == "none" else e)


@mutant("cross_entropy", output="value")
def uniform_part_averaged_under_the_sum(call):
    """The first part is summed and the second averaged over the rows."""
    smoothing, target = call.option("label_smoothing"), call.target
    if call.options["reduction"] != "sum" or not smoothing or not target.size:
        return call.right()
    plain, uniform = call.right(label_smoothing=0.0), call.right(label_smoothing=1.0)
    return np.asarray(plain * (1 - smoothing) + uniform * smoothing / target.size).astype(call.x.dtype)


@mutant("cross_entropy", replaces=target_mass)
def smoothing_after_the_weights(like, target, weight, ignore_index, label_smoothing):
    """The weighted one-hot row is smoothed: the uniform part is the weighted mass spread over all classes."""
    mass, kept, count = target_mass(like, target, weight, ignore_index, label_smoothing * 0)
    if weight is None or not float(label_smoothing):
        return target_mass(like, target, weight, ignore_index, label_smoothing)
    mean = total(mass, -1, keepdims=True) / np.asarray(like.shape[-1], like.dtype)
    return Mass(mass * (1 - label_smoothing) + mean * label_smoothing, kept, count)


@mutant("cross_entropy", replaces=target_mass)
def smoothing_renormalises_probability_targets(like, target, weight, ignore_index, label_smoothing):
    """Soft targets are divided by their sum before they are smoothed."""
    if is_float(target) and float(label_smoothing):
        target = target / total(target, -1, keepdims=True)
    return target_mass(like, target, weight, ignore_index, label_smoothing)


@mutant("cross_entropy")
def probability_targets_become_labels(call):
    """Only the largest probability of a row counts."""
    if call.target.dtype.kind in "iu":
        return call.right()
    axis = call.option("axis") if call.x.ndim > 1 else 0
    best = call.target.argmax(axis)
    onehot = np.arange(classes(call)) == best[..., None]
    return call.right(target=np.moveaxis(onehot, -1, axis).astype(call.target.dtype))


@mutant("cross_entropy", replaces=target_mass)
def probability_targets_renormalised(like, target, weight, ignore_index, label_smoothing):
    if is_float(target):
        target = target / total(target, -1, keepdims=True)
    return target_mass(like, target, weight, ignore_index, label_smoothing)


@mutant("cross_entropy", replaces=target_mass)
def probability_targets_clipped_at_zero(like, target, weight, ignore_index, label_smoothing):
    if is_float(target):
        target = np.maximum(target, 0)
    return target_mass(like, target, weight, ignore_index, label_smoothing)
