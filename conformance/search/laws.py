"""Metamorphic laws: equations between answers that hold whatever the right values are.

A law gets a question and `ask`, and returns the two sides of its equation with the tolerance: what the bounds of both
sides allow. Inputs are changed only where the change is exact in the dtype. It raises `DoesNotApply` for a question it
says nothing about, and `ask` raises it where a target has no answer.
"""

from __future__ import annotations

import numpy as np

from conformance.casefiles.case import Question
from conformance.losses import Array
from conformance.search.equation import (
    Ask,
    DoesNotApply,
    Equation,
    Law,
    Measured,
    class_axis_of,
    finite_input,
    has_probabilities,
    like,
    needs,
    other,
    shifted,
    upstream,
)

_SOFTMAX = ("softmax", "log_softmax", "logsumexp", "cross_entropy")


def shift_invariance(ask_: Ask, question: Question) -> Equation:
    """f(x + c) = f(x), and logsumexp(x + c) = logsumexp(x) + c."""
    needs(question, *_SOFTMAX)
    finite_input(question)
    shift = 64.0
    moved = shifted(question, "logits", shift)
    plain, further = ask_(question), ask_(moved)
    added = shift if (question.case.loss.name, question.output) == ("logsumexp", "value") else 0.0
    return Equation(further.value, plain.value + added, plain.bound + further.bound)


def class_permutation(ask_: Ask, question: Question) -> Equation:
    """Reversing the classes reverses what is returned per class, and leaves the rest as it is."""
    needs(question, *_SOFTMAX)
    finite_input(question)
    case, axis = question.case, class_axis_of(question)
    inputs = {"logits": np.flip(case.inputs["logits"], axis)}
    options = dict(case.options)
    if "target" in case.inputs:
        target = case.inputs["target"]
        if target.dtype.kind == "f":
            inputs["target"] = np.flip(target, axis)
        else:
            kept = target != options.get("ignore_index", -100)
            flipped = case.inputs["logits"].shape[axis] - 1 - target
            if np.any(kept & (flipped == options.get("ignore_index", -100))):
                raise DoesNotApply
            inputs["target"] = np.where(kept, flipped, target).astype(target.dtype)
    if "weight" in options:
        options["weight"] = options["weight"][::-1].copy()
    cotangent = case.cotangent
    if case.loss.name in ("softmax", "log_softmax") and question.output == "gradient":
        cotangent = np.flip(upstream(question), axis)
    plain = ask_(question)
    turned = ask_(like(question, {**case.inputs, **inputs}, options, cotangent))
    per_class = plain.value.shape == case.inputs["logits"].shape
    back = np.flip(turned.value, axis) if per_class else turned.value
    bound = np.flip(turned.bound, axis) if per_class else turned.bound
    return Equation(back, plain.value, plain.bound + bound)


def row_independence(ask_: Ask, question: Question) -> Equation:
    """The first row alone gives what it gives among others."""
    case, first = question.case, finite_input(question)
    if case.options.get("reduction", "none") != "none" or first.ndim < 2 or len(first) < 2:
        raise DoesNotApply
    if "axis" in case.loss.options and class_axis_of(question) == 0:
        raise DoesNotApply
    inputs = {name: x[:1] for name, x in case.inputs.items()}
    cotangent = upstream(question)[:1] if question.output == "gradient" else None
    plain, alone = ask_(question), ask_(like(question, inputs, case.options, cotangent))
    return Equation(alone.value, plain.value[:1], plain.bound[:1] + alone.bound)


def gradient_is_linear(ask_: Ask, question: Question) -> Equation:
    """Twice the upstream gradient gives twice the gradient."""
    if question.output != "gradient":
        raise DoesNotApply
    finite_input(question)
    case = question.case
    doubled = ask_(like(question, case.inputs, case.options, 2 * upstream(question)))
    plain = ask_(question)
    return Equation(doubled.value, 2 * plain.value, doubled.bound + 2 * plain.bound)


