"""Which targets a run tries: those that are named, or what is installed. Nothing here needs the cases, so that the
frameworks can be imported while these are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.errors import UsageError
from conformance.settings import interpreters
from conformance.targets.names import Adapter, Target, find_adapters, full_location, parse_target


@dataclass(frozen=True)
class Tried:
    """The adapters that there are, the targets of a run, and of adapters that were left out what they lack."""

    adapters: dict[str, Adapter]
    targets: list[Target]
    unavailable: dict[str, str]


def choose_targets(names: Sequence[str] = (), adapter_files: Sequence[str] = (), pythons: Sequence[str] = ()) -> Tried:
    """The targets that are named, which must be there; without `names` every installed framework, or only the adapters
    given as files. `pythons` are `ADAPTER=PATH`."""
    adapters = find_adapters(adapter_files)
    paths = checked_pythons(interpreters(pythons), adapters)
    if names:
        chosen = [parse_target(name, adapters, paths.get(name.split(":")[0], "")) for name in names]
        return Tried(adapters, list(dict.fromkeys(chosen)), {})
    unavailable = {}
    targets = []
    for adapter in adapters.values():
        if adapter_files and adapter.location not in map(full_location, adapter_files):
            continue
        missing = [] if adapter.name in paths else adapter.missing()
        if missing:
            unavailable[adapter.name] = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        else:
            targets.append(parse_target(adapter.name, adapters, paths.get(adapter.name, "")))
    return Tried(adapters, targets, unavailable)


def check_tried(tried: Tried, adapter_files: Sequence[str]) -> None:
    """Raises `UsageError` for adapters that were given as files and that no target is of."""
    spoken_of = {*tried.unavailable, *(target.adapter.name for target in tried.targets)}
    left = {a.location: a.name for a in tried.adapters.values() if a.name not in spoken_of}
    unused = {
        f"--adapter {given}": left[full_location(given)] for given in adapter_files if full_location(given) in left
    }
    if unused:
        said = f"{' and '.join(unused)} would not be tried"
        raise UsageError(f"{said}: name {' and '.join(unused.values())} among the targets, or no target")


def checked_pythons(pythons: Mapping[str, str], adapters: dict[str, Adapter]) -> Mapping[str, str]:
    """The interpreters by absolute paths, as one without a slash would be looked for elsewhere."""
    for name, path in pythons.items():
        if name not in adapters:
            raise UsageError(f"--python {name}={path}: the adapters are {', '.join(sorted(adapters))}")
        if not Path(path).is_file():
            raise UsageError(f"--python {name}={path}: no such interpreter {path}")
    return {name: str(Path(path).absolute()) for name, path in pythons.items()}
