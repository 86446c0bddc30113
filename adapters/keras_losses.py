"""Keras on its JAX backend, which brings no losses of its own: keras.losses and keras.ops."""

from __future__ import annotations

import os
from functools import partial
from typing import Literal

from conformance.adapters.jax_nn import JaxPlumbing

from conformance.targets.contract import Unsupported, composed


class Keras(JaxPlumbing):
    name = "keras"
    requires = ("jax", "keras")
    script = {**JaxPlumbing.script, "before": ["import os", "", 'os.environ["KERAS_BACKEND"] = "jax"', ""]}

    def __init__(self, device, mode):
        os.environ["KERAS_BACKEND"] = "jax"
        super().__init__(device, mode)
        import keras

        self.keras = keras
        self.ops = keras.ops

    def environment(self):
        facts = {"keras": self.keras.__version__, "backend": self.keras.backend.backend()}
        return {**facts, **super().environment()}

    def bare(self, loss):
        functions = {"softmax": self.ops.softmax, "log_softmax": self.ops.log_softmax, "logsumexp": self.ops.logsumexp}
        losses = self.keras.losses
        classes = {
            "cross_entropy": losses.SparseCategoricalCrossentropy,
            "binary_cross_entropy_with_logits": losses.BinaryCrossentropy,
        }
        if loss in classes:
            return partial(self._loss, partial(classes[loss], from_logits=True))
        return partial(self.call, functions[loss]) if loss in functions else None

    def softmax(self, logits, *, axis=-1):
        return self.call(self.ops.softmax, logits, axis=axis)

    def log_softmax(self, logits, *, axis=-1):
        return self.call(self.ops.log_softmax, logits, axis=axis)

    def logsumexp(self, logits, *, axis=-1):
        return self.call(self.ops.logsumexp, logits, axis=axis)

    def sigmoid(self, logits):
        return self.call(self.ops.sigmoid, logits)

    def log_sigmoid(self, logits):
        return self.call(self.ops.log_sigmoid, logits)

    def softplus(self, logits):
        return self.call(self.ops.softplus, logits)

    @composed("label_smoothing")
    def cross_entropy(self, logits, target, *, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1):
        losses = self.keras.losses
        axis = axis if logits.ndim > 1 else 0
        options = {"from_logits": True, "axis": axis, "reduction": reduction}
        if self.jnp.issubdtype(target.dtype, self.jnp.integer) and not label_smoothing:
            loss = partial(losses.SparseCategoricalCrossentropy, ignore_class=ignore_index, **options)
            return self._loss(loss, logits, target)
        if self.jnp.issubdtype(target.dtype, self.jnp.integer):
            if (target == ignore_index).any():
                raise Unsupported("cross_entropy has no ignore_class together with label_smoothing")
            target = self.ops.one_hot(target, logits.shape[axis], axis=axis, dtype=logits.dtype.name)
        loss = partial(losses.CategoricalCrossentropy, label_smoothing=label_smoothing, **options)
        return self._loss(loss, logits, target)

    def binary_cross_entropy(self, probs, target, *, reduction: Literal["none", "mean"] = "mean"):
        return self._binary(probs, target, reduction, from_logits=False)

    def binary_cross_entropy_with_logits(self, logits, target, *, reduction: Literal["none", "mean"] = "mean"):
        return self._binary(logits, target, reduction, from_logits=True)

    @composed
    def self_information(self, probs):
        return -self.call(self.ops.log, probs)

    def _binary(self, output, target, reduction, from_logits):
        if reduction == "none":  # the class reduces the last axis in any case
            return self.call(self.ops.binary_crossentropy, target, output, from_logits=from_logits)
        return self._loss(partial(self.keras.losses.BinaryCrossentropy, from_logits=from_logits), output, target)

    def _loss(self, loss, output, target):
        return self.call(loss(dtype=output.dtype.name), target, output)  # which computes in float32 unless told
