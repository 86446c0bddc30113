"""Rows that are to be ignored: counted, kept, missed, or dropped when they should not be."""

import numpy as np

from conformance.losses.arithmetic import total, where
from conformance.losses.reduction import reduce, upstream
from conformance.losses.target import Mass, index_mass, target_mass
from mutants.base import CLASS_LABELS, classes_last, mutant


def with_ignore_index(call, change):
    return call.right(ignore_index=change(call.option("ignore_index")))


def is_index(call):
    return call.target.dtype.kind in "iu"


def as_class_zero(call):
    """Labels with the ignored rows turned into class 0, and no row ignored."""
    target = np.where(call.target == call.option("ignore_index"), 0, call.target).astype(call.target.dtype)
    return {"target": target, "ignore_index": -12345} if is_index(call) else {}


@mutant(*CLASS_LABELS)
def ignored_rows_taken_for_class_zero(call):
    return call.right(**as_class_zero(call))


@mutant(*CLASS_LABELS, output="gradient")
def ignored_rows_keep_their_gradient(call):
    return call.right(**as_class_zero(call))


@mutant(*CLASS_LABELS, replaces=index_mass)
def ignored_rows_counted_by_the_mean(like, target, weight, ignore_index):
    mass, kept, count = index_mass(like, target, weight, ignore_index)
    return Mass(mass, kept, target.size if weight is None else count)


@mutant(*CLASS_LABELS, replaces=index_mass, output="gradient")
def ignored_rows_counted_in_the_gradient_of_the_mean(like, target, weight, ignore_index):
    mass, kept, count = index_mass(like, target, weight, ignore_index)
    return Mass(mass, kept, target.size if weight is None else count)


@mutant(*CLASS_LABELS, replaces=index_mass)
def weight_of_ignored_rows_counted_by_the_mean(like, target, weight, ignore_index):
    """An ignored row adds the weight of the last class to the divisor."""
    mass, kept, count = index_mass(like, target, weight, ignore_index)
    return Mass(mass, kept, count if weight is None else count + weight[-1] * (~kept).sum())


@mutant(*CLASS_LABELS)
def ignore_index_always_minus_100(call):
    return with_ignore_index(call, lambda index: -100)


@mutant(*CLASS_LABELS)
def ignore_index_only_when_negative(call):
    return with_ignore_index(call, lambda index: min(index, -1))


@mutant(*CLASS_LABELS)
def ignore_index_only_when_not_negative(call):
    """Negative labels go through as the last classes."""
    if not is_index(call) or call.option("ignore_index") >= 0:
        return call.right()
    classes = call.x.shape[call.option("axis") if call.x.ndim > 1 else 0]
    return call.right(target=np.where(call.target < 0, call.target % classes, call.target))


@mutant(*CLASS_LABELS)
def ignore_index_zero_is_falsy(call):
    """`if ignore_index:` forgets class 0."""
    return with_ignore_index(call, lambda index: index or -100)


@mutant(*CLASS_LABELS)
def ignore_index_by_its_magnitude(call):
    return with_ignore_index(call, abs)


@mutant(*CLASS_LABELS)
def ignore_index_beyond_the_classes_is_not_seen(call):
    """Labels are clipped to the classes before they are compared."""
    if not is_index(call):
        return call.right()
    last = call.x.shape[call.option("axis") if call.x.ndim > 1 else 0] - 1
    return call.right(target=np.minimum(call.target, last))


@mutant("cross_entropy")
def ignored_class_leaves_the_softmax(call):
    """The logits of an ignored class are masked in every row."""
    index = call.option("ignore_index")
    x, back = classes_last(call)
    if not 0 <= index < x.shape[-1]:
        return call.right()
    x = x.copy()
    x[..., index] = -np.inf
    return call.with_x(back(x)).right()


@mutant("cross_entropy", replaces=target_mass)
def ignored_class_has_no_uniform_share(like, target, weight, ignore_index, label_smoothing):
    """With smoothing, the class that marks ignored rows loses its mass in all rows."""
    mass, kept, count = target_mass(like, target, weight, ignore_index, label_smoothing)
    return Mass(where(np.arange(like.shape[-1]) == ignore_index, 0 * mass, mass), kept, count)


