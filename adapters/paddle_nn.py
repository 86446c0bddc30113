"""PaddlePaddle: paddle.nn.functional and its neighbours."""

from __future__ import annotations

from functools import partial

import numpy as np

from conformance.targets.contract import BFLOAT16, Unsupported, composed


class Paddle:
    name = "paddle"
    requires = ("paddle",)
    devices = ("cpu", "gpu")
    modes = ("eager",)
    script = {"literal": 'paddle.to_tensor({values}, dtype="{dtype}")', "listed": '{}.astype("float64").tolist()'}

    def __init__(self, device, mode):
        import paddle

        self.paddle = paddle
        self.functional = paddle.nn.functional
        self.device = device
        paddle.set_device(device)  # fails here when there is no such device

    def environment(self):
        return {"paddle": self.paddle.__version__, "device": self.paddle.get_device()}

    def to_native(self, array):
        if array.dtype == BFLOAT16:  # which paddle takes for uint16
            array = array.view(np.uint16)
        return self.paddle.to_tensor(array)

    def to_numpy(self, tensor):
        array = tensor.numpy()
        return array.view(BFLOAT16) if tensor.dtype == self.paddle.bfloat16 else array

    def bare(self, loss):
        function = getattr(self.functional, loss, None) or getattr(self.paddle, loss, None)
        if loss == "nll_loss" or function is None:  # see there
            return None
        return partial(self._call, function)

    def gradient(self, loss, inputs, wrt, cotangent):
        leaf = inputs[wrt].detach()
        leaf.stop_gradient = False
        value = loss(**{**inputs, wrt: leaf})
        (gradient,) = self._call(self.paddle.grad, value, leaf, grad_outputs=cotangent)
        return gradient

    def softmax(self, logits, *, axis=-1):
        return self._call(self.functional.softmax, logits, axis=axis)

    def log_softmax(self, logits, *, axis=-1):
        return self._call(self.functional.log_softmax, logits, axis=axis)

    def logsumexp(self, logits, *, axis=-1):
        return self._call(self.paddle.logsumexp, logits, axis=axis)

    def sigmoid(self, logits):
        return self._call(self.functional.sigmoid, logits)

    def log_sigmoid(self, logits):
        return self._call(self.functional.log_sigmoid, logits)

    def softplus(self, logits):
        return self._call(self.functional.softplus, logits)

    def nll_loss(self, log_probs, target, *, weight=None, ignore_index=-100, reduction="mean", axis=1):
        if log_probs.ndim == 1:
            raise Unsupported("nll_loss needs an axis of samples before the classes")
        if self.device == "cpu" and reduction != "none" and bool((target == ignore_index).any()):
            raise Unsupported("nll_loss with an ignored row and a reduction writes outside of its result")
        log_probs = self.paddle.moveaxis(log_probs, axis, 1)
        options = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction}
        return self._call(self.functional.nll_loss, log_probs, target, **options)

    def cross_entropy(
        self, logits, target, *, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1
    ):
        axis = axis if logits.ndim > 1 else 0
        options = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction, "axis": axis}
        if weight is not None and (target.is_floating_point() or label_smoothing):
            raise Unsupported("weights of probability targets multiply the loss of the row, not its terms (documented)")
        options |= {"soft_label": target.is_floating_point(), "label_smoothing": label_smoothing}
        loss = self._call(self.functional.cross_entropy, logits, target, **options)
        return loss.squeeze(axis) if loss.ndim == logits.ndim else loss  # it keeps the class axis, of length one

    def binary_cross_entropy(self, probs, target, *, weight=None, reduction="mean"):
        return self._call(self.functional.binary_cross_entropy, probs, target, weight=weight, reduction=reduction)

    def binary_cross_entropy_with_logits(self, logits, target, *, weight=None, pos_weight=None, reduction="mean"):
        options = {"weight": weight, "pos_weight": pos_weight, "reduction": reduction}
        return self._call(self.functional.binary_cross_entropy_with_logits, logits, target, **options)

    def soft_margin_loss(self, logits, target, *, reduction="mean"):
        return self._call(self.functional.soft_margin_loss, logits, target, reduction=reduction)

    def kl_div(self, log_probs, target, *, reduction="mean", log_target=False):
        return self._call(self.functional.kl_div, log_probs, target, reduction=reduction, log_target=log_target)

    @composed
    def self_information(self, probs):
        return -self._call(self.paddle.log, probs)

    def _call(self, function, *inputs, **options):
        try:
            return function(*inputs, **options)
        except RuntimeError as error:  # on the CPU few kernels come in 16 bits
            if "is not registered" not in str(error):
                raise
            raise Unsupported(" ".join(str(error).split("(NotFound)")[-1].split()[:16])) from error
