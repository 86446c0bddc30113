"""Workers that are started before it is known what to ask: they import their frameworks while the cases are read."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from conformance.targets.names import Target
from conformance.targets.process import Limits, StartError, Worker


class Early:
    """The first workers of a run. Use as a context manager: those that nobody came for are ended with it."""

    def __init__(self, jobs: int, limits: Limits) -> None:
        self._jobs, self._limits = jobs, limits
        self._pool = ThreadPoolExecutor(max_workers=jobs)  # to start an interpreter takes a moment, too
        self._begun: dict[Target, Future[Worker]] = {}

    def begin(self, targets: Iterable[Target]) -> None:
        """Start the workers of those targets that come first."""
        for target in in_order(targets)[: self._jobs]:
            self._begun[target] = self._pool.submit(Worker, target, self._limits)

    def take(self, target: Target, limits: Limits) -> Worker:
        """A worker of the target: the one that was begun, else a new one. Raises `StartError` as `Worker` does."""
        begun = self._begun.pop(target, None)
        return Worker(target, limits) if begun is None else begun.result()

    def __enter__(self) -> Early:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for begun in self._begun.values():
            try:
                begun.result().close()
            except StartError:
                continue  # there is nothing to end
        self._pool.shutdown()


def in_order(targets: Iterable[Target]) -> list[Target]:
    """Targets in the order in which they are tried: what takes long begins first."""
    return sorted(targets, key=lambda target: not target.compiles)