@mutant("cross_entropy", replaces=target_mass)
def uniform_part_of_ignored_rows_kept(like, target, weight, ignore_index, label_smoothing):
    mass, kept, count = target_mass(like, target, weight, ignore_index, label_smoothing)
    uniform = np.asarray(label_smoothing / like.shape[-1] * (1 if weight is None else weight), like.dtype)
    return Mass(where(kept[..., None], mass, uniform + 0 * mass), np.ones_like(kept), count)


@mutant(*CLASS_LABELS)
def only_the_first_ignored_row_is_ignored(call):
    """The others go through as class 0."""
    ignored = np.flatnonzero(call.target == call.option("ignore_index")) if is_index(call) else []
    if len(ignored) < 2:
        return call.right()
    target = call.target.copy()
    target.flat[ignored[1:]] = 0 if call.option("ignore_index") else 1
    return call.right(target=target)


@mutant(*CLASS_LABELS)
def rows_after_an_ignored_one_are_dropped(call):
    """Padding is taken to be at the end."""
    ignored = np.flatnonzero(call.target == call.option("ignore_index")) if is_index(call) else []
    if not len(ignored):
        return call.right()
    target = call.target.copy()
    target.flat[ignored[0] :] = call.option("ignore_index")
    return call.right(target=target)


@mutant(*CLASS_LABELS)
def a_sample_is_ignored_when_its_first_position_is(call):
    if not is_index(call) or call.target.ndim < 2:
        return call.right()
    first = call.target[:, :1] == call.option("ignore_index")
    return call.right(target=np.where(first, call.option("ignore_index"), call.target))


@mutant(*CLASS_LABELS)
def ignore_index_left_out_of_k_dimensional_inputs(call):
    return call.right(**as_class_zero(call)) if call.x.ndim > 2 else call.right()


@mutant(*CLASS_LABELS, output="value")
def ignored_rows_are_nan_per_sample(call):
    right = call.right()
    if call.options["reduction"] != "none" or not is_index(call):
        return right
    return np.where(call.target == call.option("ignore_index"), call.scalar(np.nan), right)


@mutant(*CLASS_LABELS)
def ignored_rows_multiplied_by_zero(call):
    """0 times NaN or infinity is NaN."""
    if not is_index(call):
        return call.right()
    right = call.right()
    x, back = classes_last(call)
    bad = (call.target == call.option("ignore_index")) & ~np.isfinite(x).all(-1)
    if not bad.any():
        return right
    if call.cotangent is None:
        poison = np.where(bad, call.scalar(np.nan), call.scalar(0))
        return right + (poison if call.options["reduction"] == "none" else poison.sum(dtype=np.float32)).astype(x.dtype)
    return back(np.where(bad[..., None], call.scalar(np.nan), classes_last(call, right)[0]))


@mutant(*CLASS_LABELS, replaces=reduce, output="value")
def sum_divided_by_the_kept_share(loss, reduction, count=None):
    """The sum is scaled up as if the ignored rows had been like the others."""
    right = reduce(loss, reduction, count)
    if reduction != "sum" or not np.all(loss.shape):
        return right
    return np.asarray(right * loss.dtype.type(loss.size / max(np.sum(loss != 0), 1)))


@mutant(*CLASS_LABELS, replaces=upstream, output="gradient")
def mean_gradient_over_all_rows(cotangent, loss_shape, reduction, count=None):
    """The backward pass divides by the number of rows, whatever the forward pass divided by."""
    return upstream(cotangent, loss_shape, reduction, int(np.prod(loss_shape)))


@mutant("cross_entropy", replaces=target_mass)
def smoothing_forgets_the_ignored_rows_in_the_mean(like, target, weight, ignore_index, label_smoothing):
    """With smoothing, the mean counts all rows."""
    mass, kept, count = target_mass(like, target, weight, ignore_index, label_smoothing)
    return Mass(mass, kept, kept.size if float(label_smoothing) and weight is None else count)


@mutant("cross_entropy", replaces=target_mass)
def ignored_rows_weighted_in_the_smoothed_mean(like, target, weight, ignore_index, label_smoothing):
    """Weights, ignored rows and smoothing together: the divisor is the number of kept rows."""
    mass, kept, count = target_mass(like, target, weight, ignore_index, label_smoothing)
    together = weight is not None and float(label_smoothing) and not kept.all()
    return Mass(mass, kept, total(kept.astype(like.dtype)) if together else count)