def padding(ask_: Ask, question: Question) -> Equation:
    """A class of logit -inf, which no row is labelled with, changes nothing."""
    needs(question, *_SOFTMAX)
    case, axis, logits = question.case, class_axis_of(question), finite_input(question)
    options = case.options
    if options.get("weight") is not None or options.get("label_smoothing") or has_probabilities(case):
        raise DoesNotApply
    if options.get("ignore_index", -100) == logits.shape[axis]:
        raise DoesNotApply
    width = [(0, int(i == axis)) for i in range(logits.ndim)]
    inputs = {**case.inputs, "logits": np.pad(logits, width, constant_values=-np.inf)}
    cotangent = case.cotangent
    if question.output == "gradient" and case.loss.name in ("softmax", "log_softmax"):
        if case.loss.name == "log_softmax":
            raise DoesNotApply  # the padded class is at -inf, where the derivative is none
        cotangent = np.pad(upstream(question), width)
    plain, padded = ask_(question), ask_(like(question, inputs, options, cotangent))
    if plain.value.shape == logits.shape:
        padded = Measured(_drop_last(padded.value, axis), _drop_last(padded.bound, axis))
    return Equation(padded.value, plain.value, plain.bound + padded.bound)


def one_hot_equals_index(ask_: Ask, question: Question) -> Equation:
    """A one-hot probability target gives what its class index gives."""
    needs(question, "cross_entropy")
    case, logits = question.case, finite_input(question)
    target = case.inputs["target"]
    reweighted = case.options.get("weight") is not None and case.options["reduction"] == "mean"
    if has_probabilities(case) or reweighted or np.any(target == case.options.get("ignore_index", -100)):
        raise DoesNotApply
    axis = class_axis_of(question)
    one_hot = np.moveaxis((np.arange(logits.shape[axis]) == target[..., None]).astype(float), -1, axis)
    options = {name: x for name, x in case.options.items() if name != "ignore_index"}
    plain = ask_(like(question, case.inputs, options, case.cotangent))
    soft = ask_(like(question, {"logits": logits, "target": one_hot}, options, case.cotangent))
    return Equation(soft.value, plain.value, plain.bound + soft.bound)


def smoothing_zero_equals_none(ask_: Ask, question: Question) -> Equation:
    """Label smoothing of 0 gives what the call without it gives."""
    needs(question, "cross_entropy")
    case = question.case
    options = {name: x for name, x in case.options.items() if name != "label_smoothing"}
    plain = ask_(like(question, case.inputs, options, case.cotangent))
    zero = ask_(like(question, case.inputs, {**options, "label_smoothing": 0.0}, case.cotangent))
    return Equation(zero.value, plain.value, plain.bound + zero.bound)


def sum_equals_mean_times_count(ask_: Ask, question: Question) -> Equation:
    """The sum is the mean times the number of elements, or of kept rows, where nothing is weighted."""
    case = question.case
    weighted = any(case.options.get(name) is not None for name in ("weight", "pos_weight"))
    if question.output != "value" or case.options.get("reduction") != "mean" or weighted:
        raise DoesNotApply
    first = finite_input(question)
    count = first.size
    if case.loss.name in ("cross_entropy", "nll_loss"):
        count = first.size // first.shape[class_axis_of(question)]
        if not has_probabilities(case):
            count = int(np.sum(case.inputs["target"] != case.options.get("ignore_index", -100)))
    mean = ask_(question)
    added = ask_(like(question, case.inputs, {**case.options, "reduction": "sum"}, None))
    return Equation(added.value, count * mean.value, added.bound + count * mean.bound)


