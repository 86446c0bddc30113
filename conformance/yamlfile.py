"""YAML 1.2: read as nested mappings and lists that know their lines, written with the ends of lines that were there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError


class _Constructor(RoundTripConstructor):
    def construct_yaml_timestamp(self, node: Any, values: Any = None) -> Any:
        try:
            return super().construct_yaml_timestamp(node, values)
        except ValueError as error:  # which does not say where
            raise ConstructorError(None, None, f"{node.value} is no date: {error}", node.start_mark) from error

    def construct_yaml_float(self, node: Any) -> Any:
        value = super().construct_yaml_float(node)
        if math.isinf(value) and any(map(str.isdigit, node.value)):
            said = f"{node.value} is beyond the range of float64; infinity is written as .inf"
            raise ConstructorError(None, None, said, node.start_mark)
        return value


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_timestamp)
_Constructor.add_constructor("tag:yaml.org,2002:float", _Constructor.construct_yaml_float)


def load(text: str) -> Any:
    """The one document of a text. Raises ruamel's `YAMLError` and, for tags that do not fit, whatever it trips over."""
    yaml = YAML(typ="rt", pure=True)
    yaml.Constructor = _Constructor
    return yaml.load(text)


def place(error: MarkedYAMLError) -> tuple[int | None, str]:
    """The line of what is wrong with a text, as far as it is known, and what it is."""
    mark = error.problem_mark or error.context_mark
    said = " ".join(part for part in (error.context, error.problem) if part)
    return mark.line + 1 if mark else None, said


def line_of(document: Any, path: Sequence[Any]) -> int | None:
    """Line of the deepest part of `path` that the document knows, counted from 1."""
    line: int | None = None
    for part in path:
        marks = getattr(document, "lc", None)
        try:
            if marks is not None:
                position = marks.key(part) if isinstance(document, dict) else marks.item(part)
                line = position[0] + 1
            document = document[part]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return line


def rewrite(path: Path, text: str) -> None:
    """Write a file anew, its lines with the ends that they had."""
    newline = "\r\n" if b"\r\n" in path.read_bytes() else "\n"
    path.write_text(text, encoding="utf-8", newline=newline)
