"""PyTorch: torch.nn.functional and its neighbours."""

from __future__ import annotations

from functools import partial

import numpy as np

from conformance.targets.contract import BFLOAT16, composed


class Torch:
    name = "torch"
    requires = ("torch",)
    devices = ("cpu", "cuda", "mps")
    modes = ("eager", "compile")
    script = {"literal": "torch.tensor({values}, dtype=torch.{dtype})", "listed": "{}.tolist()"}
    # SLEEF's "u10" functions, which torch's vectorised CPU kernels call: at most 1.0 ulp by its manual.
    accuracy = {"float32": (1.0, 1.0, 1.0), "float64": (1.0, 1.0, 1.0)}

    def __init__(self, device, mode):
        import torch

        self.torch = torch
        self.functional = torch.nn.functional
        self.device = torch.device(device)
        self.mode = mode
        if mode == "compile":  # every rank, dtype and option is compiled anew, which is more often than Dynamo expects
            torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = 100_000
        present = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
        if device in present and not present[device]():
            raise RuntimeError(f"torch {torch.__version__} finds no {device.upper()} device here")
        torch.zeros(1, device=self.device)  # fails here, not in a trial, when the device does not work

    def environment(self):
        torch = self.torch
        facts = {"torch": torch.__version__, "device": str(torch.zeros(1, device=self.device).device)}
        facts["threads"] = str(torch.get_num_threads())
        facts["cpu"] = torch.backends.cpu.get_cpu_capability()
        if self.device.type == "cuda":
            facts |= {"gpu": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda)}
        return facts

    def to_native(self, array):
        if min(array.strides, default=0) < 0:  # torch has no negative strides
            array = array.copy()
        if array.dtype == BFLOAT16:
            tensor = self.torch.from_numpy(array.view(np.int16)).view(self.torch.bfloat16)
        else:
            tensor = self.torch.from_numpy(array)
        return tensor.to(self.device)

    def to_numpy(self, tensor):
        tensor = tensor.detach().cpu()
        if tensor.dtype == self.torch.bfloat16:
            return tensor.contiguous().view(self.torch.int16).numpy().view(BFLOAT16)
        return tensor.numpy()

    def device_of(self, tensor):
        return str(tensor.device)

    def gradient(self, loss, inputs, wrt, cotangent):
        leaf = inputs[wrt].detach().requires_grad_()
        value = loss(**{**inputs, wrt: leaf})
        (gradient,) = self.torch.autograd.grad(value, leaf, cotangent)
        return gradient

    def bare(self, loss):
        names = {"log_sigmoid": "logsigmoid"}
        function = getattr(self.functional, names.get(loss, loss), None) or getattr(self.torch, loss, None)
        return None if function is None else partial(self._call, function)

    def softmax(self, logits, *, axis=-1):
        return self._call(self.functional.softmax, logits, dim=axis)

    def log_softmax(self, logits, *, axis=-1):
        return self._call(self.functional.log_softmax, logits, dim=axis)

    def logsumexp(self, logits, *, axis=-1):
        return self._call(self.torch.logsumexp, logits, dim=axis)

    def sigmoid(self, logits):
        return self._call(self.torch.sigmoid, logits)

    def log_sigmoid(self, logits):
        return self._call(self.functional.logsigmoid, logits)

    def softplus(self, logits):
        return self._call(self.functional.softplus, logits)

    def nll_loss(self, log_probs, target, *, weight=None, ignore_index=-100, reduction="mean", axis=1):
        log_probs = self._class_axis_second(log_probs, axis)
        options = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction}
        return self._call(self.functional.nll_loss, log_probs, target, **options)

    def cross_entropy(
        self, logits, target, *, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1
    ):
        logits = self._class_axis_second(logits, axis)
        if target.is_floating_point():
            target = self._class_axis_second(target, axis)
        options = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction}
        return self._call(self.functional.cross_entropy, logits, target, label_smoothing=label_smoothing, **options)

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
    def entropy(self, probs, *, axis=-1):
        return self._call(self.torch.special.entr, probs).sum(axis)

    @composed
    def self_information(self, probs):
        return -self._call(self.torch.log, probs)

    def _call(self, function, *inputs, **options):
        if self.mode == "compile":
            # With fullgraph whatever is not compiled is an error; otherwise it would run eagerly without a word.
            function = self.torch.compile(function, fullgraph=True)
        return function(*inputs, **options)

    def _class_axis_second(self, tensor, axis):
        return tensor if tensor.ndim == 1 or axis == 1 else tensor.movedim(axis, 1)
