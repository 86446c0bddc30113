"""A case as the rest of the suite sees it, and what a framework is given of it in one dtype."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

import numpy as np

from conformance.casefiles.convention import Convention
from conformance.losses import FORMATS, Array, Loss

OUTPUTS = ("value", "gradient")
_UPSTREAM = (1.3, -0.7, 2.1, 0.45, -1.15, 0.35, 3.3)
"""Default upstream gradient, repeated: never 1, in no binary format exact, its length prime to the usual shapes."""


@dataclass(frozen=True, eq=False)
class Case:
    """One input of one loss with its options, what must come out, why it exists and where it is from."""

    name: str
    loss: Loss
    inputs: Mapping[str, Array]
    options: Mapping[str, Any]
    title: str = ""
    why: str = ""
    source: str = ""
    printed: Any = None
    expected: Any = None
    golden: str = ""
    steps: Mapping[str, Any] = field(default_factory=dict)
    convention: Convention | None = None
    dtypes: tuple[str, ...] = tuple(FORMATS)
    grad: bool = True
    cotangent: Array | None = None
    layout: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    where: str = ""

    @cached_property
    def id(self) -> str:
        return f"{self.loss.name}/{self.name}"

    @property
    def raises(self) -> bool:
        """Whether the framework must refuse these inputs."""
        return isinstance(self.expected, str)

    @property
    def wrt(self) -> str:
        """The input that gradients are taken with respect to."""
        return (self.convention.wrt if self.convention else "") or self.loss.wrt

    @property
    def digest(self) -> str:
        """The fingerprint, as short as a result file shows it."""
        return self.fingerprint.hex()[:16]

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 of what a verdict depends on: all that is given and what must come out, not the words about it."""
        total = hashlib.sha256()
        required = {"raises": self.raises, "printed": self.printed, "cotangent": self.cotangent}
        asked = self.convention.facts if self.convention else {}
        for part in (self.inputs, self.options, self.layout, required, asked):
            for name, value in part.items():
                said = (value.dtype.name, value.shape) if isinstance(value, np.ndarray) else value
                total.update(repr((name, said)).encode())
                if isinstance(value, np.ndarray):
                    total.update(np.ascontiguousarray(value).tobytes())
        return total.digest()

    def kept_as(self, *what: str) -> bytes:
        """What something of the case is kept under between runs."""
        return self.fingerprint + " ".join([self.loss.name, *what]).encode()

    @cached_property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the loss's value."""
        return np.shape(self.loss.evaluate(np.asarray, self.inputs, self.options))

    @cached_property
    def upstream(self) -> Array:
        """The upstream gradient: the case's own, or the default one."""
        return np.resize(_UPSTREAM, self.output_shape) if self.cotangent is None else self.cotangent

    @property
    def outputs(self) -> tuple[str, ...]:
        """What is tried: the value, and the gradient unless there is none to ask for; of a convention one of them."""
        if self.convention:
            return (self.convention.output,)
        return OUTPUTS if self.grad and not self.raises else ("value",)


@dataclass(frozen=True, eq=False)
class Question:
    """What a framework is asked: a case in a dtype, for its value or its gradient.

    Every floating-point array is rounded to the dtype, when it is first wanted, so that the reference sees what the
    framework sees.
    """

    case: Case
    dtype: str
    output: str

    @cached_property
    def inputs(self) -> dict[str, Array]:
        return {name: self._narrow(name, x) for name, x in self.case.inputs.items()}

    @cached_property
    def options(self) -> dict[str, Any]:
        given = self.case.options.items()
        return {name: self._narrow(name, x) if isinstance(x, np.ndarray) else x for name, x in given}

    @cached_property
    def cotangent(self) -> Array | None:
        """The upstream gradient, where a gradient is asked for."""
        if self.output == "value":
            return None
        return _narrow(self.case.upstream, self.dtype)

    @cached_property
    def exact(self) -> tuple[dict[str, Array], dict[str, Any], Array | None]:
        """Inputs, options and upstream gradient as float64: the exact values that the framework saw."""
        inputs = {name: widen(x) for name, x in self.inputs.items()}
        options = {name: widen(x) if isinstance(x, np.ndarray) else x for name, x in self.options.items()}
        return inputs, options, None if self.cotangent is None else widen(self.cotangent)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.case.id, self.dtype, self.output

    def trial_id(self, target: str) -> str:
        """The id of this question's trial on a target."""
        return trial_id(self.case, self.dtype, self.output, target)

    def _narrow(self, name: str, x: Array) -> Array:
        own = self.case.convention.input_dtypes if self.case.convention else {}
        return x.astype(own[name]) if name in own else _narrow(x, self.dtype)


def asked_of(cases: list[Case], dtypes: tuple[str, ...] | None = None) -> Iterator[tuple[Case, str, str]]:
    """Case, dtype and output of every question, in order; `dtypes` narrows them to some."""
    for case in cases:
        for dtype in case.dtypes:
            if dtypes is None or dtype in dtypes:
                for output in case.outputs:
                    yield case, dtype, output


def questions(cases: list[Case], dtypes: tuple[str, ...] | None = None) -> list[Question]:
    """Every question of the cases, in order; `dtypes` narrows them to some."""
    return [Question(*one) for one in asked_of(cases, dtypes)]


def trial_id(case: Case, dtype: str, output: str, target: str) -> str:
    """`cross_entropy/worked_example[torch:cpu:eager-float32]`, with `-gradient` behind the dtype of a gradient."""
    suffix = "" if output == "value" else "-gradient"
    return f"{case.id}[{target}-{dtype}{suffix}]"


def half_last_digit(printed: Any) -> float:
    """Half a unit of the last printed digit of a number, written as such or as digits in quotes."""
    try:
        exponent = Decimal(str(printed)).as_tuple().exponent
    except InvalidOperation:
        raise ValueError(f"{str(printed)!r} is not a printed number; write it in decimal digits") from None
    try:
        return 0.5 * 10.0**exponent if isinstance(exponent, int) else 0.0
    except OverflowError:
        raise ValueError(f"{str(printed)!r} is beyond the range of float64") from None


def widen(x: Array) -> Array:
    """A floating-point array as float64; integers as they are."""
    return x if x.dtype.kind in "iub" else x.astype(np.float64, copy=False)


def _narrow(x: Array, dtype: str) -> Array:
    if x.dtype.kind in "iub" or x.dtype == FORMATS[dtype].dtype:
        return x
    with np.errstate(over="ignore"):
        return x.astype(FORMATS[dtype].dtype)
