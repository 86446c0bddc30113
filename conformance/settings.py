"""Defaults of `conformance run` from `[tool.conformance]` in the pyproject.toml of the project that one stands in.

    [tool.conformance]
    targets = ["torch:cpu", "torch:cuda"]
    deviations = ["ci/losses.deviations.yaml"]
    python = {torch = "build/venv/bin/python"}

Keys are the options of the command. What is given on the command line takes the place of what stands here; paths are
relative to the file. The nearest pyproject.toml with this table counts, from the working directory upwards.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from conformance.checked import checked, fault
from conformance.errors import Problem, SettingsError, UsageError
from conformance.results.records import Choice, Options

TABLE = "tool.conformance"
_PATHS = ("cases", "deviations")


@dataclass(kw_only=True, frozen=True)
class Settings(Choice):
    """The options of a run, with the values that they have when nobody says otherwise."""

    python: dict[str, str] = field(default_factory=dict)
    results: str = "conformance-results.jsonl"
    slow: bool = False
    jobs: int = field(default=2, metadata={"ge": 1})
    timeout: float = field(default=60.0, metadata={"gt": 0})
    memory: float | None = field(default=None, metadata={"ge": 0})
    restarts: int = field(default=500, metadata={"ge": 0})
    twice: bool | None = None
    cache: bool = True

    def replaced(self, **given: Any) -> Settings:
        """With the options that were given; those that are None or empty were not. An adapter that is given is to be
        tried, whatever targets are the default."""
        said = {name: x for name, x in given.items() if x not in (None, [], (), {})}
        defaults = replace(self, targets=[]) if "adapter" in said else self
        return replace(defaults, **said)

    def options(self, shard: str) -> Options:
        """What is to be tried, of which `shard` is always said by the command line."""
        texts = [f"{name}={path}" for name, path in self.python.items()]
        same = {one.name: getattr(self, one.name) for one in fields(Choice)}
        return Options(**same, python=texts, shard=shard, slow=self.slow)


def interpreters(options: Sequence[str]) -> dict[str, str]:
    """`ADAPTER=PATH` options as a mapping from adapter to interpreter."""
    for text in options:
        if "=" not in text:
            raise UsageError(f"--python {text}: write ADAPTER=PATH")
    return dict(text.split("=", 1) for text in options)


def find_settings(folder: Path) -> Settings:
    """The settings that hold in a folder. Raises `SettingsError` naming everything that is wrong with their table."""
    for place in (folder, *folder.parents):
        path = place / "pyproject.toml"
        if path.is_file() and (found := _read(path)) is not None:
            return found
    return Settings()


def _read(path: Path) -> Settings | None:
    """The settings of a file, or None when it has no such table."""
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text).get("tool", {}).get("conformance")
    except (OSError, ValueError, AttributeError) as error:
        found = re.search(r" \(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) if found else None
        raise SettingsError([Problem(str(path), line, "", f"cannot be read: {error}")]) from error
    if table is None:
        return None
    return Settings().replaced(**_placed(_given(path, text, table), path.parent))


def _given(path: Path, text: str, table: Any) -> dict[str, Any]:
    """The options that a table gives. Raises `SettingsError` naming everything that is wrong with them."""
    from pydantic import ValidationError  # slow to import

    try:
        return checked(Settings, table, strict=True)
    except ValidationError as error:
        details = error.errors()
    problems = []
    for detail in details:
        inside = ".".join(str(part) for part in detail["loc"])
        key = str(detail["loc"][0]) if detail["loc"] else ""
        said = fault(detail, Settings, "table")
        problems.append(Problem(str(path), _line(text, key), f"{TABLE}.{inside}".rstrip("."), said))
    raise SettingsError(problems)


def _placed(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """With paths that are good from everywhere."""

    def absolute(path: str) -> str:
        return str(folder / path)

    placed: dict[str, Any] = {name: [absolute(path) for path in given.get(name, ())] for name in _PATHS}
    placed["adapter"] = [absolute(a) if ".py:" in a else a for a in given.get("adapter", ())]
    placed["python"] = {name: absolute(path) for name, path in given.get("python", {}).items()}
    placed["results"] = absolute(given["results"]) if "results" in given else None
    return given | placed


def _line(text: str, key: str) -> int | None:
    """The line that a key of the table stands at, or that of the table; the TOML parser does not keep them."""
    lines = text.splitlines()
    header = re.compile(rf"\s*\[\s*{re.escape(TABLE)}\s*(\.|\])")
    start = next((i for i, line in enumerate(lines) if header.match(line)), None)
    if start is None:
        return None
    assigned = re.compile(rf"""\s*(\[\s*{re.escape(TABLE)}\s*\.\s*)?["']?{re.escape(key)}["']?\s*[.=\]]""")
    inside = (i for i in range(start, len(lines)) if assigned.match(lines[i]))
    return next(inside, start) + 1
