"""TensorFlow: tf.nn and tf.math. tf.nn reduces nothing, so the mean and the sum are composed as its users do."""

from __future__ import annotations

import os
from functools import partial

from conformance.targets.contract import composed


class TensorFlow:
    name = "tensorflow"
    requires = ("tensorflow",)
    devices = ("cpu", "gpu")
    modes = ("eager", "function", "xla")
    script = {"literal": "tf.constant({values}, dtype=tf.{dtype})", "listed": "{}.numpy().tolist()"}
    # Measured by benchmarks/accuracy.py on processors with AVX-512.
    accuracy = {"float32": (1.29, 3.13, 4.15), "float64": (1.64, 1.46, 2.18)}

    def __init__(self, device, mode):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf

        self.tf = tf
        self.device = f"/{device}:0"
        self.mode = mode
        if device == "gpu" and not tf.config.list_physical_devices("GPU"):
            raise RuntimeError(f"TensorFlow {tf.__version__} finds no GPU here")

    def environment(self):
        with self.tf.device(self.device):
            device = self.tf.zeros(1).device
        return {"tensorflow": self.tf.__version__, "device": device.rpartition("/")[2]}

    def to_native(self, array):
        with self.tf.device(self.device):
            return self.tf.convert_to_tensor(array)

    def to_numpy(self, tensor):
        return self.tf.convert_to_tensor(tensor).numpy()

    def device_of(self, tensor):
        return self.tf.convert_to_tensor(tensor).device.rpartition("device:")[2].lower()

    def gradient(self, loss, inputs, wrt, cotangent):
        with self.tf.GradientTape() as tape:
            tape.watch(inputs[wrt])
            value = loss(**inputs)
        return tape.gradient(value, inputs[wrt], output_gradients=cotangent)

    def bare(self, loss):
        nn = self.tf.nn
        alone = {"softmax": nn.softmax, "log_softmax": nn.log_softmax, "logsumexp": self.tf.reduce_logsumexp}
        labelled = {
            "cross_entropy": nn.sparse_softmax_cross_entropy_with_logits,
            "binary_cross_entropy_with_logits": nn.sigmoid_cross_entropy_with_logits,
        }
        if loss in labelled:
            return lambda logits, target: self._call(labelled[loss], labels=target, logits=logits)
        return partial(self._call, alone[loss]) if loss in alone else None

    def softmax(self, logits, *, axis=-1):
        return self._call(self.tf.nn.softmax, logits, axis=axis)

    def log_softmax(self, logits, *, axis=-1):
        return self._call(self.tf.nn.log_softmax, logits, axis=axis)

    def logsumexp(self, logits, *, axis=-1):
        return self._call(self.tf.reduce_logsumexp, logits, axis=axis)

    def sigmoid(self, logits):
        return self._call(self.tf.math.sigmoid, logits)

    def log_sigmoid(self, logits):
        return self._call(self.tf.math.log_sigmoid, logits)

    def softplus(self, logits):
        return self._call(self.tf.math.softplus, logits)

    @composed("mean", "sum", "label_smoothing")
    def cross_entropy(self, logits, target, *, reduction="mean", label_smoothing=0.0, axis=1):
        axis = axis % logits.ndim if logits.ndim > 1 else 0
        logits = self._axis_last(logits, axis)
        classes = logits.shape[-1]
        if target.dtype.is_integer and label_smoothing:
            target = self.tf.one_hot(target, classes, dtype=logits.dtype)
        elif not target.dtype.is_integer:
            target = self._axis_last(target, axis)
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / classes
        if target.dtype.is_integer:
            function = self.tf.nn.sparse_softmax_cross_entropy_with_logits
        else:
            function = self.tf.nn.softmax_cross_entropy_with_logits
        return self._reduce(self._call(function, labels=target, logits=logits), reduction)

    @composed("mean", "sum")
    def binary_cross_entropy_with_logits(self, logits, target, *, pos_weight=None, reduction="mean"):
        if pos_weight is None:
            loss = self._call(self.tf.nn.sigmoid_cross_entropy_with_logits, labels=target, logits=logits)
        else:
            function = self.tf.nn.weighted_cross_entropy_with_logits
            loss = self._call(function, labels=target, logits=logits, pos_weight=pos_weight)
        return self._reduce(loss, reduction)

    @composed
    def soft_margin_loss(self, logits, target, *, reduction="mean"):
        return self._reduce(self._call(self.tf.math.softplus, -target * logits), reduction)

    @composed
    def kl_div(self, log_probs, target, *, reduction="mean"):
        return self._reduce(self._call(self.tf.math.xlogy, target, target) - target * log_probs, reduction)

    @composed
    def entropy(self, probs, *, axis=-1):
        return -self.tf.reduce_sum(self._call(self.tf.math.xlogy, probs, probs), axis=axis)

    @composed
    def self_information(self, probs):
        return -self._call(self.tf.math.log, probs)

    def _call(self, function, *inputs, **options):
        if self.mode == "eager":
            return function(*inputs, **options)
        return self.tf.function(function, jit_compile=self.mode == "xla")(*inputs, **options)

    def _reduce(self, loss, reduction):
        if reduction == "batchmean":
            return self.tf.reduce_sum(loss) / loss.shape[0]
        return {"none": lambda x: x, "mean": self.tf.reduce_mean, "sum": self.tf.reduce_sum}[reduction](loss)

    def _axis_last(self, tensor, axis):
        order = [i for i in range(tensor.ndim) if i != axis] + [axis]
        return self.tf.transpose(tensor, order) if axis != tensor.ndim - 1 else tensor
