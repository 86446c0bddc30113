"""What is wrong about the call and not the formula: inputs, memory, types, shapes, chance."""

import numpy as np

from conformance.losses import LOSSES
from mutants.base import REDUCED, WRT, Mutant, mutant

EVERY = tuple(LOSSES)
SOFTMAXES = ("softmax", "log_softmax", "sigmoid")


@mutant(*SOFTMAXES)
class OverwritesItsInput(Mutant):
    """The result is written over the logits."""

    def _evaluate(self, name, inputs, options=None, cotangent=None):
        right = super()._evaluate(name, inputs, options, cotangent)
        if inputs["logits"].shape == right.shape:
            inputs["logits"][...] = right
        return right


@mutant("cross_entropy", "nll_loss")
class OverwritesIgnoredLabels(Mutant):
    """Ignored labels are set to zero in the caller's array."""

    def _evaluate(self, name, inputs, options=None, cotangent=None):
        right = super()._evaluate(name, inputs, options, cotangent)
        target = inputs["target"]
        target[target == options["ignore_index"] if "ignore_index" in options else target < 0] = 0
        return right


@mutant(*REDUCED)
class NormalisesTheWeightInPlace(Mutant):
    """The caller's target or weight is scaled."""

    def _evaluate(self, name, inputs, options=None, cotangent=None):
        right = super()._evaluate(name, inputs, options, cotangent)
        weight = (options or {}).get("weight")
        if weight is not None:
            weight *= weight.dtype.type(2)
        elif inputs["target"].dtype.kind not in "iu":
            inputs["target"][...] *= inputs["target"].dtype.type(0.5)
        else:
            inputs[WRT[name]][...] *= 2
        return right


@mutant(*EVERY)
class RemembersByShape(Mutant):
    """A result is kept for each shape and dtype and handed out again."""

    def __init__(self, device, mode):
        self.kept = {}

    def _evaluate(self, name, inputs, options=None, cotangent=None):
        x = inputs[WRT[name]]
        key = name, x.shape, x.dtype.name, cotangent is None, (options or {}).get("reduction")
        if key not in self.kept:
            self.kept[key] = super()._evaluate(name, inputs, options, cotangent)
        return self.kept[key]


@mutant(*[name for name in REDUCED if name not in {"nll_loss", "kl_div"}])
class BackwardUsesTheLastForward(Mutant):
    """The gradient is that of the inputs of the last value, when their shapes agree."""

    def __init__(self, device, mode):
        self.last = {}

    def _evaluate(self, name, inputs, options=None, cotangent=None):
        wrt = WRT[name]
        key = name, inputs[wrt].shape, inputs[wrt].dtype.name
        if cotangent is None:
            self.last.setdefault(key, inputs[wrt])
        elif key in self.last:
            inputs = {**inputs, wrt: self.last[key]}
        return super()._evaluate(name, inputs, options, cotangent)


@mutant(*EVERY)
class AccumulatesItsGradients(Mutant):
    """A gradient is added to the last one of its shape."""

    def __init__(self, device, mode):
        self.sums = {}

    def _evaluate(self, name, inputs, options=None, cotangent=None):
        right = super()._evaluate(name, inputs, options, cotangent)
        if cotangent is None:
            return right
        key = name, right.shape, right.dtype.name
        self.sums[key] = right + self.sums.get(key, right.dtype.type(0))
        return np.asarray(self.sums[key])


@mutant(*EVERY)
class NoiseOnEveryFifthCall(Mutant):
    """A race: now and then the last bits differ by a thousandth."""

    def __init__(self, device, mode):
        self.calls = 0

    def _evaluate(self, name, inputs, options=None, cotangent=None):
        right = super()._evaluate(name, inputs, options, cotangent)
        self.calls += 1
        return right * right.dtype.type(1.03) if self.calls % 5 == 0 else right


@mutant(*EVERY)
class RandomDropout(Mutant):
    """One element in twenty is dropped, as in training mode."""

    def __init__(self, device, mode):
        self.draw = np.random.default_rng(0)

    def _evaluate(self, name, inputs, options=None, cotangent=None):
        right = np.asarray(super()._evaluate(name, inputs, options, cotangent))
        return np.where(self.draw.random(right.shape) < 0.05, right.dtype.type(0), right)


@mutant(*EVERY, output="value")
def value_in_float64(call):
    return call.right().astype(np.float64)


@mutant(*EVERY, output="value")
def sixteen_bit_values_in_float32(call):
    right = call.right()
    return right.astype(np.float32) if right.dtype.itemsize == 2 else right


@mutant(*EVERY, output="gradient")
def sixteen_bit_gradients_in_float32(call):
    right = call.right()
    return right.astype(np.float32) if right.dtype.itemsize == 2 else right


@mutant(*EVERY, output="gradient")
def gradient_flattened(call):
    return call.right().ravel()


@mutant(*REDUCED, output="value")
def scalar_in_an_array_of_one(call):
    right = call.right()
    return right.reshape(1) if right.ndim == 0 else right


@mutant(*EVERY)
def raises_without_a_batch_axis(call):
    if call.x.ndim < 2:
        raise ValueError("expected a batch")
    return call.right()


@mutant("cross_entropy", "nll_loss")
def raises_on_labels_that_are_not_int64(call):
    if call.target.dtype.kind in "iu" and call.target.dtype != np.int64:
        raise TypeError("expected int64")
    return call.right()


@mutant(*REDUCED)
def result_of_the_negative(call):
    """A likelihood to be maximised."""
    return -call.right()


@mutant(*EVERY)
def one_part_in_a_thousand_too_large(call):
    right = call.right()
    return right * right.dtype.type(1.001) if right.dtype.itemsize > 2 else right * right.dtype.type(1.05)


@mutant(*EVERY)
def ten_ulp_too_large_in_float32(call):
    """What a tolerance of 1e-5 accepts."""
    right = call.right()
    return right * right.dtype.type(1 + 1e-5) if right.dtype == np.float32 else right


@mutant(*EVERY)
def float64_good_to_ten_digits(call):
    right = call.right()
    return right * right.dtype.type(1 + 1e-10) if right.dtype == np.float64 else right
