"""The wrong axis, the wrong strides, and classes or rows that a loop does not reach."""

import numpy as np

from conformance.losses import LOSSES
from mutants.base import CLASS_LABELS, SOFTMAX_FAMILY, classes_last, mutant

EVERY = tuple(LOSSES)
WITH_AXIS = tuple(name for name, loss in LOSSES.items() if "axis" in loss.options)
LAST_BY_DEFAULT = ("softmax", "log_softmax", "logsumexp", "entropy")
ELEMENTWISE = tuple(name for name in LOSSES if name not in WITH_AXIS)
ROWS = (*SOFTMAX_FAMILY, "nll_loss", "entropy")


@mutant(*WITH_AXIS)
def axis_ignored(call):
    """The default axis, whatever was asked for; the wrong shape where the lengths differ."""
    return call.right(axis=LOSSES[call.loss].options["axis"].default)


@mutant(*WITH_AXIS)
def negative_axis_counted_from_the_front(call):
    axis = call.option("axis")
    return call.right(axis=-axis if "axis" in call.options and axis < 0 and -axis < call.x.ndim else axis)


@mutant(*LAST_BY_DEFAULT)
def axis_one_by_default(call):
    return call.right() if "axis" in call.options or call.x.ndim < 2 else call.right(axis=0)


@mutant(*CLASS_LABELS)
def classes_on_the_last_axis_by_default(call):
    """K-dimensional inputs have their classes in the middle; here only where both axes have one length."""
    if call.x.ndim < 3 or "axis" in call.options or call.x.shape[1] != call.x.shape[-1]:
        return call.right()
    return call.right(axis=-1)


@mutant(*WITH_AXIS, "binary_cross_entropy", "kl_div")
def square_inputs_transposed(call):
    if call.x.ndim != 2 or call.x.shape[0] != call.x.shape[1]:
        return call.right()
    return call.with_x(call.x.T).right()


@mutant(*CLASS_LABELS)
def k_dimensional_inputs_reshaped_without_a_transpose(call):
    """(N, C, d) read as N d rows of C classes."""
    if call.x.ndim != 3 or call.target.dtype.kind not in "iu":
        return call.right()
    x, _ = classes_last(call)
    mixed = np.moveaxis(call.x.reshape(x.shape), -1, call.option("axis"))
    return call.with_x(mixed).right()


@mutant(*CLASS_LABELS, output="gradient")
def gradient_of_k_dimensional_inputs_not_moved_back(call):
    right = call.right()
    if call.x.ndim < 3:
        return right
    return np.ascontiguousarray(classes_last(call, right)[0]).reshape(right.shape)


@mutant(*CLASS_LABELS, output="value")
def per_position_losses_transposed(call):
    right = call.right()
    return right.T.reshape(right.shape).copy() if right.ndim == 2 else right


def as_if_contiguous(x):
    """The elements that lie in memory from the start of a view on."""
    base = x
    while base.base is not None and isinstance(base.base, np.ndarray):
        base = base.base
    flat = np.frombuffer(base.tobytes("A"), dtype=x.dtype)
    start = (x.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // x.itemsize
    return np.resize(flat[start : start + x.size], x.size).reshape(x.shape)


@mutant(*EVERY)
def strides_of_the_input_ignored(call):
    return call.with_x(as_if_contiguous(call.x)).right() if call.x.size else call.right()


@mutant(*[name for name, loss in LOSSES.items() if "target" in loss.inputs])
def strides_of_the_target_ignored(call):
    return call.right(target=as_if_contiguous(call.target)) if call.target.size else call.right()


@mutant(*EVERY)
def transposed_memory_read_in_order(call):
    """A column-major array is taken for a row-major one."""
    x = call.x
    if x.ndim < 2 or x.flags.c_contiguous or not x.flags.f_contiguous:
        return call.right()
    return call.with_x(x.T.reshape(x.shape)).right()


@mutant(*EVERY, output="gradient")
def gradient_laid_out_as_the_transposed_input(call):
    right = call.right()
    if right.ndim < 2 or call.x.flags.c_contiguous or not call.x.flags.f_contiguous:
        return right
    return right.T.reshape(right.shape).copy()


def without(call, classes):
    """The result when some classes have no logits."""
    x, back = classes_last(call)
    missing = classes(np.arange(x.shape[-1]), x.shape[-1])
    empty = {"entropy": 0.0, "nll_loss": 0.0}.get(call.loss, -np.inf)
    return call.with_x(back(np.where(missing, x.dtype.type(empty), x))).right()


@mutant(*ROWS)
def last_class_left_out(call):
    return without(call, lambda j, count: (j == count - 1) & (count > 1))


@mutant(*ROWS)
def first_class_left_out(call):
    return without(call, lambda j, count: (j == 0) & (count > 1))


@mutant(*ROWS)
def classes_past_the_last_full_block_of_128_left_out(call):
    return without(call, lambda j, count: (j >= count // 128 * 128) & (count > 128))


@mutant(*ROWS)
def classes_past_the_last_full_block_of_1024_left_out(call):
    return without(call, lambda j, count: (j >= count // 1024 * 1024) & (count > 1024))


@mutant(*ROWS)
def classes_above_512_left_out(call):
    return without(call, lambda j, count: j >= 512)


@mutant(*ROWS)
def classes_above_65535_left_out(call):
    """The class index is kept in 16 bits."""
    return without(call, lambda j, count: j > 65535)


@mutant(*ROWS, output="gradient")
def gradient_past_128_classes_missing(call):
    g, back = classes_last(call, call.right())
    return back(np.where(np.arange(g.shape[-1]) >= 128, g.dtype.type(0), g))


@mutant(*ROWS, output="gradient")
def gradient_past_1000_rows_missing(call):
    right = call.right()
    if right.ndim > 1:
        right[1000:] = 0
    return right


@mutant(*EVERY)
def rows_after_the_eighth_left_out(call):
    """A grid of eight blocks, with nothing beyond."""
    if len(call.x.shape) < 2 or len(call.x) <= 8:
        return call.right()
    x = call.x.copy()
    x[8:] = 0
    return call.with_x(x).right()


@mutant(*ELEMENTWISE)
def last_odd_element_left_out(call):
    """Pairs of elements are processed, and a vector's tail as if it were zero."""
    x = call.x.copy()
    x.reshape(-1)[x.size // 4 * 4 :] = 0.5
    return call.with_x(x.reshape(call.x.shape)).right()
