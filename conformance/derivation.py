"""A case worked out step by step, the way the articles do it by hand: exp, softmax, log, pick, mean.

For people to read and for published intermediate values to be checked against; the judge uses none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.casefiles.case import Case
from conformance.losses import LOSSES, Array
from conformance.losses.arithmetic import is_float
from conformance.losses.target import class_axis


@dataclass(frozen=True)
class Step:
    """A named intermediate quantity, the formula it comes by, and its float64 value."""

    name: str
    formula: str
    value: Array


Steps = Iterator[tuple[str, str, Any]]


def derive(case: Case) -> list[Step]:
    """The steps from a case's inputs to its value, the value itself last."""
    with np.errstate(all="ignore"):
        steps = [Step(name, formula, np.asarray(x)) for name, formula, x in _DERIVATIONS[case.loss.name](case)]
        value = np.asarray(case.loss.evaluate(np.asarray, case.inputs, case.options))
    reduction = case.options.get("reduction")
    return [*steps, Step(case.loss.name, f"reduction {reduction}" if reduction else "the loss", value)]


def _softmax_steps(logits: Array) -> Steps:
    """Over the last axis. Where exp would overflow, the largest logit is subtracted first, which changes no ratio."""
    if np.max(logits, initial=0.0) > 700:
        logits = logits - logits.max(-1, keepdims=True)
        yield "shifted", "x - max x", logits
    exponentials = np.exp(logits)
    yield "exp", "e^x", exponentials
    yield "sums", "sum over classes of e^x", exponentials.sum(-1)
    yield "softmax", "e^x / sum", exponentials / exponentials.sum(-1, keepdims=True)


def _softmax(case: Case) -> Steps:
    yield from list(_softmax_steps(_class_last(case)))[:-1]


def _log_softmax(case: Case) -> Steps:
    yield from _softmax_steps(_class_last(case))


def _cross_entropy(case: Case) -> Steps:
    logits, target = _class_last(case), case.inputs["target"]
    yield from _softmax_steps(logits)
    log_probs = LOSSES["log_softmax"].value(logits)
    yield "log_softmax", "log of the softmax", log_probs
    smoothing = case.options.get("label_smoothing", 0.0)
    if is_float(target):
        yield from _identity(np.moveaxis(target, _axis(case), -1), log_probs)
        return
    yield from _picked(case, log_probs, target)
    if smoothing:
        rows, classes = log_probs.sum(-1), log_probs.shape[-1]
        yield "row_sums", "sum over classes of log_softmax", rows
        yield "smoothing", "-(1/(N K)) times the sum of all log-probabilities", -rows.mean() / classes


def _identity(target: Array, log_probs: Array) -> Steps:
    """H(P, Q) = H(P) + KL(P, Q), row by row."""
    entropy = LOSSES["entropy"].value(target)
    divergence = LOSSES["kl_div"].value(log_probs, target, reduction="none").sum(-1)
    yield "entropy", "H(P) = -sum P log P", entropy
    yield "kl_div", "KL(P, Q) = sum P (log P - log Q)", divergence
    yield "cross_entropy", "H(P, Q) = H(P) + KL(P, Q)", entropy + divergence


def _nll(case: Case) -> Steps:
    yield from _picked(case, _class_last(case), case.inputs["target"])


def _picked(case: Case, log_probs: Array, target: Array) -> Steps:
    kept = target != case.options.get("ignore_index", -100)
    safe = np.where(kept & (target >= 0) & (target < log_probs.shape[-1]), target, 0)
    picked = np.take_along_axis(log_probs, safe[..., None], -1)[..., 0]
    yield "picked", "log-probability of the target class", picked
    weight = case.options.get("weight")
    weights = kept * (1.0 if weight is None else weight[safe])
    if weight is not None or not kept.all():
        yield "weights", "weight of the target class, 0 where ignored", weights
    yield "nll", "-(sum of weight times picked) / (sum of weights)", -(weights * picked).sum() / weights.sum()


def _logistic(case: Case) -> Steps:
    yield "exp", "e^-s", np.exp(-case.inputs["logits"])
    yield "sigmoid", "g(s) = 1 / (1 + e^-s)", LOSSES["sigmoid"].value(case.inputs["logits"])


def _margin(case: Case) -> Steps:
    margin = case.inputs["target"] * case.inputs["logits"]
    yield "margin", "y s", margin
    yield "likelihood", "P = g(y s)", LOSSES["sigmoid"].value(margin)
    yield "terms", "log(1 + e^-(y s))", LOSSES["softplus"].value(-margin)


def _binary(case: Case) -> Steps:
    probs, target = case.inputs["probs"], case.inputs["target"]
    yield "likelihood", "P = p^y (1 - p)^(1 - y)", probs**target * (1 - probs) ** (1 - target)
    yield (
        "terms",
        "-[y log p + (1 - y) log(1 - p)]",
        LOSSES["binary_cross_entropy"].value(probs, target, reduction="none"),
    )


def _binary_with_logits(case: Case) -> Steps:
    yield from _logistic(case)
    loss = LOSSES["binary_cross_entropy_with_logits"]
    inputs = case.inputs["logits"], case.inputs["target"]
    yield "terms", "-[y log g(s) + (1 - y) log(1 - g(s))]", loss.value(*inputs, reduction="none")


def _divergence(case: Case) -> Steps:
    inputs = case.inputs["log_probs"], case.inputs["target"]
    options = {**case.options, "reduction": "none"}
    yield "terms", "P (log P - log Q)", LOSSES["kl_div"].value(*inputs, **options)


def _entropy(case: Case) -> Steps:
    information = LOSSES["self_information"].value(case.inputs["probs"])
    yield "self_information", "-log P", information


def _nothing(_: Case) -> Steps:
    yield from ()


def _class_last(case: Case) -> Array:
    return np.moveaxis(case.inputs[case.loss.wrt], _axis(case), -1)


def _axis(case: Case) -> int:
    default = case.loss.options["axis"].default
    return class_axis(case.options.get("axis", default), case.inputs[case.loss.wrt].ndim)


_DERIVATIONS: dict[str, Callable[[Case], Steps]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": _softmax,
    "sigmoid": _nothing,
    "log_sigmoid": _logistic,
    "softplus": _nothing,
    "nll_loss": _nll,
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _binary,
    "binary_cross_entropy_with_logits": _binary_with_logits,
    "soft_margin_loss": _margin,
    "kl_div": _divergence,
    "entropy": _entropy,
    "self_information": _nothing,
}
