"""CuPy: cupyx.scipy.special, the functions of scipy.special on a GPU. It has no gradients and no loss over labels."""

from __future__ import annotations

from conformance.targets.contract import BFLOAT16, Unsupported, composed


class CuPy:
    name = "cupy"
    requires = ("cupy",)
    devices = ("cuda",)
    modes = ("eager",)

    def __init__(self, device, mode):
        import cupy
        import cupyx.scipy.special

        self.cupy = cupy
        self.special = cupyx.scipy.special
        cupy.zeros(1)  # fails here, not in a trial, when there is no GPU

    def environment(self):
        cuda = self.cupy.cuda
        properties = cuda.runtime.getDeviceProperties(cuda.Device().id)
        facts = {"cupy": self.cupy.__version__, "cuda": str(cuda.runtime.runtimeGetVersion())}
        return {**facts, "device": f"cuda:{cuda.Device().id}", "gpu": properties["name"].decode()}

    def to_native(self, array):
        if array.dtype == BFLOAT16:
            raise Unsupported("no bfloat16")
        return self.cupy.asarray(array)

    def to_numpy(self, tensor):
        return self.cupy.asnumpy(tensor)

    def device_of(self, tensor):
        return f"cuda:{tensor.device.id}"

    def softmax(self, logits, *, axis=-1):
        return self.special.softmax(logits, axis=axis)

    def log_softmax(self, logits, *, axis=-1):
        return self.special.log_softmax(logits, axis=axis)

    def logsumexp(self, logits, *, axis=-1):
        return self.special.logsumexp(logits, axis=axis)

    def sigmoid(self, logits):
        return self.special.expit(logits)

    def log_sigmoid(self, logits):
        return self.special.log_expit(logits)

    @composed
    def softplus(self, logits):
        return self.cupy.logaddexp(logits.dtype.type(0), logits)

    @composed
    def soft_margin_loss(self, logits, target, *, reduction="mean"):
        return self._reduce(self.softplus(-target * logits), reduction)

    @composed
    def kl_div(self, log_probs, target, *, reduction="mean"):
        return self._reduce(self.special.xlogy(target, target) - target * log_probs, reduction)

    @composed
    def entropy(self, probs, *, axis=-1):
        return self.special.entr(probs).sum(axis)

    @composed
    def self_information(self, probs):
        return -self.cupy.log(probs)

    def _reduce(self, loss, reduction):
        if reduction == "batchmean":
            return loss.sum() / loss.shape[0]
        return {"none": lambda x: x, "mean": self.cupy.mean, "sum": self.cupy.sum}[reduction](loss)
