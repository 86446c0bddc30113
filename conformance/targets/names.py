"""Target names, `adapter[:device[:mode]]`, and the adapters that they may name.

Adapters come from three places, the later winning: the `adapters` folder of the suite, the entry-point group
`conformance.adapters` of installed packages, and files named on the command line.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from conformance.errors import TargetError
from conformance.losses import DTYPES, LOSSES, Accuracy
from conformance.targets.contract import keyword_options
from conformance.targets.worker import describe, load_class

DEVICE, MODE = "cpu", "eager"
"""What a target is on and in where neither its name nor its adapter says so."""


@dataclass(frozen=True)
class Adapter:
    """An adapter class by name and `location` (`module:Class` or `file.py:Class`). `deviations` and `declared` are the
    lists that lie beside it, if there are any: known deviations, and conventions that the framework documents.
    `compiles` says that the framework compiles for every shape in every mode."""

    name: str
    location: str
    source: Path
    requires: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    accuracy: Accuracy = ()
    deviations: Path | None = None
    declared: Path | None = None
    compiles: bool = False

    def missing(self) -> list[str]:
        """Packages that it requires and that are not installed here."""
        return [name for name in self.requires if not _can_import(name)]


@dataclass(frozen=True)
class Target:
    """An adapter on a device in a mode, in an interpreter (this one when `python` is empty)."""

    adapter: Adapter
    device: str
    mode: str
    python: str = ""

    @property
    def compiles(self) -> bool:
        """Whether a new shape costs a compilation, so that a search had better keep to a few."""
        return self.adapter.compiles or self.mode != "eager"

    def conditions(self, facts: Mapping[str, str]) -> dict[str, str]:
        """What the conditions of a list may ask about, where its environment is as these `facts` say."""
        return {**facts, "device": self.device, "mode": self.mode}

    def __str__(self) -> str:
        return f"{self.adapter.name}:{self.device}:{self.mode}"


def find_adapters(user_files: Sequence[str] = ()) -> dict[str, Adapter]:
    """Every adapter by name. Raises `TargetError` for one that does not import or does not keep the contract; that the
    suite's own keep it is for our tests to see, as it takes longer than all else here."""
    ours = [_inspect(location, load_class(location)) for location in _builtin()]
    installed = [_inspect(location, _checked_class(location)) for location in _installed()]
    given = [_inspect(location, _checked_class(location)) for location in user_files]
    _check_apart(given)
    return {adapter.name: adapter for adapter in [*ours, *installed, *given]}


def _check_apart(given: Sequence[Adapter]) -> None:
    """Raises `TargetError` where two adapters that were given have one name: only one could be tried."""
    first: dict[str, Adapter] = {}
    for adapter in given:
        other = first.setdefault(adapter.name, adapter)
        if other.location != adapter.location:
            places = f"{other.location} and {adapter.location}"
            raise TargetError(f"two adapters have the name {adapter.name!r}: {places}; give one of them another `name`")


def parse_target(text: str, adapters: Mapping[str, Adapter], python: str = "") -> Target:
    """The target named by `text`; device and mode default to the adapter's first, or to cpu and eager."""
    name, *rest = text.split(":")
    if name not in adapters:
        raise TargetError(f"unknown target {text!r}: the adapters are {', '.join(sorted(adapters))}")
    if len(rest) > 2 or not all(rest):
        raise TargetError(f"target {text!r}: write adapter[:device[:mode]], for example torch:cpu:eager")
    adapter = adapters[name]
    device = rest[0] if rest else (adapter.devices or (DEVICE,))[0]
    mode = rest[1] if len(rest) > 1 else (adapter.modes or (MODE,))[0]
    for kind, value, known in (("device", device, adapter.devices), ("mode", mode, adapter.modes)):
        if known and value not in known:
            raise TargetError(f"target {text!r}: {name} has no {kind} {value!r}; it has {', '.join(known)}")
    return Target(adapter, device, mode, python)


def _builtin() -> list[str]:
    folder = files("conformance.adapters")
    found = []
    for stem in sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".py")):
        module = import_module(f"conformance.adapters.{stem}")
        classes = [x for x in vars(module).values() if isinstance(x, type) and x.__module__ == module.__name__]
        found += [f"{module.__name__}:{cls.__name__}" for cls in classes if hasattr(cls, "name")]
    return found


def _installed() -> list[str]:
    return [entry.value for entry in sorted(entry_points(group="conformance.adapters"), key=lambda e: e.name)]


