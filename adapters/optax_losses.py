"""optax.losses on JAX. Optax reduces nothing, so the mean and the sum are composed as its users compose them."""

from __future__ import annotations

from functools import partial
from typing import Literal

from conformance.adapters.jax_nn import JaxPlumbing

from conformance.targets.contract import composed


class Optax(JaxPlumbing):
    name = "optax"
    requires = ("jax", "optax")
    modes = (*JaxPlumbing.modes, "safe")

    def __init__(self, device, mode):
        super().__init__(device, mode)
        import optax

        self.optax = optax
        self.losses = optax.losses

    def environment(self):
        return {"optax": self.optax.__version__, **super().environment()}

    def bare(self, loss):
        functions = {
            "cross_entropy": self.losses.softmax_cross_entropy_with_integer_labels,
            "binary_cross_entropy_with_logits": self.losses.sigmoid_binary_cross_entropy,
            "kl_div": self.losses.kl_divergence,
        }
        return partial(self.call, functions[loss]) if loss in functions else None

    @composed("mean", "sum", "label_smoothing")
    def cross_entropy(self, logits, target, *, reduction="mean", label_smoothing=0.0, axis=1):
        axis = axis if logits.ndim > 1 else 0
        if self.jnp.issubdtype(target.dtype, self.jnp.integer) and label_smoothing:
            target = self.jax.nn.one_hot(target, logits.shape[axis], dtype=logits.dtype, axis=axis)
        if self.jnp.issubdtype(target.dtype, self.jnp.integer):
            loss = self.call(self.losses.softmax_cross_entropy_with_integer_labels, logits, target, axis=axis)
        else:
            # smooth_labels counts the classes on the last axis, so the class axis goes there.
            logits, target = self.jnp.moveaxis(logits, axis, -1), self.jnp.moveaxis(target, axis, -1)
            if label_smoothing:
                target = self.losses.smooth_labels(target, label_smoothing)
            safe = self.mode == "safe"  # the function for targets of zero where a logit is -inf
            function = self.losses.safe_softmax_cross_entropy if safe else self.losses.softmax_cross_entropy
            loss = self.call(function, logits, target)
        return self.reduce(loss, reduction)

    @composed("mean", "sum")
    def binary_cross_entropy_with_logits(self, logits, target, *, reduction="mean"):
        return self.reduce(self.call(self.losses.sigmoid_binary_cross_entropy, logits, target), reduction)

    @composed
    def kl_div(self, log_probs, target, *, reduction: Literal["sum", "batchmean"] = "batchmean", log_target=False):
        function = self.losses.kl_divergence_with_log_targets if log_target else self.losses.kl_divergence
        total = self.call(function, log_probs, target).sum()
        return total / log_probs.shape[0] if reduction == "batchmean" else total
