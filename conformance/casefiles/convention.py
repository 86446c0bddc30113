"""A convention: a point on which libraries differ on purpose, how it is asked, and the possible outcomes by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.losses import Array


@dataclass(frozen=True, eq=False)
class Outcome:
    """One side of a convention: what an answer must show to be called by its name.

    What is None may be anything. `error` is a type's name, or empty for an error of any kind; without it
    there must be a result. `changed` names the inputs that the call overwrites. Zero is met by either zero, -0.0 only
    by itself.
    A `plain` outcome was written as its value only, which then has the shape of the loss.
    """

    value: Array | None = None
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    error: str | None = None
    changed: tuple[str, ...] = ()
    plain: bool = False

    def __str__(self) -> str:
        if self.error is not None:
            return self.error or "error"
        said = [] if self.value is None else [_text(self.value)]
        said += [] if self.dtype is None else [self.dtype]
        said += [] if self.shape is None else [f"shape {list(self.shape)}"]
        said += [f"{name} overwritten" for name in self.changed]
        return ", ".join(said) or "a result"


@dataclass(frozen=True, eq=False)
class Convention:
    """What is asked, beside the inputs of the case.

    `output` is value or gradient, the latter with respect to `wrt`. `input_dtypes` are those of inputs and options that
    do not follow the trial's. `bare` asks for a call that passes no option, so that the framework's own defaults hold.
    """

    name: str
    outcomes: Mapping[str, Outcome]
    topic: str = ""
    question: str = ""
    output: str = "value"
    wrt: str = ""
    input_dtypes: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False

    @property
    def facts(self) -> dict[str, object]:
        """What a verdict depends on: how it is asked, and the outcomes."""
        asked = {"name": self.name, "output": self.output, "wrt": self.wrt, "bare": self.bare}
        outcomes = {f"outcome {name}": str(outcome) for name, outcome in self.outcomes.items()}
        return {**asked, "input_dtypes": sorted(self.input_dtypes.items()), **outcomes}


def _text(x: Array) -> str:
    """Nested lists of numbers; of a large array of one number that number."""
    if x.size > 8 and (x == x.flat[0]).all():
        return f"{x.flat[0]!r} everywhere"
    return str(x.tolist())
