"""Change a list of deviations in place: lines are cut and put in, and all others, comments too, stay as they are."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from conformance.errors import DeviationError, Problem

Narrowed = Mapping[int, Sequence[Sequence[str]]]
"""By entry that changes, what each of its globs becomes: nothing, itself, or narrower ones. Without any, it goes."""


def rewritten(path: Path, narrowed: Narrowed, added: Sequence[Mapping[str, Any]]) -> str:
    """The text of a list with some entries narrowed and others added at its end.

    Raises `DeviationError` when it is written in a way that cannot be changed line by line.
    """
    text = path.read_text(encoding="utf-8")
    document: Any = YAML(typ="rt", pure=True).compose(text)
    key, listed = document.value[0]
    if listed.flow_style and listed.value:
        raise _by_hand(path, listed.start_mark.line)
    lines = text.splitlines()
    starts = [node.start_mark.line for node in listed.value]
    end = _end(lines, starts[-1]) if starts else key.start_mark.line + 1
    lines[end:end] = [line for entry in added for line in _entry(entry, _column(lines, starts))]
    for i in sorted(narrowed, reverse=True):
        if any(narrowed[i]):
            _narrow(path, lines, listed.value[i], narrowed[i])
        else:
            del lines[starts[i] : _after(lines, starts[i])]
    empty = not added and len(starts) == len([i for i in narrowed if not any(narrowed[i])])
    if empty or not starts:
        said = r"\1: []" if empty else r"\1:"
        lines[key.start_mark.line] = re.sub(r"(deviations)\s*:\s*(\[\s*\])?", said, lines[key.start_mark.line])
    changed = "\n".join(lines) + "\n"
    with contextlib.suppress(YAMLError):
        if _globs(changed) == _expected(_globs(text), narrowed, added):
            return changed
    raise _by_hand(path, listed.start_mark.line)


def _narrow(path: Path, lines: list[str], entry: Any, narrowed: Sequence[Sequence[str]]) -> None:
    (globs,) = [value for key, value in entry.value if key.value == "trials"]
    if globs.flow_style:
        first, last = globs.start_mark, globs.end_mark
        if any(re.search(r"\s#", line) for line in lines[first.line : last.line]):
            raise _by_hand(path, first.line)  # a comment within would be lost
        kept = ", ".join(json.dumps(glob) for became in narrowed for glob in became)
        lines[first.line : last.line + 1] = [
            f"{lines[first.line][: first.column]}[{kept}]{lines[last.line][last.column :]}"
        ]
        return
    for scalar, became in reversed(list(zip(globs.value, narrowed, strict=True))):
        start, stop = scalar.start_mark, scalar.end_mark
        if list(became) != [scalar.value]:
            before, behind = lines[start.line][: start.column], lines[stop.line][stop.column :]
            lines[start.line : stop.line + 1] = [f"{before}{json.dumps(glob)}{behind}" for glob in became]


def _entry(entry: Mapping[str, Any], column: int) -> list[str]:
    """A new entry as lines, an empty one before it."""
    globs = [f"    - {json.dumps(glob)}" for glob in entry["trials"]]
    rest = [f"  {name}: {json.dumps(value)}" for name, value in entry.items() if name != "trials"]
    return ["", *(" " * column + line for line in ["- trials:", *globs, *rest])]


def _column(lines: list[str], starts: list[int]) -> int:
    return _indent(lines[starts[0]]) if starts else 2


def _end(lines: list[str], start: int) -> int:
    """The line behind the last one of the entry that begins at `start`: those that are indented further."""
    end = start + 1
    for number in range(start + 1, len(lines)):
        if lines[number].strip():
            if _indent(lines[number]) <= _indent(lines[start]):
                break
            end = number + 1
    return end


def _after(lines: list[str], start: int) -> int:
    """As `_end`, with the empty lines that follow."""
    end = _end(lines, start)
    while end < len(lines) and not lines[end].strip():
        end += 1
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _globs(text: str) -> list[list[str]]:
    document: Any = YAML(typ="safe", pure=True).load(text)
    return [entry["trials"] for entry in document["deviations"]]


def _expected(globs: list[list[str]], narrowed: Narrowed, added: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    kept = [[g for became in narrowed[i] for g in became] if i in narrowed else old for i, old in enumerate(globs)]
    return [*filter(None, kept), *(list(entry["trials"]) for entry in added)]


def _by_hand(path: Path, line: int) -> DeviationError:
    how = "cannot be updated as it is written; put each entry on lines of its own, or change it by hand"
    return DeviationError([Problem(str(path), line + 1, "deviations", how)])
