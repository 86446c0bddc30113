"""What the lists beside adapters share: entries that name trials or cases by glob and hold under conditions."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from conformance.checked import checked
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
    from packaging.specifiers import SpecifierSet  # not before a list asks for a version
    from packaging.version import InvalidVersion, Version

    try:
        return name in facts and SpecifierSet(value).contains(Version(facts[name]), prereleases=True)
    except InvalidVersion:
        return False


Entry = TypeVar("Entry", bound=Listed)


def load_lists(paths: Iterable[Path], key: str, kind: type[Entry], problems: list[Problem]) -> list[Entry]:
    """The entries under `key` of all files; whatever is wrong in any of them goes into `problems`."""
    return [entry for path in paths for entry in _load_list(path, key, kind, problems)]


def _load_list(path: Path, key: str, kind: type[Entry], problems: list[Problem]) -> list[Entry]:
    from pydantic import ValidationError  # not before there is a list
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    from conformance.yamlfile import load, place

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
                problems.append(Problem(str(path), line, inside, detail["msg"].removeprefix("Value error, ")))
    return entries