def nll_of_log_softmax_equals_cross_entropy(ask_: Ask, question: Question) -> Equation:
    """nll_loss(log_softmax(x), y) = cross_entropy(x, y)."""
    needs(question, "cross_entropy")
    case, logits = question.case, finite_input(question)
    options = {name: x for name, x in case.options.items() if name != "label_smoothing"}
    if question.output != "value" or has_probabilities(case) or "axis" in options:
        raise DoesNotApply
    axis = class_axis_of(question)
    log_p = ask_(other(question, "log_softmax", {"logits": logits}, {"axis": axis}))
    if not np.all(np.isfinite(log_p.value)):
        raise DoesNotApply
    inputs = {"log_probs": log_p.value, "target": case.inputs["target"]}
    nll = ask_(other(question, "nll_loss", inputs, options))
    whole = ask_(like(question, case.inputs, options, None))
    # What log_softmax may be off by enters the loss weighted like the loss itself; its largest does for all.
    weight = float(np.max(np.abs(options.get("weight", 1.0)))) if options.get("reduction") != "mean" else 1.0
    rows = logits.size // logits.shape[axis] if options.get("reduction") == "sum" else 1
    entering = float(log_p.bound.max()) * max(weight, 1.0) * rows
    return Equation(nll.value, whole.value, nll.bound + whole.bound + entering)


def divergence_plus_entropy_equals_cross_entropy(ask_: Ask, question: Question) -> Equation:
    """KL(q, p) + H(q) = H(q, p), per row."""
    needs(question, "cross_entropy")
    case, logits = question.case, finite_input(question)
    plain_options = set(case.options) <= {"reduction", "axis"} and case.options["reduction"] == "none"
    if question.output != "value" or not has_probabilities(case) or not plain_options or "axis" in case.options:
        raise DoesNotApply
    axis, q = class_axis_of(question), case.inputs["target"]
    log_p = ask_(other(question, "log_softmax", {"logits": logits}, {"axis": axis}))
    if not np.all(np.isfinite(log_p.value)):
        raise DoesNotApply
    kl = ask_(other(question, "kl_div", {"log_probs": log_p.value, "target": q}, {"reduction": "none"}))
    entropy = ask_(other(question, "entropy", {"probs": q}, {"axis": axis}))
    whole = ask_(question)
    entering = (kl.bound + np.abs(q) * log_p.bound).sum(axis)
    return Equation(kl.value.sum(axis) + entropy.value, whole.value, whole.bound + entropy.bound + entering)


def signs_equal_zero_and_one(ask_: Ask, question: Question) -> Equation:
    """soft_margin_loss with y in {-1, 1} is binary cross entropy of logits with (y + 1) / 2."""
    needs(question, "soft_margin_loss")
    case = question.case
    inputs = {"logits": finite_input(question), "target": (case.inputs["target"] + 1) / 2}
    plain = ask_(question)
    binary = ask_(other(question, "binary_cross_entropy_with_logits", inputs, case.options))
    return Equation(binary.value, plain.value, plain.bound + binary.bound)


def gradient_rows_sum_to_zero(ask_: Ask, question: Question) -> Equation:
    """The gradient over the classes of a row sums to zero, as a common shift changes nothing."""
    needs(question, "softmax", "log_softmax", "cross_entropy")
    if question.output != "gradient":
        raise DoesNotApply
    finite_input(question)
    axis, gradient = class_axis_of(question), ask_(question)
    total = gradient.value.sum(axis)
    return Equation(total, np.zeros_like(total), gradient.bound.sum(axis))


LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        shift_invariance,
        class_permutation,
        row_independence,
        gradient_is_linear,
        padding,
        one_hot_equals_index,
        smoothing_zero_equals_none,
        sum_equals_mean_times_count,
        nll_of_log_softmax_equals_cross_entropy,
        divergence_plus_entropy_equals_cross_entropy,
        signs_equal_zero_and_one,
        gradient_rows_sum_to_zero,
    )
}


def _drop_last(x: Array, axis: int) -> Array:
    return np.take(x, np.arange(x.shape[axis] - 1), axis)
