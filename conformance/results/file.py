"""Write a result file line by line as trials are judged, and read one back, complete or cut off."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Annotated

from conformance.errors import ResultError
from conformance.results.records import SCHEMA_VERSION, Environment, Footer, Header, Line, Trial, as_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_NAMED = 10
"""Lines of a file that an error names."""


class Writer:
    """Writes lines, flushed at once: what was judged survives a kill. Use as a context manager.

    A new file takes the place of an earlier one with its first line; a link stays one, and a device or a pipe is
    written as it is. With `resume` the lines go behind those of the earlier file, whose half-written last line is
    removed first. Nobody else may write the file meanwhile.
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        """Raises `ResultError` when `path` cannot be written; a file that was there is then untouched."""
        self.path = path
        self._place = path.resolve()
        self._new = self._place.with_name(f".{self._place.name}.{os.getpid()}")
        self._placed = resume or (self._place.exists() and not self._place.is_file())
        try:
            if resume:
                self._file: IO[bytes] = _locked(path, "r+b")
                _seek_end_of_lines(self._file)
                return
            self._place.parent.mkdir(parents=True, exist_ok=True)
            if self._place.is_file():
                _locked(self._place, "rb").close()  # nobody is at the file that is to be replaced
            self._file = self._place.open("wb") if self._placed else _locked(self._new, "wb")
        except OSError as error:
            raise self._cannot(error) from error

    def write(self, *lines: Line) -> None:
        """Raises `ResultError` when there is no room for them."""
        try:
            self._file.write("".join(as_json(line) + "\n" for line in lines).encode())
            self._file.flush()
            if not self._placed:  # only now does a new run take the place of the old one
                self._new.replace(self._place)
                self._placed = True
        except OSError as error:
            raise self._cannot(error) from error

    def _cannot(self, error: OSError) -> ResultError:
        return ResultError(f"cannot write results to {self.path}: {error.strerror or error}")

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what could not be written was said
            self._file.close()
        if not self._placed:
            self._new.unlink(missing_ok=True)


def _locked(path: Path, mode: str) -> IO[bytes]:
    """A file that nobody else gets while it is open, where its file system can. Raises `OSError` when one has it."""
    file: IO[bytes] = path.open(mode)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise BlockingIOError("another run is still writing it") from None
    except OSError:
        return file
    return file


def _seek_end_of_lines(file: IO[bytes]) -> None:
    """Go to the end of the last whole line and cut off what follows; a line that lacks only its end is given it."""
    lines = file.read().split(b"\n")
    if lines[-1]:
        if _is_json(lines[-1]):
            file.write(b"\n")
        else:
            file.seek(-len(lines[-1]), os.SEEK_END)
            file.truncate()


def parse_line(text: str | bytes) -> Line:
    """One line of a result file. Raises pydantic's `ValidationError` when it is none."""
    return _lines().validate_json(text)


@cache
def _lines() -> TypeAdapter[Line]:
    from pydantic import Field, TypeAdapter  # slow to import, and a run only writes

    return TypeAdapter(Annotated[Line, Field(discriminator="kind")])


@dataclass
class Results:
    """A result file read back. `footer` is None when the run was cut off, `cut` whether that was within a line."""

    header: Header
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    footer: Footer | None = None
    cut: bool = False

    @property
    def complete(self) -> bool:
        """Whether every trial that was planned is accounted for, be it as not run."""
        return self.footer is not None and self.footer.judged == self.header.planned

    @property
    def all_run(self) -> bool:
        """Whether something was planned, and all of it was run."""
        return self.footer is not None and 0 < self.header.planned == len(self.judged)

    @property
    def judged(self) -> dict[str, Trial]:
        """The trials that were run, by id."""
        return {trial.id: trial for trial in self.trials if trial.verdict != "not run"}


def read_results(path: Path) -> Results:
    """Read a result file; a half-written last line of a killed run is dropped. Raises `ResultError` otherwise."""
    return read_all([path])[path]


def read_all(paths: Iterable[Path]) -> dict[Path, Results]:
    """Read result files. Raises `ResultError` naming everything that is wrong with any of them."""
    read, problems = {}, []
    for path in paths:
        try:
            read[path] = _read(path)
        except ResultError as error:
            problems.append(error)
    if problems:
        raise ResultError("\n".join(map(str, dict.fromkeys(problems))))
    return read


def _read(path: Path) -> Results:
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ResultError(f"cannot read results from {path}: {error.strerror or error}") from error
    if not lines and not rest:
        raise ResultError(f"{path} is empty: no run got as far as its header")
    cut = bool(lines) and bool(rest) and not _is_json(rest)
    if rest and not cut:
        lines.append(rest)
    parsed = [_parse(path, number, text) for number, text in enumerate(lines, start=1)]
    faults = [line for line in parsed if isinstance(line, str)]
    if faults:
        more = [f"... and {len(faults) - _NAMED} more lines"] if len(faults) > _NAMED else []
        raise ResultError("\n".join([*faults[:_NAMED], *more]))
    results = collect(path, (line for line in parsed if not isinstance(line, str)))
    results.cut = cut
    return results


def _parse(path: Path, number: int, text: bytes) -> Line | str:
    """The line, or what is wrong with it."""
    from pydantic import ValidationError  # as above

    try:
        return parse_line(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = f"{where}: {first['msg']}" if where else first["msg"]
        return f"{path}:{number}: not a line of a result file: {said}"


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def collect(path: Path, lines: Iterable[Line]) -> Results:
    """The lines of a run together. A resumed run writes behind the footer; its trials replace those of the same id.

    `path`, where they are from, is for messages.
    """
    results: Results | None = None
    trials: dict[str, Trial] = {}
    for line in lines:
        if isinstance(line, Header):
            if line.schema_version != SCHEMA_VERSION:
                told = f"format {line.schema_version}, and this version of the suite reads format {SCHEMA_VERSION}"
                raise ResultError(f"{path}: {told}; read it with the version that wrote it, {line.suite_version}")
            if results is not None:
                raise ResultError(f"{path}: two headers, so two files in one; join files with `conformance merge`")
            results = Results(line)
        elif results is None:
            raise ResultError(f"{path}:1: the first line of a result file is its header")
        elif isinstance(line, Environment):
            results.environments[line.target] = line.facts
        elif isinstance(line, Trial):
            trials[line.id] = line
            results.footer = None
        else:
            results.footer = line
    assert results is not None
    results.trials = list(trials.values())
    if results.footer is not None and results.footer.judged != len(trials):
        said = f"its last line says {results.footer.judged} judged, and there are {len(trials)}"
        raise ResultError(f"{path}: {said}; lines were lost or put in after the run")
    return results
