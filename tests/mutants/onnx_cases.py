"""ONNX's own test cases of the same losses, at their own tolerance: what they would notice.

They hold values only, most of them float32. Those whose options an adapter does not have are left out.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MODULES = (
    "softmax",
    "logsoftmax",
    "sigmoid",
    "softplus",
    "reduce_log_sum_exp",
    "negativeloglikelihoodloss",
    "softmax_cross_entropy_loss",
)


@dataclass(frozen=True)
class OnnxCase:
    """One output of a node: `options` are those of the adapter's method for `loss`."""

    name: str
    loss: str
    inputs: tuple[np.ndarray, ...]
    options: dict[str, Any]
    expected: np.ndarray
    rtol: float
    atol: float


def onnx_cases() -> list[OnnxCase]:
    """Raises ImportError where onnx is not installed."""
    from onnx.helper import get_attribute_value

    package = importlib.import_module("onnx.backend.test.case.node")
    with np.errstate(all="ignore"):
        for module in MODULES:
            importlib.import_module(f"onnx.backend.test.case.node.{module}")
    found = []
    for test in package._NodeTestCases:
        (node, *others) = test.model.graph.node
        if others or "_expanded" in test.name or node.op_type not in READERS:
            continue
        attributes = {a.name: get_attribute_value(a) for a in node.attribute}
        inputs, outputs = test.data_sets[0]
        for loss, arrays, options, expected in READERS[node.op_type](list(inputs), list(outputs), attributes):
            case = OnnxCase(test.name, loss, tuple(arrays), options, np.asarray(expected), test.rtol, test.atol)
            found.append(case)
    return found


def _elementwise(loss: str) -> Callable[..., Any]:
    return lambda inputs, outputs, attributes: [(loss, inputs, {}, outputs[0])]


def _along_axis(loss: str) -> Callable[..., Any]:
    return lambda inputs, outputs, attributes: [(loss, inputs, {"axis": attributes.get("axis", -1)}, outputs[0])]


def _logsumexp(inputs: list, outputs: list, attributes: dict) -> list:
    data, axes = inputs
    if axes.size != 1 or data.size == 0:
        return []
    expected = np.squeeze(outputs[0], int(axes[0])) if attributes.get("keepdims", 1) else outputs[0]
    return [("logsumexp", [data], {"axis": int(axes[0])}, expected)]


def _class_loss(loss: str) -> Callable[..., Any]:
    def read(inputs: list, outputs: list, attributes: dict) -> list:
        options = {"reduction": attributes.get("reduction", b"mean").decode()}
        if "ignore_index" in attributes:
            options["ignore_index"] = attributes["ignore_index"]
        if len(inputs) == 3:
            options["weight"] = inputs[2]
        read = [(loss, inputs[:2], options, outputs[0])]
        if len(outputs) == 2:  # the log-probabilities beside the loss
            read.append(("log_softmax", inputs[:1], {"axis": 1}, outputs[1]))
        return read

    return read


READERS = {
    "Softmax": _along_axis("softmax"),
    "LogSoftmax": _along_axis("log_softmax"),
    "Sigmoid": _elementwise("sigmoid"),
    "Softplus": _elementwise("softplus"),
    "ReduceLogSumExp": _logsumexp,
    "NegativeLogLikelihoodLoss": _class_loss("nll_loss"),
    "SoftmaxCrossEntropyLoss": _class_loss("cross_entropy"),
}


def notices(case: OnnxCase, adapter: Any) -> bool:
    """Whether the adapter fails the case."""
    inputs = [x.copy() for x in case.inputs]
    options = {name: x.copy() if isinstance(x, np.ndarray) else x for name, x in case.options.items()}
    try:
        with np.errstate(all="ignore"):
            got = np.asarray(getattr(adapter, case.loss)(*inputs, **options))
    except Exception:
        return True
    if got.shape != case.expected.shape or got.dtype != case.expected.dtype:
        return True
    return not np.allclose(got, case.expected, rtol=case.rtol, atol=case.atol, equal_nan=True)
