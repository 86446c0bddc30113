"""MLX: mlx.nn, its losses, and mlx.core."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from conformance.targets.contract import BFLOAT16, Unsupported, composed


class Mlx:
    name = "mlx"
    requires = ("mlx",)
    devices = ("cpu", "gpu")
    modes = ("eager", "compile")
    script = {
        "setup": ["import mlx.nn", "", "mlx.core.set_default_device(mlx.core.cpu)"],
        "literal": "mlx.core.array({values}, dtype=mlx.core.{dtype})",
        "listed": "{}.tolist()",
    }

    def __init__(self, device, mode):
        import mlx.core as mx
        from mlx import nn

        self.mx = mx
        self.nn = nn
        self.losses = nn.losses
        self.mode = mode
        mx.set_default_device(mx.Device(getattr(mx, device)))
        mx.eval(mx.zeros(1))  # fails here when there is no such device

    def environment(self):
        return {"mlx": self.mx.__version__, "device": str(self.mx.default_device())}

    def to_native(self, array):
        if min(array.strides, default=0) < 0:  # mlx has no negative strides
            array = array.copy()
        if array.dtype == BFLOAT16:
            return self.mx.array(array.view(np.uint16)).view(self.mx.bfloat16)
        return self.mx.array(array, dtype=getattr(self.mx, array.dtype.name.replace("bool", "bool_")))

    def to_numpy(self, tensor):
        self.mx.eval(tensor)  # numpy would swallow what it raises, and go on with whatever is in the memory
        if tensor.dtype == self.mx.bfloat16:
            return np.frombuffer(memoryview(tensor).tobytes(), np.uint16).reshape(tensor.shape).view(BFLOAT16)
        return np.array(tensor)

    def gradient(self, loss, inputs, wrt, cotangent):
        def of_leaf(leaf):
            return loss(**{**inputs, wrt: leaf})

        _, (gradient,) = self.mx.vjp(of_leaf, [inputs[wrt]], [cotangent])
        return gradient

    def bare(self, loss):
        functions = {
            "softmax": self.mx.softmax,
            "log_softmax": self.nn.log_softmax,
            "logsumexp": self.mx.logsumexp,
            "nll_loss": self.losses.nll_loss,
            "cross_entropy": self.losses.cross_entropy,
            "binary_cross_entropy_with_logits": self.losses.binary_cross_entropy,
        }
        if loss in ("nll_loss", "cross_entropy"):
            return partial(self._call_labelled, functions[loss])
        return partial(self._call, functions[loss]) if loss in functions else None

    def softmax(self, logits, *, axis=-1):
        return self._call(self.mx.softmax, logits, axis=axis)

    def log_softmax(self, logits, *, axis=-1):
        return self._call(self.nn.log_softmax, logits, axis=axis)

    def logsumexp(self, logits, *, axis=-1):
        return self._call(self.mx.logsumexp, logits, axis=axis)

    def sigmoid(self, logits):
        return self._call(self.nn.sigmoid, logits)

    def log_sigmoid(self, logits):
        return self._call(self.nn.log_sigmoid, logits)

    def softplus(self, logits):
        return self._call(self.nn.softplus, logits)

    def nll_loss(self, log_probs, target, *, reduction: Literal["none", "mean", "sum"] = "mean", axis=1):
        axis = axis if log_probs.ndim > 1 else 0
        return self._call_labelled(self.losses.nll_loss, log_probs, target, axis=axis, reduction=reduction)

    def cross_entropy(
        self, logits, target, *, reduction: Literal["none", "mean", "sum"] = "mean", label_smoothing=0.0, axis=1
    ):
        options = {"axis": axis if logits.ndim > 1 else 0, "reduction": reduction, "label_smoothing": label_smoothing}
        return self._call_labelled(self.losses.cross_entropy, logits, target, **options)

    def binary_cross_entropy(self, probs, target, *, weight=None, reduction: Literal["none", "mean", "sum"] = "mean"):
        return self._binary(probs, target, weight, with_logits=False, reduction=reduction)

    def binary_cross_entropy_with_logits(
        self, logits, target, *, weight=None, reduction: Literal["none", "mean", "sum"] = "mean"
    ):
        return self._binary(logits, target, weight, with_logits=True, reduction=reduction)

    def kl_div(self, log_probs, target, *, reduction: Literal["sum", "batchmean"] = "batchmean", log_target=False):
        if not log_target:
            raise Unsupported("kl_div takes the logarithm of the target only")
        if reduction == "batchmean" and log_probs.ndim != 2:
            raise Unsupported("the mean of kl_div is over all rows, not over the first axis")
        options = {"reduction": {"batchmean": "mean"}.get(reduction, reduction)}
        return self._call(self.losses.kl_div_loss, log_probs, target, **options)

    @composed
    def self_information(self, probs):
        return -self._call(self.mx.log, probs)

    def _binary(self, outputs, target, weight, **options):
        if weight is not None and weight.shape != outputs.shape:
            raise Unsupported("weights must have the shape of the target")
        weights = [] if weight is None else [weight]
        return self._call(self.losses.binary_cross_entropy, outputs, target, *weights, **options)

    def _call_labelled(self, function, outputs, target, **options):
        if target.dtype not in (self.mx.float16, self.mx.bfloat16, self.mx.float32, self.mx.float64):
            labels, classes = np.array(target), outputs.shape[options.get("axis", -1)]
            if ((labels >= classes) | (labels < -classes)).any():
                raise Unsupported("a label out of range is not checked and reads, or writes, whatever memory is there")
        return self._call(function, outputs, target, **options)

    def _call(self, function, *inputs, **options):
        function = partial(function, **options)
        return (self.mx.compile(function) if self.mode == "compile" else function)(*inputs)
