"""Write a result file line by line as trials are judged, and read one back, complete or cut off."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Annotated

from pydantic import Field, TypeAdapter, ValidationError

from conformance.errors import ResultError
from conformance.results.records import SCHEMA_VERSION, Environment, Footer, Header, Line, Trial

_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


class Writer:
    """Writes lines, each flushed at once: what was judged survives a kill. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises `ResultError` when `path` cannot be written; a file that was there is then untouched."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError("Is a directory")
            self._new = path.with_name(f".{path.name}.{os.getpid()}")
            self._file: IO[str] = self._new.open("w", encoding="utf-8")
        except OSError as error:
            raise ResultError(f"cannot write results to {path}: {error.strerror or error}") from error
        self._path = path
        self._placed = False

    def write(self, line: Line) -> None:
        self._file.write(line.model_dump_json(exclude_none=True) + "\n")
        self._file.flush()
        if not self._placed:  # only now does a new run take the place of the old one
            self._new.replace(self._path)
            self._placed = True

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        if not self._placed:
            self._new.unlink(missing_ok=True)


def parse_line(text: str | bytes) -> Line:
    """One line of a result file. Raises pydantic's `ValidationError` when it is none."""
    return _LINE.validate_json(text)


@dataclass
class Results:
    """A result file read back. `footer` is None when the run was cut off."""

    header: Header
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    footer: Footer | None = None

    @property
    def complete(self) -> bool:
        return self.footer is not None and self.footer.judged == self.header.planned


def read_results(path: Path) -> Results:
    """Read a result file; a half-written last line of a killed run is dropped. Raises `ResultError` otherwise."""
    try:
        lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    except OSError as error:
        raise ResultError(f"cannot read results from {path}: {error}") from error
    if lines == [b""]:
        raise ResultError(f"{path} is empty: no run got as far as its header")
    return collect(path, _parse(path, lines))


def _parse(path: Path, lines: list[bytes]) -> Iterable[Line]:
    for number, text in enumerate(lines, start=1):
        try:
            yield parse_line(text)
        except ValidationError as error:
            if number == len(lines) > 1 and error.errors()[0]["type"] == "json_invalid":
                return
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ResultError(f"{path}:{number}: not a line of a result file: {where}: {first['msg']}") from error


def collect(path: Path, lines: Iterable[Line]) -> Results:
    """The lines of a run together. `path`, where they are from, is for messages."""
    results: Results | None = None
    for line in lines:
        if isinstance(line, Header):
            if line.schema_version > SCHEMA_VERSION:
                raise ResultError(f"{path}: written by a later version (schema {line.schema_version})")
            results = Results(line)
        elif results is None:
            raise ResultError(f"{path}:1: the first line of a result file is its header")
        elif isinstance(line, Environment):
            results.environments[line.target] = line.facts
        elif isinstance(line, Trial):
            results.trials.append(line)
        else:
            results.footer = line
    assert results is not None
    return results
