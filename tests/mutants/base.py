"""What a mutant is: the NumPy adapter with one defect.

    @mutant("cross_entropy", "nll_loss", output="gradient")
    def gradient_of_the_sum_for_the_mean(call):
        return call.right(reduction="sum")

    @mutant("softmax", replaces=softmax.shifted)
    def no_shift_by_the_maximum(logits):
        return logits

The function's name is the defect. Without `replaces` it stands for the whole evaluation and gets a `Call`; with it, it
takes the place of one helper of the formulas (or of one numpy function) wherever they use it. `output` narrows the
defect to values or to gradients. A class is for what needs a memory or another method of the adapter.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from conformance.adapters.numpy_reference import NumPy

from conformance.losses import LOSSES

OUTPUTS = ("value", "gradient")
SOFTMAX_FAMILY = ("softmax", "log_softmax", "logsumexp", "cross_entropy")
REDUCED = (
    "nll_loss",
    "cross_entropy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "soft_margin_loss",
    "kl_div",
)
CLASS_LABELS = ("nll_loss", "cross_entropy")
WRT = {name: loss.wrt for name, loss in LOSSES.items()}
DEFAULTS = {name: {option: p.default for option, p in loss.options.items()} for name, loss in LOSSES.items()}
REGISTRY: dict[str, Defect] = {}


@dataclass(frozen=True)
class Defect:
    """A registered mutant: what it is called, where it is written, what it breaks, and its adapter class."""

    name: str
    theme: str
    losses: tuple[str, ...]
    outputs: tuple[str, ...]
    adapter: type[NumPy]


@dataclass(frozen=True)
class Call:
    """One evaluation that the adapter is asked for. `cotangent` is None when it is for the value."""

    loss: str
    inputs: dict
    options: dict
    cotangent: np.ndarray | None
    correct: object

    @property
    def x(self):
        """The differentiated input."""
        return self.inputs[WRT[self.loss]]

    @property
    def target(self):
        return self.inputs["target"]

    @property
    def scalar(self):
        """The scalar type of the trial's dtype."""
        return self.x.dtype.type

    def option(self, name):
        return self.options[name] if name in self.options else DEFAULTS[self.loss].get(name)

    def with_x(self, x):
        return replace(self, inputs={**self.inputs, WRT[self.loss]: x})

    def right(self, **changes):
        """The correct result, with some inputs, options or the upstream gradient changed."""
        inputs = {name: changes.pop(name, x) for name, x in self.inputs.items()}
        cotangent = changes.pop("cotangent", self.cotangent)
        return self.correct(self.loss, inputs, {**self.options, **changes}, cotangent)


class Mutant(NumPy):
    """The NumPy adapter with `defect` in place of its evaluation, or of the helpers named in `replacements`."""

    name = "mutant"
    outputs = OUTPUTS
    replacements: dict = {}
    defect = None

    def _evaluate(self, name, inputs, options=None, cotangent=None):
        options = options or {}
        if ("value" if cotangent is None else "gradient") not in self.outputs:
            return super()._evaluate(name, inputs, options, cotangent)
        if self.defect:
            with np.errstate(all="ignore"):
                return type(self).defect(Call(name, inputs, options, cotangent, super()._evaluate))
        with replaced(self.replacements):
            return super()._evaluate(name, inputs, options, cotangent)


def mutant(*losses, replaces=None, output=None):
    """Register a function, or a subclass of `Mutant`, as a defect of these losses."""
    outputs = (output,) if output else OUTPUTS

    def register(thing):
        if isinstance(thing, type):
            adapter = thing
            adapter.outputs = outputs
        else:
            members = {"outputs": outputs, "__doc__": thing.__doc__}
            members |= {"replacements": {replaces: thing}} if replaces else {"defect": staticmethod(thing)}
            adapter = type(thing.__name__, (Mutant,), members)
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", thing.__name__).lower()
        theme = thing.__module__.rpartition(".")[2]
        assert name not in REGISTRY, f"two mutants are called {name}"
        assert losses, f"{name} names no loss"
        REGISTRY[name] = Defect(name, theme, losses, outputs, adapter)
        return thing

    return register


@contextmanager
def replaced(replacements):
    """The formulas with some of their helpers, or of numpy's functions, replaced while the context lasts."""
    modules = [module for name, module in sys.modules.items() if name.startswith("conformance.losses")]
    changed = []

    def put(module, name, thing):
        changed.append((module, name, getattr(module, name)))
        setattr(module, name, thing)

    try:
        for helper, function in replacements.items():
            if getattr(np, helper.__name__, None) is helper:
                helper, function = np, Numpy(helper.__name__, function)  # noqa: PLW2901
            for module in modules:
                for name in [name for name, thing in vars(module).items() if thing is helper]:
                    put(module, name, function)
        yield
    finally:
        for module, name, thing in reversed(changed):
            setattr(module, name, thing)


class Numpy:
    """numpy with one function of its own."""

    def __init__(self, name, function):
        setattr(self, name, function)

    def __getattr__(self, name):
        return getattr(np, name)


def classes_last(call, x=None):
    """`x` (by default the differentiated input) with its class axis last, and the function that moves it back."""
    x = call.x if x is None else x
    axis = call.option("axis") if call.x.ndim > 1 else 0
    return np.moveaxis(x, axis, -1), lambda y: np.moveaxis(y, -1, axis)


def through(dtype):
    """A function that rounds an array to another type and back."""
    return lambda x: x.astype(dtype).astype(x.dtype)
