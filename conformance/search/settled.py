"""Which questions have one right answer: points on which libraries differ on purpose are no matter for a search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.casefiles.case import Question
from conformance.judge.reference import Reference
from conformance.losses import FORMATS, Array
from conformance.losses.target import class_axis

_ROWWISE = ("softmax", "log_softmax", "logsumexp", "cross_entropy")


def open_point(question: Question) -> str:
    """The convention that a question comes down to, or nothing."""
    inputs, options, _ = question.exact
    first = inputs[question.case.loss.wrt]
    checks = {
        "binary_cross_entropy_with_logits": _infinite(first),
        "soft_margin_loss": _infinite(first),
        "kl_div": _odd(first) or _infinite(inputs.get("target", first)),
        "self_information": _subnormal(first, question.dtype),
    }
    found = checks.get(question.case.loss.name, "")
    if question.case.loss.name in ("cross_entropy", "nll_loss"):
        found = found or _class_point(question, first, inputs["target"], options)
    if question.case.loss.name in _ROWWISE:
        found = found or _row_point(question, first, options)
    return found or _zero_divisor(question)


def settled_by(question: Question, reference: Reference) -> bool:
    """Whether the reference is an answer that nobody can dispute.

    It is not where the formula makes a NaN of numbers that are none, as 0/0 does, nor where a derivative is infinite;
    nor at log 0 of binary cross entropy, which many clip; nor where the bound is infinite, as when a subnormal number
    that may be flushed to zero is divided by.
    """
    if np.any(np.isinf(reference.bound)):
        return False
    if np.any(np.isinf(reference.value)) and (
        question.output == "gradient" or question.case.loss.name == "binary_cross_entropy"
    ):
        return False
    if np.any(np.isnan(reference.value)):
        return any(np.any(np.isnan(x)) for x in question.exact[0].values())
    return True


def _infinite(x: Array) -> str:
    return "infinite_logit" if np.any(np.isinf(x)) else ""


def _subnormal(x: Array, dtype: str) -> str:
    return "subnormal_probability" if np.any((x != 0) & (np.abs(x) < _flushes_below(dtype))) else ""


def _odd(x: Array) -> str:
    return "" if np.all(np.isfinite(x)) else "zero_times_infinity"


def _row_point(question: Question, logits: Array, options: dict[str, Any]) -> str:
    rows = _classes_last(question, logits, options)
    if np.any(rows == np.inf):
        return "infinite_logit"
    if np.any(np.isnan(rows)) and np.any(np.isinf(rows)):
        return "nan_beside_infinity"
    return "all_minus_inf" if np.any(np.all(rows == -np.inf, axis=-1)) else ""


def _class_point(question: Question, first: Array, target: Array, options: dict[str, Any]) -> str:
    """0 times infinity, and a NaN that a weight of zero would hide; ignored rows do hide what is in them."""
    odd = ~np.isfinite(_classes_last(question, first, options))
    if not np.any(odd):
        return ""
    if options.get("label_smoothing") == 1:  # nothing is left to the label, whose own loss may be infinite
        return "zero_times_infinity"
    weight = options.get("weight")
    classes = odd.shape[-1]
    if target.dtype.kind == "f":
        mass = _classes_last(question, target, options) != 0
        mass |= bool(options.get("label_smoothing"))
    else:
        kept = target != options.get("ignore_index", -100)
        odd = odd & kept[..., None]
        mass = np.ones((*target.shape, classes), dtype=bool)
        if weight is not None:  # a row of weight zero may drop what is in it
            row = np.asarray(weight)[np.clip(target, 0, classes - 1)]
            mass &= (row != 0)[..., None]
    if weight is not None:
        mass = mass & (np.asarray(weight) != 0 if target.dtype.kind == "f" or options.get("label_smoothing") else True)
    return "zero_times_infinity" if np.any(odd & ~mass) else ""


def _zero_divisor(question: Question) -> str:
    """A mean over nothing: no element, no kept row, or a total weight of zero."""
    case, options = question.case, question.exact[1]
    if options.get("reduction", "none") not in ("mean", "batchmean"):
        return ""
    inputs = question.exact[0]
    first = inputs[case.loss.wrt]
    if first.size == 0:
        return "mean_of_nothing"
    if case.loss.name == "kl_div" and options["reduction"] == "batchmean" and first.ndim < 2:
        return "batchmean_of_vector"
    target = inputs.get("target")
    if case.loss.name in ("cross_entropy", "nll_loss") and target is not None and target.dtype.kind != "f":
        kept = target[target != options.get("ignore_index", -100)]
        weight = options.get("weight")
        if kept.size == 0 or (weight is not None and not np.any(np.asarray(weight)[kept])):
            return "zero_total_weight"
    return ""


def _classes_last(question: Question, x: Array, options: dict[str, Any]) -> Array:
    loss = question.case.loss
    axis = options.get("axis", loss.options["axis"].default)
    if loss.name in ("cross_entropy", "nll_loss"):
        axis = class_axis(axis, x.ndim)
    return np.moveaxis(x, axis, -1)


def overflows_on_the_way(question: Question) -> bool:
    """Whether a product of inputs and options may overflow in a careful implementation that has a finite result."""
    inputs, options, cotangent = question.exact
    arrays = [*inputs.values(), *(x for x in options.values() if isinstance(x, np.ndarray))]
    arrays += [] if cotangent is None else [cotangent]
    with np.errstate(all="ignore"):
        arrays += _reciprocals(inputs) if question.output == "gradient" else []
        sizes = [float(np.max(np.abs(x), initial=1.0, where=np.isfinite(x))) for x in arrays]
        product = float(np.prod([max(size, 1.0) for size in sizes]))
        if "reduction" in question.case.loss.options:
            product *= max(inputs[question.case.loss.wrt].size, 1)
    return not product < 0.5 * FORMATS[question.dtype].largest


def may_be_refused(question: Question) -> bool:
    """Whether a framework may refuse the question: class indices in types that few have for them."""
    target = question.inputs.get("target")
    return target is not None and target.dtype in (np.int8, np.int16)


def flushed(question: Question) -> Question | None:
    """The question with subnormal inputs flushed to zero, as processors may be set to do; nothing without any."""
    limit = _flushes_below(question.dtype)
    inputs = {name: _flush(x, limit) for name, x in question.case.inputs.items()}
    if all(np.array_equal(x, question.case.inputs[name], equal_nan=True) for name, x in inputs.items()):
        return None
    return Question(replace(question.case, inputs=inputs), question.dtype, question.output)


def _flushes_below(dtype: str) -> float:
    """Subnormal numbers of float16 are ordinary ones."""
    return 0.0 if dtype == "float16" else FORMATS[dtype].smallest_normal


def _flush(x: Array, limit: float) -> Array:
    return np.where(np.abs(x) < limit, 0.0, x) if x.dtype.kind == "f" else x


def _reciprocals(inputs: dict[str, Array]) -> list[Array]:
    """What the derivatives of logarithms of probabilities multiply with."""
    p = inputs.get("probs")
    return [] if p is None else [1 / p, 1 / (1 - p)]
