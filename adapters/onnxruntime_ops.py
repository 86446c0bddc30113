"""ONNX Runtime: models of one operator, built with the onnx package. It computes values only."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from conformance.targets.contract import BFLOAT16, Unsupported

OPSET = 18
IR_VERSION = 10


class OnnxRuntime:
    name = "onnxruntime"
    requires = ("onnx", "onnxruntime")
    devices = ("cpu", "cuda")
    modes = ("eager",)

    def __init__(self, device, mode):
        import onnx
        import onnxruntime

        self.onnx = onnx
        self.runtime = onnxruntime
        self.provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[device]
        if self.provider not in onnxruntime.get_available_providers():
            raise RuntimeError(f"this build of ONNX Runtime has no {self.provider}")

    def environment(self):
        facts = {"onnxruntime": self.runtime.__version__, "onnx": self.onnx.__version__}
        return {**facts, "opset": str(OPSET), "device": self.provider}

    def to_native(self, array):
        if array.dtype == BFLOAT16:
            raise Unsupported("no operator of these computes in bfloat16")
        return array

    def to_numpy(self, tensor):
        return tensor

    def bare(self, loss):
        alone = {"softmax": "Softmax", "log_softmax": "LogSoftmax", "logsumexp": "ReduceLogSumExp"}
        labelled = {"nll_loss": "NegativeLogLikelihoodLoss", "cross_entropy": "SoftmaxCrossEntropyLoss"}
        names = alone | labelled
        return partial(self._run, names[loss]) if loss in names else None

    def softmax(self, logits, *, axis=-1):
        return self._run("Softmax", logits, axis=axis)

    def log_softmax(self, logits, *, axis=-1):
        return self._run("LogSoftmax", logits, axis=axis)

    def logsumexp(self, logits, *, axis=-1):
        return self._run("ReduceLogSumExp", logits, np.array([axis]), keepdims=0)

    def sigmoid(self, logits):
        return self._run("Sigmoid", logits)

    def softplus(self, logits):
        return self._run("Softplus", logits)

    def nll_loss(
        self,
        log_probs,
        target,
        *,
        weight=None,
        ignore_index=-100,
        reduction: Literal["none", "mean", "sum"] = "mean",
        axis=1,
    ):
        inputs = [self._class_axis_second(log_probs, axis), target, *([] if weight is None else [weight])]
        return self._run("NegativeLogLikelihoodLoss", *inputs, ignore_index=ignore_index, reduction=reduction)

    def cross_entropy(
        self,
        logits,
        target,
        *,
        weight=None,
        ignore_index=-100,
        reduction: Literal["none", "mean", "sum"] = "mean",
        axis=1,
    ):
        if target.dtype.kind == "f":
            raise Unsupported("cross_entropy takes class indices only")
        inputs = [self._class_axis_second(logits, axis), target, *([] if weight is None else [weight])]
        return self._run("SoftmaxCrossEntropyLoss", *inputs, ignore_index=ignore_index, reduction=reduction)

    def _run(self, operator, *inputs, **attributes):
        helper = self.onnx.helper
        names = [f"input{i}" for i in range(len(inputs))]
        types = [helper.np_dtype_to_tensor_dtype(x.dtype) for x in inputs]
        declared = [helper.make_tensor_value_info(n, t, x.shape) for n, t, x in zip(names, types, inputs, strict=True)]
        node = helper.make_node(operator, names, ["output"], **attributes)
        result = helper.make_tensor_value_info("output", types[0], None)
        opset = [helper.make_opsetid("", OPSET)]
        graph = helper.make_graph([node], operator, declared, [result])
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        options = self.runtime.SessionOptions()
        options.log_severity_level = 4
        try:
            session = self.runtime.InferenceSession(model.SerializeToString(), options, providers=[self.provider])
        except self.runtime.capi.onnxruntime_pybind11_state.NotImplemented as error:
            raise Unsupported(f"no kernel of {operator} for {inputs[0].dtype}") from error
        return session.run(None, dict(zip(names, inputs, strict=True)))[0]

    def _class_axis_second(self, array, axis):
        if array.ndim < 2:
            raise Unsupported("the operator needs an axis of samples before the classes")
        return np.moveaxis(array, axis, 1)
