"""What the lists beside adapters share: entries that name trials or cases by glob and hold under conditions."""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from conformance.cache import Cache
from conformance.checked import checked, fault
from conformance.errors import Problem

_CONDITIONS = ("platform", "device", "mode")


def _known(when: dict[str, str]) -> dict[str, str]:
    """Conditions whose version ranges can be read. Raises ValueError."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    for name, value in when.items():
        if name not in _CONDITIONS:
            try:
                SpecifierSet(value)
            except InvalidSpecifier:
                raise ValueError(f"{value!r} is no version range for {name}, such as '>=2.1,<3'") from None
    return when


@dataclass(kw_only=True)
class Listed:
    """One entry of a list; `where`, the file and line it stands at, is no key of the list."""

    when: dict[str, str] = field(
        default_factory=dict,
        metadata={
            "description": "Version ranges by package; platform, device and mode by value.",
            "check": _known,
        },
    )
    where: str = field(default="", metadata={"hidden": True})

    def holds(self, facts: Mapping[str, str]) -> bool:
        """Whether all conditions of the entry hold in an environment with these `facts`."""
        return all(_holds(name, value, facts) for name, value in self.when.items())


def _holds(name: str, value: str, facts: Mapping[str, str]) -> bool:
    if name == "platform":
        return sys.platform == value
    if name in _CONDITIONS:
        return facts.get(name) == value
    return name in facts and _in_range(facts[name], value)


@cache
def _in_range(version: str, versions: str) -> bool:
    """Whether a version is within a range; the few of a run are asked about at every trial."""
    from packaging.specifiers import SpecifierSet  # not before a list asks for a version
    from packaging.version import InvalidVersion, Version

    try:
        return SpecifierSet(versions).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


Entry = TypeVar("Entry", bound=Listed)


def load_lists(
    paths: Iterable[Path], key: str, kind: type[Entry], problems: list[Problem], store: Cache | None = None
) -> list[Entry]:
    """The entries under `key` of all files; whatever is wrong in any of them goes into `problems`. Lists without a
    fault are kept in the `store`."""
    return [entry for path in paths for entry in _load_list(path, key, kind, problems, store or Cache())]


def _load_list(path: Path, key: str, kind: type[Entry], problems: list[Problem], store: Cache) -> list[Entry]:
    """The entries of one file, read now or in an earlier run."""
    content = path.read_bytes() if path.is_file() else b""
    name = hashlib.sha256(f"{key} {path}\0".encode() + content).digest()
    if (kept := store.get(name)) is not None:
        entries: list[Entry] = pickle.loads(kept)  # noqa: S301 - the user's own
        return entries
    earlier = len(problems)
    entries = _read_list(path, key, kind, problems)
    if len(problems) == earlier:
        store.put(name, pickle.dumps(entries, protocol=5))
    return entries


def _read_list(path: Path, key: str, kind: type[Entry], problems: list[Problem]) -> list[Entry]:
    from pydantic import ValidationError  # not before there is a list
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    from conformance.yamlfile import line_of, load, place

    try:
        document = load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        line, said = place(error)
        problems.append(Problem(str(path), line, "", f"cannot be read: {said}"))
        return []
    except (OSError, UnicodeDecodeError, YAMLError, ValueError) as error:
        problems.append(Problem(str(path), None, "", f"cannot be read: {' '.join(str(error).split())}"))
        return []
    except Exception as error:  # ruamel trips over a tag on a value that is none of its kind, in many ways
        problems.append(Problem(str(path), None, "", f"cannot be read: a tag (!!) does not fit its value ({error})"))
        return []
    listed = document.get(key) if isinstance(document, dict) else None
    if not isinstance(listed, list) or set(document) != {key}:
        problems.append(Problem(str(path), 1, "", f"a list of {key} is a mapping with the one key {key}"))
        return []
    marks: Any = listed
    entries = []
    for i, item in enumerate(listed):
        line = marks.lc.item(i)[0] + 1
        try:
            given: dict[str, Any] = dict(item) if isinstance(item, dict) else item
            entries.append(kind(**checked(kind, given), where=f"{path}:{line}"))
        except ValidationError as error:
            for detail in error.errors():
                inside = ".".join(str(part) for part in (key, i, *detail["loc"]))
                there = line_of(item, detail["loc"]) or line
                problems.append(Problem(str(path), there, inside, fault(detail, kind, "mapping")))
    return entries
