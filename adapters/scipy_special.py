"""SciPy: scipy.special. It computes values only."""

from __future__ import annotations

from conformance.targets.contract import BFLOAT16, Unsupported, composed


class SciPy:
    name = "scipy"
    requires = ("scipy",)
    devices = ("cpu",)
    modes = ("eager",)
    script = {"literal": "numpy.array({values}, dtype=numpy.{dtype})", "listed": "{}.tolist()"}

    def __init__(self, device, mode):
        import scipy
        from scipy import special

        self.scipy = scipy
        self.special = special

    def environment(self):
        return {"scipy": self.scipy.__version__, "device": "cpu"}

    def to_native(self, array):
        if array.dtype == BFLOAT16:
            raise Unsupported("scipy.special has no bfloat16")
        return array

    def to_numpy(self, tensor):
        return tensor

    def bare(self, loss):
        return getattr(self.special, loss) if loss in ("softmax", "log_softmax", "logsumexp") else None

    def softmax(self, logits, *, axis=-1):
        return self.special.softmax(logits, axis=axis)

    def log_softmax(self, logits, *, axis=-1):
        return self.special.log_softmax(logits, axis=axis)

    def logsumexp(self, logits, *, axis=-1):
        return self.special.logsumexp(logits, axis=axis)

    def sigmoid(self, logits):
        return self._elementwise(self.special.expit, logits)

    def log_sigmoid(self, logits):
        return self._elementwise(self.special.log_expit, logits)

    def softplus(self, logits):
        return self._elementwise(self.special.softplus, logits)

    @composed
    def entropy(self, probs, *, axis=-1):
        return self._elementwise(self.special.entr, probs).sum(axis)

    def _elementwise(self, function, array):
        if array.dtype.itemsize < 4:
            raise Unsupported(f"{function.__name__} has no loop for float16")
        return function(array)
