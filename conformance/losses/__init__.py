"""The mathematics: one file per loss with its formula, gradient and, by evaluating them with error bounds, its bound.

Every loss module has `value(inputs..., *, options...)` and `gradient(cotangent, inputs..., *, options...)`; the first
input is the one that is differentiated. Inputs, options and defaults are read off the signature of `value`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np

from conformance.losses.arithmetic import Number
from conformance.losses.formats import DTYPES, FORMATS, Array, Format
from conformance.losses.rounded import Accuracy, Model, Rounded, bound_model, sharp_model

__all__ = [
    "DTYPES",
    "FORMATS",
    "LOSSES",
    "Accuracy",
    "Array",
    "Bounds",
    "Format",
    "Loss",
    "bounds",
    "pass_line",
    "sharp",
]


@dataclass(frozen=True)
class Loss:
    """A loss of the family: `value` and `gradient` accept any arithmetic (see `losses.arithmetic`)."""

    name: str
    value: Callable[..., Number]
    gradient: Callable[..., Number]
    formula: str

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the array inputs, the differentiated one first."""
        return tuple(p.name for p in self._parameters() if p.kind is p.POSITIONAL_OR_KEYWORD)

    @cached_property
    def options(self) -> dict[str, inspect.Parameter]:
        return {p.name: p for p in self._parameters() if p.kind is p.KEYWORD_ONLY}

    @property
    def wrt(self) -> str:
        """The input that gradients are taken with respect to."""
        return self.inputs[0]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its name, so that a loss is one object however it comes."""
        return _by_name, (self.name,)

    def _parameters(self) -> list[inspect.Parameter]:
        return list(inspect.signature(self.value, eval_str=True).parameters.values())

    def evaluate(
        self,
        number: Callable[[Any], Number],
        inputs: Mapping[str, Array],
        options: Mapping[str, Any],
        cotangent: Array | None = None,
    ) -> Number:
        """The value, or with a `cotangent` the gradient, in the arithmetic that `number` converts to.

        Integer arrays and all options but floating-point ones are passed as they are.
        """
        arguments = {name: _convert(number, x) for name, x in {**inputs, **options}.items()}
        with np.errstate(all="ignore"):
            if cotangent is None:
                return self.value(**arguments)
            return self.gradient(number(cotangent), **arguments)


def _by_name(name: str) -> Loss:
    return LOSSES[name]


def _convert(number: Callable[[Any], Number], x: Any) -> Any:
    if isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind not in "iub"):
        return number(x)
    return x


@dataclass(frozen=True)
class Bounds:
    """The float64 reference and, per element, the pass line and the sharp grade."""

    value: Array
    bound: Array
    sharp: Array


def bounds(
    loss: Loss, dtype: str, inputs: Mapping[str, Array], options: Mapping[str, Any], cotangent: Array | None = None
) -> Bounds:
    """Reference and bounds of the value, or of the gradient when a `cotangent` is given, for inputs in `dtype`."""
    value, bound = pass_line(loss, dtype, inputs, options, cotangent)
    return Bounds(value, bound, np.minimum(sharp(loss, dtype, inputs, options, cotangent), bound))


def pass_line(
    loss: Loss, dtype: str, inputs: Mapping[str, Array], options: Mapping[str, Any], cotangent: Array | None = None
) -> tuple[Array, Array]:
    """The float64 reference and the pass line alone."""
    line = loss.evaluate(_rounded(bound_model(dtype)), inputs, options, cotangent)
    # A result below the smallest normal number may be flushed even where nothing on the way to it was rounded.
    tiny = (line.value != 0) & (np.abs(line.value) < FORMATS[dtype].smallest_normal) & (dtype != "float16")
    return line.value, line.error + np.where(tiny, line.model.underflow, 0.0)


def sharp(
    loss: Loss,
    dtype: str,
    inputs: Mapping[str, Array],
    options: Mapping[str, Any],
    cotangent: Array | None = None,
    *,
    accuracy: Accuracy = (),
) -> Array:
    """The sharp grade alone, for a framework whose exp, log and log1p have the given `accuracy`."""
    graded: Rounded = loss.evaluate(_rounded(sharp_model(dtype, accuracy)), inputs, options, cotangent)
    return graded.stored().error


def _rounded(model: Model) -> Callable[[Any], Rounded]:
    def convert(x: Any) -> Rounded:
        if isinstance(x, float):  # an option: a framework may round it to the dtype before it uses it
            return Rounded(x, model, model.u * abs(x))
        return Rounded(np.asarray(x, dtype=np.float64), model)

    return convert


_NAMES = (
    "softmax",
    "log_softmax",
    "logsumexp",
    "sigmoid",
    "log_sigmoid",
    "softplus",
    "nll_loss",
    "cross_entropy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "soft_margin_loss",
    "kl_div",
    "entropy",
    "self_information",
)


def _load(name: str) -> Loss:
    module = import_module(f"conformance.losses.{name}")
    return Loss(name, module.value, module.gradient, (module.__doc__ or "").strip())


LOSSES: dict[str, Loss] = {name: _load(name) for name in _NAMES}
