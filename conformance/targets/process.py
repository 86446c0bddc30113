"""The host's side of a worker: give it its adapter, send questions, receive answers, say what it said last."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.printable import printable
from conformance.targets.interpreter import Interpreter, StartError, why
from conformance.targets.journal import left_in

if TYPE_CHECKING:
    from conformance.targets.answer import Answer
    from conformance.targets.contract import Offer
    from conformance.targets.names import Target
    from conformance.targets.worker import PackedRequest

WORKER = "conformance.targets.worker"
_GLANCE = 1.0
"""Seconds after which it is seen whether a process that says nothing is still there."""
_LAST_BYTES = 4096
_LAST_LINES = 8


@dataclass(frozen=True)
class Limits:
    """What a worker may use: `seconds` for one trial, GiB of `memory` (0: no limit), `restarts` after it died.

    `twice` asks every question twice. None leaves it to the device: a CPU worker may have as much memory as the
    machine has and asks once; beside a GPU driver, which reserves address space at will, there is no limit.
    """

    seconds: float = 60.0
    memory: float | None = None
    restarts: int = 500
    twice: bool | None = None


def _physical_gib() -> float:
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)


class Worker:
    """One adapter in one process. `environment` is what the adapter says of itself once it is `ready`, `offers` what
    its signatures offer; `answered` counts the questions that it has answered, and `leaving` says that these were the
    last, as nothing can be computed there any more."""

    environment: dict[str, str]
    offers: dict[str, Offer | None]
    answered = 0
    leaving = False

    def __init__(self, target: Target, limits: Limits, interpreter: Interpreter | None = None) -> None:
        """Let a new process, or the `interpreter` that has been started for it, import the target's framework. Raises
        `StartError` when there is no such process."""
        self.interpreter = interpreter or Interpreter(target.python, WORKER)
        self._folder = tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        self._log, self._journal = ((folder / name).open("w+b", 0) for name in ("stderr", "journal"))
        self._outbox: queue.SimpleQueue[list[PackedRequest] | None] = queue.SimpleQueue()
        self._channel = self.interpreter.channel
        try:
            self._channel.send(self._setup(target, limits))
        except Exception as error:
            raise self._failed(error) from error

    def ready(self) -> Worker:
        """Wait until the framework has been imported. Raises `StartError` when it was not."""
        try:
            hello = self.interpreter.receive()
        except Exception as error:
            raise self._failed(error) from error
        if hello["status"] == "failed":
            self.close()
            raise StartError(hello["message"])
        self._folder.cleanup()  # both sides have its files open: however they end, nothing stays on the disk
        self.environment, self.offers = hello["environment"], hello["offers"]
        threading.Thread(target=self._post, daemon=True).start()
        return self

    def _failed(self, error: Exception) -> StartError:
        died = isinstance(error, (EOFError, OSError)) and not isinstance(error, self._channel.TimeoutError)
        said, last = self.interpreter.cause_of_death() if died else why(error), self.last_words()
        self.close()
        return StartError(f"{said} {last}".strip())

    def _setup(self, target: Target, limits: Limits) -> dict[str, Any]:
        from conformance.losses import LOSSES  # who knows a target has imported them, and numpy, by now

        cpu = target.device == "cpu"
        memory = (_physical_gib() if cpu else 0.0) if limits.memory is None else limits.memory
        bounded = memory * 2**30 < sys.maxsize
        return {
            "adapter": target.adapter.location,
            "device": target.device,
            "mode": target.mode,
            "methods": [*LOSSES, "gradient"],
            "stderr": self._log.name,
            "journal": self._journal.name,
            "memory": int(memory * 2**30) if bounded else 0,
            "seconds": limits.seconds,
            "twice": not cpu if limits.twice is None else limits.twice,
        }

    def send(self, requests: Sequence[PackedRequest]) -> None:
        self._outbox.put(list(requests))

    def _post(self) -> None:
        """Send what is in the outbox, in a thread of its own: a process that no longer reads would hold up the host.

        That it has died shows on receiving, behind the answers that it gave before.
        """
        with contextlib.suppress(OSError):
            while (requests := self._outbox.get()) is not None:
                self._channel.send(pickle.dumps(requests, protocol=4))

    def receive(self, seconds: float) -> list[Answer]:
        """The next answers. Raises `EOFError` when the process died, `TimeoutError` when it took too long."""
        end = time.monotonic() + seconds
        while True:
            ended = self.interpreter.has_ended()  # its pipe stays open where a process that it has started holds it
            left = end - time.monotonic()
            try:
                return self._read(self._channel.receive(min(max(left, 0), _GLANCE)))
            except self._channel.TimeoutError:
                if ended:
                    raise EOFError from None
                if left <= _GLANCE:
                    raise TimeoutError from None

    def left_behind(self) -> list[Answer]:
        """What a process that has died had answered and not sent yet."""
        return self._read(left_in(self._journal))

    def _read(self, data: bytes) -> list[Answer]:
        """The answers that are new in what a worker wrote; a last one that is cut off is none."""
        from conformance.targets.answer import from_reply  # it needs numpy, which a worker is not to wait for

        stream = io.BytesIO(data)
        answers = []
        with contextlib.suppress(EOFError, pickle.UnpicklingError):
            while True:
                number, reply = pickle.load(stream)  # noqa: S301 - our own process
                if number == self.answered:
                    self.answered += 1
                    self.leaving = reply["leaving"]
                    answers.append(from_reply(reply))
        return answers

    def last_words(self) -> str:
        """The last lines that the process wrote to its standard error."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(size - _LAST_BYTES, 0))
        lines = self._log.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join(map(printable, lines))

    def close(self) -> None:
        self._outbox.put(None)
        self.interpreter.end()
        self._log.close()
        self._journal.close()
        self._folder.cleanup()
