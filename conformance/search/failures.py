"""What a failure looks like: its kind and the features of its input, by which findings are told from each other."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from conformance.casefiles.case import Question
from conformance.judge.verdict import Judgement
from conformance.losses import FORMATS, Array

_INACCURATE = ("slightly inaccurate", "inaccurate")
"""Kinds of finite errors: up to eight times the bound, and more."""


@dataclass(frozen=True)
class Failure:
    """How a target failed on a question.

    The smallest input of a defect needs some features; an input with all of them and more, which fails with the same
    signature and is no further off, is taken as the same defect. What is raised says itself which defect it is.
    """

    loss: str
    output: str
    precision: str
    kind: str
    features: frozenset[str]

    @property
    def signature(self) -> tuple[str, ...]:
        """Loss, output, precision and kind; what is raised is raised in every precision, and by value and gradient."""
        if self.kind.startswith("error"):
            return self.loss, self.kind
        return self.loss, self.output, self.precision, "inaccurate" if self.kind in _INACCURATE else self.kind

    def explains(self, other: Failure) -> bool:
        if self.signature != other.signature:
            return False
        return self.kind.startswith("error") or (self.features <= other.features and self.severity >= other.severity)

    @property
    def severity(self) -> int:
        return _INACCURATE.index(self.kind) if self.kind in _INACCURATE else 0


def failure(question: Question, judgement: Judgement) -> Failure:
    precision = {11: "half", 8: "half", 24: "single", 53: "double"}[FORMATS[question.dtype].precision]
    loss = question.case.loss.name
    return Failure(loss, question.output, precision, kind(judgement), features(question))


def kind(judgement: Judgement) -> str:
    """The kind of a failure: the class of a wrong element, how far off the rest is, or what was raised."""
    comparison = judgement.comparison
    if judgement.verdict in ("crash", "timeout"):
        return judgement.verdict
    if comparison is None or comparison.ratio is None:
        return f"{judgement.verdict}: {_without_numbers(judgement.message)}"
    classes = re.search(r"of another class \((.*)\)", judgement.message)
    if classes:
        return classes[1]
    return _INACCURATE[comparison.ratio > 8]


def _without_numbers(message: str) -> str:
    """The start of a message, without what depends on the input: numbers, types, what stands in brackets."""
    first = message.splitlines()[0] if message else ""
    return re.sub(r"\b(u?int|b?float)\d+\b|[-+]?\d[\d.e+-]*|\(.*?\)|\[.*?\]", "#", first)[:60].strip()


def features(question: Question) -> frozenset[str]:
    """What a question uses beyond the plainest one of its loss: options, kinds of target, layout, regimes."""
    case = question.case
    inputs, options, _ = question.exact
    first = inputs[case.wrt]
    found = {name for name, x in options.items() if name not in ("axis", "reduction") and x is not False}
    if options.get("label_smoothing") == 0:
        found.discard("label_smoothing")
    if options.get("reduction", "none") != "none":
        found.add(f"reduction {options['reduction']}")
    target = inputs.get("target")
    if target is not None and case.loss.name == "cross_entropy" and target.dtype.kind == "f":
        found.add("probability target")
    if target is not None and target.dtype.kind != "f" and target.dtype != np.int64:
        found.add("label dtype")
    if case.layout:
        found.add("layout")
    if first.ndim > 2 or options.get("axis", -1) not in (-1, first.ndim - 1, 1):
        found.add("axis")
    if case.cotangent is not None and question.output == "gradient":
        found.add("upstream")
    return frozenset(found | _regimes(question, first))


def _regimes(question: Question, x: Array) -> set[str]:
    """Regimes of the differentiated input, seen in its numbers."""
    if x.size == 0:
        return {"empty"}
    finite = x[np.isfinite(x)]
    rowwise = "axis" in question.case.loss.options
    size = np.abs(finite)
    found = {
        "NaN": np.any(np.isnan(x)),
        "infinity": np.any(np.isinf(x)),
        "large": x.size > 1024,
        "zero": not rowwise and np.any(finite == 0),
        "huge": np.any(size > 1e5),
        "tiny": np.any((size > 0) & (size < 1e-3)),
        "far": finite.size > 0 and (np.ptp(finite) if rowwise else size.max()) > 8,
        "offset": rowwise and finite.size > 0 and size.min() > 32 and size.min() > 2 * np.ptp(finite),
    }
    return {name for name, holds in found.items() if holds}
