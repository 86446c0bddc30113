"""Class labels: off by one, in a type too narrow for them, clipped, or compared as floats."""

import numpy as np
from ml_dtypes import bfloat16

from mutants.base import CLASS_LABELS, mutant


def relabelled(call, change):
    """The right result for other labels; ignored rows stay ignored."""
    if call.target.dtype.kind not in "iu":
        return call.right()
    classes = call.x.shape[call.option("axis") if call.x.ndim > 1 else 0]
    index = call.option("ignore_index")
    labels = np.asarray(change(call.target.astype(np.int64), classes)).astype(np.int64)
    inside = np.clip(labels, 0, max(classes - 1, 0))
    return call.right(target=np.where(call.target == index, index, inside).astype(np.int64))


@mutant(*CLASS_LABELS)
def labels_counted_from_one(call):
    return relabelled(call, lambda labels, classes: labels - 1)


@mutant(*CLASS_LABELS)
def label_of_the_next_class(call):
    return relabelled(call, lambda labels, classes: (labels + 1) % classes)


@mutant(*CLASS_LABELS)
def labels_of_the_next_row(call):
    return relabelled(call, lambda labels, classes: np.roll(labels, 1, axis=0) if labels.ndim else labels)


@mutant(*CLASS_LABELS)
def labels_never_the_last_class(call):
    return relabelled(call, lambda labels, classes: np.minimum(labels, classes - 2))


@mutant(*CLASS_LABELS)
def label_zero_taken_for_padding(call):
    """Rows of class 0 are dropped, unless there is nothing else."""
    if call.target.dtype.kind not in "iu" or call.option("ignore_index") == 0 or call.target.ndim == 0:
        return call.right()
    target = call.target.astype(np.int64)
    return call.right(target=np.where(target == 0, call.option("ignore_index"), target))


@mutant(*CLASS_LABELS)
def labels_in_int8(call):
    return relabelled(call, lambda labels, classes: labels.astype(np.int8).astype(np.int64) % classes)


@mutant(*CLASS_LABELS)
def labels_in_uint8(call):
    return relabelled(call, lambda labels, classes: labels.astype(np.uint8))


@mutant(*CLASS_LABELS)
def labels_in_uint16(call):
    return relabelled(call, lambda labels, classes: labels.astype(np.uint16))


@mutant(*CLASS_LABELS)
def labels_in_bfloat16(call):
    """Labels above 256 are rounded to a neighbour."""
    return relabelled(call, lambda labels, classes: labels.astype(bfloat16).astype(np.float64))


@mutant(*CLASS_LABELS)
def labels_in_float16(call):
    """Labels above 2048 are rounded to a neighbour."""
    return relabelled(call, lambda labels, classes: np.minimum(labels.astype(np.float16).astype(np.float64), 1e9))


@mutant(*CLASS_LABELS)
def labels_in_the_dtype_of_the_logits(call):
    """One-hot rows are made by comparing labels that were cast to the logits' dtype."""
    return relabelled(call, lambda labels, classes: np.minimum(labels.astype(call.x.dtype).astype(np.float64), 1e9))


@mutant(*CLASS_LABELS)
def labels_clipped_to_255(call):
    return relabelled(call, lambda labels, classes: np.minimum(labels, 255))


@mutant(*CLASS_LABELS)
def int32_labels_read_as_int64(call):
    """Every second word is skipped."""
    if call.target.dtype != np.int32:
        return call.right()
    return relabelled(call, lambda labels, classes: np.resize(np.repeat(labels.ravel()[::2], 1), labels.shape))


@mutant(*CLASS_LABELS)
def uint8_labels_read_as_int8(call):
    if call.target.dtype != np.uint8:
        return call.right()
    return relabelled(call, lambda labels, classes: labels.astype(np.int8).astype(np.int64) % classes)


@mutant(*CLASS_LABELS)
def ignore_index_compared_in_the_type_of_the_labels(call):
    """-100 is 156 among unsigned bytes."""
    if call.target.dtype != np.uint8:
        return call.right()
    return call.right(ignore_index=call.option("ignore_index") % 256)


@mutant(*CLASS_LABELS)
def offset_of_a_row_in_the_type_of_the_labels(call):
    """row * K + label wraps around in the labels' own type."""
    if call.target.dtype != np.uint8 or call.target.ndim != 1 or call.option("axis") not in {1, -1}:
        return call.right()
    rows, classes = call.x.shape
    flat = (np.arange(rows) * classes + call.target).astype(np.uint8)
    return relabelled(call, lambda labels, classes: flat % classes)


@mutant(*CLASS_LABELS)
def labels_sorted(call):
    return relabelled(call, lambda labels, classes: np.sort(labels, axis=0) if labels.ndim else labels)


@mutant(*CLASS_LABELS)
def labels_of_the_first_row_for_all(call):
    return relabelled(
        call, lambda labels, classes: np.broadcast_to(labels[:1], labels.shape) if labels.ndim else labels
    )


@mutant(*CLASS_LABELS)
def unbatched_label_ignored(call):
    """A single sample is always of class 0."""
    return relabelled(call, lambda labels, classes: labels if labels.ndim else labels * 0)
