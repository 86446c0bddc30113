"""Workers that are started before it is known what to ask: they import their frameworks while the cases are read."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING

from conformance.targets.interpreter import Interpreter, StartError
from conformance.targets.process import WORKER, Limits, Worker

if TYPE_CHECKING:
    from conformance.targets.names import Target


class Early:
    """The first workers of a run. Use as a context manager: those that nobody came for are ended with it.

    With a `spare`, one process is started at once, before the targets are known: it has numpy by the time when the
    first target that lives in this interpreter is.
    """

    def __init__(self, jobs: int, limits: Limits, *, spare: bool = False) -> None:
        self._jobs, self._limits = jobs, limits
        self._pool = ThreadPoolExecutor(max_workers=jobs)  # to start an interpreter takes a moment, too
        self._begun: dict[Target, Future[Worker]] = {}
        self._spares = [self._pool.submit(Interpreter, "", WORKER)] if spare else []

    def begin(self, targets: Iterable[Target]) -> None:
        """Start the workers of those targets that come first."""
        for target in in_order(targets)[: self._jobs]:
            self._begun[target] = self._pool.submit(self._start, target, self._limits, self._spare(target))

    def _spare(self, target: Target) -> Future[Interpreter] | None:
        try:
            return None if target.python else self._spares.pop()
        except IndexError:  # there is none, or another thread was quicker
            return None

    def _start(self, target: Target, limits: Limits, spare: Future[Interpreter] | None) -> Worker:
        started = None if spare is None or spare.exception() else spare.result()
        return Worker(target, limits, started)

    def take(self, target: Target, limits: Limits) -> Worker:
        """A worker of the target: the one that was begun, else a new one. Raises `StartError` as `Worker` does."""
        begun = self._begun.pop(target, None)
        return self._start(target, limits, self._spare(target)) if begun is None else begun.result()

    def __enter__(self) -> Early:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for begun in self._begun.values():
            try:
                begun.result().close()
            except StartError:
                continue  # there is nothing to end
        for spare in self._spares:
            if not spare.exception():
                spare.result().end()
        self._pool.shutdown()


def in_order(targets: Iterable[Target]) -> list[Target]:
    """Targets in the order in which they are tried: what takes long begins first."""
    return sorted(targets, key=lambda target: not target.compiles)
