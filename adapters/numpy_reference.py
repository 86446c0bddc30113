"""The suite's own formulas, evaluated by numpy in the dtype of the trial: the self-check that must always pass."""

from __future__ import annotations

import platform

import numpy as np

from conformance.losses import LOSSES
from conformance.targets.contract import Unsupported


class NumPy:
    name = "numpy"
    devices = ("cpu",)
    modes = ("eager",)
    # Measured by benchmarks/accuracy.py on processors with AVX-512.
    accuracy = {"float32": (2.44, 2.99, 1.96), "float64": (0.69, 0.57, 0.61)}

    def __init__(self, device, mode):
        pass

    def environment(self):
        return {"numpy": np.__version__, "python": platform.python_version(), "device": "cpu"}

    def to_native(self, array):
        return array

    def to_numpy(self, tensor):
        return np.asarray(tensor)

    def device_of(self, tensor):
        return "cpu"

    def gradient(self, loss, inputs, wrt, cotangent):
        if wrt != LOSSES[loss.name].wrt:
            raise Unsupported(f"no gradient with respect to {wrt}")
        return self._evaluate(loss.name, inputs, loss.options, cotangent)

    def bare(self, loss):
        return getattr(self, loss)

    def softmax(self, logits, *, axis=-1):
        return self._evaluate("softmax", {"logits": logits}, {"axis": axis})

    def log_softmax(self, logits, *, axis=-1):
        return self._evaluate("log_softmax", {"logits": logits}, {"axis": axis})

    def logsumexp(self, logits, *, axis=-1):
        return self._evaluate("logsumexp", {"logits": logits}, {"axis": axis})

    def sigmoid(self, logits):
        return self._evaluate("sigmoid", {"logits": logits})

    def log_sigmoid(self, logits):
        return self._evaluate("log_sigmoid", {"logits": logits})

    def softplus(self, logits):
        return self._evaluate("softplus", {"logits": logits})

    def nll_loss(self, log_probs, target, *, weight=None, ignore_index=-100, reduction="mean", axis=1):
        options = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction, "axis": axis}
        return self._evaluate("nll_loss", {"log_probs": log_probs, "target": target}, options)

    def cross_entropy(
        self, logits, target, *, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1
    ):
        options = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction, "axis": axis}
        options["label_smoothing"] = label_smoothing
        return self._evaluate("cross_entropy", {"logits": logits, "target": target}, options)

    def binary_cross_entropy(self, probs, target, *, weight=None, reduction="mean"):
        options = {"weight": weight, "reduction": reduction}
        return self._evaluate("binary_cross_entropy", {"probs": probs, "target": target}, options)

    def binary_cross_entropy_with_logits(self, logits, target, *, weight=None, pos_weight=None, reduction="mean"):
        options = {"weight": weight, "pos_weight": pos_weight, "reduction": reduction}
        return self._evaluate("binary_cross_entropy_with_logits", {"logits": logits, "target": target}, options)

    def soft_margin_loss(self, logits, target, *, reduction="mean"):
        return self._evaluate("soft_margin_loss", {"logits": logits, "target": target}, {"reduction": reduction})

    def kl_div(self, log_probs, target, *, reduction="mean", log_target=False):
        options = {"reduction": reduction, "log_target": log_target}
        return self._evaluate("kl_div", {"log_probs": log_probs, "target": target}, options)

    def entropy(self, probs, *, axis=-1):
        return self._evaluate("entropy", {"probs": probs}, {"axis": axis})

    def self_information(self, probs):
        return self._evaluate("self_information", {"probs": probs})

    def _evaluate(self, name, inputs, options=None, cotangent=None):
        loss = LOSSES[name]
        dtype = inputs[loss.wrt].dtype
        return loss.evaluate(lambda x: np.asarray(x, dtype=dtype), inputs, options or {}, cotangent)