def _can_import(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


def full_location(location: str) -> str:
    """A location whose file, if it names one, is an absolute path."""
    place, _, name = location.rpartition(":")
    return f"{Path(place).resolve()}:{name}" if place.endswith(".py") else location


def _checked_class(location: str) -> type[Any]:
    """The class of an adapter that is not ours. Raises `TargetError` where there is none that keeps the contract."""
    place, colon, name = location.rpartition(":")
    if not colon or not name.isidentifier():
        raise TargetError(f"adapter {location!r}: write path/to/file.py:Class")
    if place.endswith(".py") and not Path(place).is_file():
        raise TargetError(f"adapter {location}: no such file {place}")
    location = full_location(location)
    try:
        cls = load_class(location)
    except AttributeError as error:
        raise TargetError(f"adapter {location}: {error}") from error
    except (Exception, SystemExit) as error:
        raise TargetError(f"adapter {location} does not import: {describe(error)}") from error
    faults = contract_faults(cls)
    if faults:
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise TargetError(f"adapter {location} does not keep the adapter contract:\n{listed}")
    return cls


def _inspect(location: str, cls: Any) -> Adapter:
    source = Path(inspect.getfile(cls))
    deviations, declared = (source.with_suffix(suffix) for suffix in (".deviations.yaml", ".conventions.yaml"))
    return Adapter(
        cls.name,
        full_location(location),
        source,
        tuple(getattr(cls, "requires", ())),
        tuple(getattr(cls, "devices", ())),
        tuple(getattr(cls, "modes", ())),
        tuple(sorted(getattr(cls, "accuracy", {}).items())),
        deviations if deviations.is_file() else None,
        declared if declared.is_file() else None,
        bool(getattr(cls, "compiles", False)),
    )


def contract_faults(cls: Any) -> list[str]:
    """Everything in which a class departs from the adapter contract, each naming both sides."""
    if not isinstance(cls, type):
        return [f"an adapter is a class; this is {type(cls).__name__}"]
    faults = []
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not name or set(name) & set(":[]*? \t\n"):
        faults.append(f"the class attribute `name` must be a text without spaces, colons, * ? [ or ], not {name!r}")
    faults += [
        f"the class attribute `{known}` must be a tuple of texts, not {getattr(cls, known)!r}"
        for known in ("requires", "devices", "modes")
        if not _are_texts(getattr(cls, known, ()))
    ]
    needed = ("environment", "to_native", "to_numpy")
    faults += [f"the method `{method}` is missing" for method in needed if not callable(getattr(cls, method, None))]
    if not _is_accuracy(getattr(cls, "accuracy", {})):
        faults.append(
            '`accuracy` must map a dtype to the errors of exp, log and log1p, as {"float32": (1.0, 1.0, 1.0)}'
        )
    constructor = getattr(cls, "__init__")  # noqa: B009 - mypy calls cls.__init__ unsound
    if constructor is object.__init__ or not _accepts(constructor, 2):  # object's claims to take anything
        faults.append("`__init__` must take (device, mode)")
    losses = [loss for loss in LOSSES if callable(getattr(cls, loss, None))]
    if not losses:
        faults.append(f"it has no loss; a method is named as its loss: {', '.join(LOSSES)}")
    for loss in losses:
        faults += _signature_faults(cls, loss)
    if hasattr(cls, "gradient") and not _accepts(cls.gradient, 4):
        faults.append("`gradient` must take (loss, inputs, wrt, cotangent)")
    if hasattr(cls, "bare") and not _accepts(cls.bare, 1):
        faults.append("`bare` must take (loss)")
    return faults


def _signature_faults(cls: Any, loss: str) -> list[str]:
    method, ours = getattr(cls, loss), LOSSES[loss]
    faults = []
    if not _accepts(method, len(ours.inputs)):
        faults.append(f"`{loss}` must take ({', '.join(ours.inputs)}) by position and its options by keyword")
    for name, parameter in keyword_options(method).items():
        if name not in ours.options:
            known = ", ".join(ours.options) or "none"
            faults.append(f"`{loss}` declares the option `{name}`, which the loss does not have; its options: {known}")
        elif name != "reduction" and parameter.default not in (inspect.Parameter.empty, ours.options[name].default):
            # A reduction is always passed, so its default does not matter.
            theirs, default = parameter.default, ours.options[name].default
            faults.append(f"`{loss}` has {name}={theirs!r} by default, where the loss has {default!r}")
    return faults


def _are_texts(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(text, str) and text for text in value)


def _is_accuracy(value: Any) -> bool:
    return isinstance(value, dict) and all(
        dtype in DTYPES and isinstance(errors, tuple) and len(errors) == 3 and all(map(_is_positive, errors))
        for dtype, errors in value.items()
    )


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and value > 0


def _accepts(function: Any, count: int) -> bool:
    """Whether a method can be called with `count` positional arguments after self, and its options by keyword."""
    try:
        signature = inspect.signature(function)
        options = {p.name: None for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}
        signature.bind(*[None] * (count + 1), **options)
    except TypeError:
        return False
    return True
