"""That something goes on, on standard error: silent in CI and where that is no terminal, and nothing imported then."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

from conformance.results.records import Line, Trial


def quiet() -> bool:
    """Whether nobody would see a bar move."""
    return not sys.stderr.isatty() or bool(os.environ.get("CI"))


def waiting(what: str) -> AbstractContextManager[object]:
    """A sign that something goes on of which nobody knows how long it takes."""
    if quiet():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)


class Progress:
    """A bar while a run works."""

    def __init__(self, planned: int, done: int = 0) -> None:
        self._bar = None
        if quiet():
            return
        from rich import progress
        from rich.console import Console

        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
        )
        self._bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("starting", total=planned, completed=done)

    def saw(self, lines: Sequence[Line]) -> None:
        if self._bar is None:
            return
        for line in lines:
            if isinstance(line, Trial):
                self._bar.update(self._task, advance=1, description=f"{line.loss} on {line.target}")

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
