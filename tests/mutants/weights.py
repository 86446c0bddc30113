"""Weights of classes, elements and positives: left out, misplaced, applied too often or in the wrong divisor."""

import numpy as np
from ml_dtypes import bfloat16

from conformance.losses import target as targets
from conformance.losses.arithmetic import total
from conformance.losses.target import Mass, index_mass, target_mass
from mutants.base import CLASS_LABELS, classes_last, mutant, through

BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
WEIGHTED = (*CLASS_LABELS, *BINARY)


def changed(call, change, option="weight"):
    """The right result for a changed weight, or without one as it is."""
    weight = call.options.get(option)
    return call.right() if weight is None else call.right(**{option: change(weight)})


@mutant(*WEIGHTED)
def weight_ignored(call):
    return changed(call, lambda weight: None)


@mutant(*WEIGHTED)
def weight_applied_twice(call):
    return changed(call, np.square)


@mutant(*WEIGHTED)
def weight_under_a_root(call):
    return changed(call, np.sqrt)


@mutant(*WEIGHTED)
def weight_normalised_to_mean_one(call):
    return changed(call, lambda weight: weight / weight.mean())


@mutant(*WEIGHTED)
def weight_zero_taken_for_none(call):
    """A weight of zero is replaced by one, as `weight or 1` does."""
    return changed(call, lambda weight: np.where(weight == 0, weight.dtype.type(1), weight))


@mutant(*WEIGHTED)
def weight_clipped_to_one(call):
    return changed(call, lambda weight: np.minimum(weight, weight.dtype.type(1)))


@mutant(*WEIGHTED)
def weight_of_the_next_column(call):
    return changed(call, lambda weight: np.roll(weight, 1, axis=-1) if weight.ndim else weight)


@mutant(*WEIGHTED)
def weight_of_the_first_column_for_all(call):
    return changed(call, lambda weight: np.broadcast_to(weight[..., :1], weight.shape) if weight.ndim else weight)


@mutant(*WEIGHTED)
def weight_rounded_to_bfloat16(call):
    return changed(call, through(bfloat16))


@mutant(*WEIGHTED)
def weight_rounded_to_float16(call):
    return changed(call, through(np.float16))


@mutant(*WEIGHTED, output="gradient")
def weight_not_in_the_gradient(call):
    return changed(call, lambda weight: None)


@mutant(*WEIGHTED, output="gradient")
def weight_twice_in_the_gradient(call):
    return changed(call, np.square)


@mutant(*CLASS_LABELS)
def weighted_mean_over_rows(call):
    """The mean divides by the number of kept rows and not by their weights."""
    if call.options.get("weight") is None or call.options["reduction"] != "mean" or call.target.dtype.kind not in "iu":
        return call.right()
    kept = max(np.sum(call.target != call.option("ignore_index")), 1)
    right = call.right(reduction="sum")
    return np.asarray(right / kept, right.dtype)


def mean_over(call, divisor):
    """The sum, divided by something else."""
    if call.options.get("weight") is None or call.options["reduction"] != "mean":
        return call.right()
    right = call.right(reduction="sum").astype(np.float64)
    return np.asarray(right / divisor(call).astype(np.float64)).astype(call.x.dtype)


@mutant(*CLASS_LABELS)
def weighted_mean_over_the_weights_of_all_classes(call):
    return mean_over(call, lambda call: call.options["weight"].sum())


@mutant(*BINARY)
def weighted_mean_over_the_weights(call):
    """A binary loss divided by the sum of its weights."""
    return mean_over(call, lambda call: (call.options["weight"] + 0 * call.x).sum())


@mutant("cross_entropy")
def weighted_mean_of_probability_targets_over_their_weights(call):
    """Divides by the weighted mass, as for index targets."""
    if call.target.dtype.kind in "iu":
        return call.right()
    return mean_over(call, lambda call: (classes_last(call, call.target)[0] * call.options["weight"]).sum())


@mutant(*CLASS_LABELS, output="gradient")
def gradient_of_the_weighted_mean_over_rows(call):
    return weighted_mean_over_rows(call)


@mutant("cross_entropy", replaces=target_mass)
def weight_not_on_the_uniform_part(like, target, weight, ignore_index, label_smoothing):
    mass, kept, count = target_mass(like, target, weight, ignore_index, 0 * label_smoothing)
    uniform = label_smoothing / like.shape[-1] * kept[..., None].astype(like.dtype)
    return Mass(mass * (1 - label_smoothing) + uniform, kept, count)


@mutant("cross_entropy", replaces=target_mass)
def uniform_part_weighted_by_the_label(like, target, weight, ignore_index, label_smoothing):
    """The whole smoothed row is scaled by the weight of its label."""
    mass, kept, count = target_mass(like, target, None, ignore_index, label_smoothing)
    if weight is None or not targets.is_float(like) or targets.is_float(target):
        return target_mass(like, target, weight, ignore_index, label_smoothing)
    rows, _, count = index_mass(like, target, weight, ignore_index)
    return Mass(mass * total(rows, -1, keepdims=True), kept, count)


@mutant("cross_entropy", replaces=target_mass)
def smoothed_weights_in_the_divisor(like, target, weight, ignore_index, label_smoothing):
    """The mean divides by all the smoothed and weighted mass."""
    mass, kept, count = target_mass(like, target, weight, ignore_index, label_smoothing)
    return Mass(mass, kept, count if weight is None or targets.is_float(target) else total(mass))


@mutant("cross_entropy", "nll_loss", replaces=index_mass)
def weights_by_position_in_the_batch(like, target, weight, ignore_index):
    """The weight of row i is weight[i]."""
    if weight is None:
        return index_mass(like, target, weight, ignore_index)
    mass, kept, _ = index_mass(like, target, None, ignore_index)
    mass = mass * np.resize(weight, target.shape)[..., None]
    return Mass(mass, kept, total(mass))


@mutant("cross_entropy", replaces=target_mass)
def weights_left_out_with_probability_targets(like, target, weight, ignore_index, label_smoothing):
    return target_mass(like, target, None if targets.is_float(target) else weight, ignore_index, label_smoothing)


@mutant("cross_entropy", replaces=target_mass)
def weights_by_row_with_probability_targets(like, target, weight, ignore_index, label_smoothing):
    """A row is scaled by its expected weight instead of class by class."""
    mass, kept, count = target_mass(like, target, None, ignore_index, label_smoothing)
    if weight is None or not targets.is_float(target):
        return target_mass(like, target, weight, ignore_index, label_smoothing)
    return Mass(mass * total(mass * weight, -1, keepdims=True), kept, count)


@mutant(*CLASS_LABELS)
def weights_left_out_of_the_sum(call):
    return changed(call, lambda weight: None if call.options["reduction"] == "sum" else weight)


@mutant(*CLASS_LABELS)
def weights_left_out_per_sample(call):
    return changed(call, lambda weight: None if call.options["reduction"] == "none" else weight)


@mutant(*BINARY)
def weight_broadcast_along_the_rows(call):
    """A weight per column is read as a weight per row where both have one length."""
    if call.x.ndim != 2 or call.x.shape[0] != call.x.shape[1]:
        return call.right()
    return changed(call, lambda weight: weight[:, None] if weight.ndim == 1 else weight.T)


@mutant(*BINARY)
def weight_of_a_row_read_from_the_first_row(call):
    """A weight with rows of its own is taken for one row."""
    return changed(call, lambda weight: weight[0] if weight.ndim == 2 else weight)
