"""JAX's own functions: jax.nn and jax.scipy.special. Losses are in optax, which has an adapter of its own."""

from __future__ import annotations

import os
from functools import partial

import numpy as np

from conformance.targets.contract import composed


class JaxPlumbing:
    """Arrays, devices and automatic differentiation of JAX, for every adapter of a library built on it."""

    requires = ("jax",)
    devices = ("cpu", "gpu", "tpu")
    modes = ("eager", "jit", "op_by_op")
    compiles = True
    script = {
        "setup": ['jax.config.update("jax_enable_x64", True)'],
        "literal": 'jax.numpy.array({values}, dtype="{dtype}")',
        "listed": "{}.tolist()",
    }
    # JAX's documentation, page "Numerical accuracy", column CPU, which rounds to halves; log in float64 was measured.
    accuracy = {"float32": (1.5, 1.5, 3.0), "float64": (2.0, 0.75, 2.0)}

    def __init__(self, device, mode):
        if device == "cpu":
            os.environ.setdefault("JAX_PLATFORMS", "cpu")
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax = jax
        self.jnp = jax.numpy
        self.device = jax.devices(device)[0]
        self.mode = mode

    def environment(self):
        from importlib.metadata import version

        facts = {"jax": self.jax.__version__, "jaxlib": version("jaxlib"), "x64": "on"}
        return {**facts, "device": str(self.device), "kind": self.device.device_kind}

    def to_native(self, array):
        return self.jax.device_put(array, self.device)

    def to_numpy(self, tensor):
        return np.asarray(tensor)

    def device_of(self, tensor):
        (device,) = tensor.devices()
        return f"{device.platform}:{device.id}"

    def gradient(self, loss, inputs, wrt, cotangent):
        def of_leaf(leaf):
            return loss(**{**inputs, wrt: leaf})

        _, pull_back = self.jax.vjp(of_leaf, inputs[wrt])
        return pull_back(cotangent)[0]

    def reduce(self, loss, reduction):
        if reduction == "batchmean":
            return loss.sum() / loss.shape[0]
        return {"none": lambda x: x, "mean": self.jnp.mean, "sum": self.jnp.sum}[reduction](loss)

    def call(self, function, *inputs, **options):
        if self.mode == "jit":
            return self.jax.jit(lambda *arrays: function(*arrays, **options))(*inputs)
        if self.mode == "op_by_op":  # much of JAX is jitted inside, which this undoes
            with self.jax.disable_jit():
                return function(*inputs, **options)
        return function(*inputs, **options)


class Jax(JaxPlumbing):
    name = "jax"

    def bare(self, loss):
        nn, special = self.jax.nn, self.jax.scipy.special
        functions = {"softmax": nn.softmax, "log_softmax": nn.log_softmax, "logsumexp": special.logsumexp}
        return partial(self.call, functions[loss]) if loss in functions else None

    def softmax(self, logits, *, axis=-1):
        return self.call(self.jax.nn.softmax, logits, axis=axis)

    def log_softmax(self, logits, *, axis=-1):
        return self.call(self.jax.nn.log_softmax, logits, axis=axis)

    def logsumexp(self, logits, *, axis=-1):
        return self.call(self.jax.scipy.special.logsumexp, logits, axis=axis)

    def sigmoid(self, logits):
        return self.call(self.jax.nn.sigmoid, logits)

    def log_sigmoid(self, logits):
        return self.call(self.jax.nn.log_sigmoid, logits)

    def softplus(self, logits):
        return self.call(self.jax.nn.softplus, logits)

    @composed
    def entropy(self, probs, *, axis=-1):
        return self.call(self.jax.scipy.special.entr, probs).sum(axis)

    @composed
    def self_information(self, probs):
        return -self.call(self.jnp.log, probs)

    @composed
    def kl_div(self, log_probs, target, *, reduction="mean", log_target=False):
        if log_target:
            terms = self.jnp.exp(target) * (target - log_probs)
        else:
            terms = self.jax.scipy.special.xlogy(target, target) - target * log_probs
        return self.reduce(terms, reduction)

    @composed
    def soft_margin_loss(self, logits, target, *, reduction="mean"):
        return self.reduce(self.call(self.jax.nn.softplus, -target * logits), reduction)

    @composed
    def nll_loss(self, log_probs, target, *, reduction="mean"):
        axis = min(1, log_probs.ndim - 1)
        picked = self.jnp.take_along_axis(log_probs, self.jnp.expand_dims(target, axis), axis=axis)
        return self.reduce(-picked.squeeze(axis), reduction)
