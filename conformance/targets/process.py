"""The host's side of a worker: start it in its interpreter, send questions, receive answers, notice when it dies."""

from __future__ import annotations

import contextlib
import os
import queue
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import execnet
import numpy as np

import conformance
from conformance.casefiles.case import Question
from conformance.losses import Array
from conformance.targets.names import Target
from conformance.targets.wire import pack, unpack

START_SECONDS = 120.0
"""How long a framework may take to import."""
_WINDOW = 32
"""Questions sent ahead of the answers, so that neither side waits for the other."""
_RESTARTS = 20

_BOOTSTRAP = """
import importlib.util, os, sys
sys.path[:] = [p for p in sys.path if p and os.path.abspath(p) != os.getcwd()]  # no file here may hide a framework
folder = channel.receive()
init = folder + "/__init__.py"
spec = importlib.util.spec_from_file_location("conformance", init, submodule_search_locations=[folder])
module = importlib.util.module_from_spec(spec)
sys.modules["conformance"] = module
spec.loader.exec_module(module)
from conformance.targets.worker import serve
serve(channel)
"""
"""Makes our package importable in a foreign interpreter without putting anything else of ours on its path."""


@dataclass(frozen=True)
class Answer:
    """What came back for a question: `status` is ok, unsupported, error, crash, timeout or not run."""

    status: str
    array: Array | None = None
    message: str = ""
    detail: str = ""
    changed: tuple[str, ...] = ()
    composed: bool = False
    seconds: float = 0.0


class StartError(Exception):
    """The worker could not be started, or the framework failed to import."""


class Worker:
    """One adapter in one process. `environment` is what the adapter said of itself."""

    def __init__(self, target: Target) -> None:
        descriptor, log = tempfile.mkstemp(prefix="conformance-", suffix=".log")
        os.close(descriptor)
        self._log = Path(log)
        self._group = execnet.Group()
        self._channel: Any = None
        self._outbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        try:
            python = f"//python={target.python}" if target.python else ""
            self._gateway = self._group.makegateway(f"popen{python}")
            self._channel = self._gateway.remote_exec(_BOOTSTRAP)
            self._channel.send(str(Path(conformance.__file__).parent))
            setup = {"adapter": target.adapter.location, "device": target.device, "mode": target.mode}
            self._channel.send({**setup, "stderr": str(self._log)})
            hello = self._channel.receive(START_SECONDS)
        except Exception as error:
            last = self.last_words()
            self.close()
            raise StartError(f"{type(error).__name__}: {error} {last}".strip()) from error
        if hello["status"] == "failed":
            self.close()
            raise StartError(hello["message"])
        self.environment: dict[str, str] = hello["environment"]
        threading.Thread(target=self._post, daemon=True).start()

    def send(self, question: Question) -> None:
        self._outbox.put(request(question))

    def _post(self) -> None:
        """Send what is in the outbox, in a thread of its own: a process that no longer reads would hold up the host.

        That it has died shows on receiving, behind the answers that it gave before.
        """
        with contextlib.suppress(OSError):
            while (request := self._outbox.get()) is not None:
                self._channel.send(request)

    def receive(self, seconds: float) -> Answer:
        """The next answer. Raises `EOFError` when the process died, `TimeoutError` when it took too long."""
        try:
            reply = self._channel.receive(seconds)
        except self._channel.TimeoutError:
            raise TimeoutError from None
        array = unpack(reply["array"]) if "array" in reply else None
        return Answer(
            reply["status"],
            array,
            reply.get("message", ""),
            reply.get("traceback", ""),
            tuple(reply.get("changed", ())),
            reply.get("composed", False),
            reply["seconds"],
        )

    def last_words(self) -> str:
        """The last lines that the process wrote to its standard error."""
        with contextlib.suppress(OSError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-8:])
        return ""

    def kill(self) -> None:
        """End a process that does not listen."""
        self._gateway._io.kill()

    def close(self) -> None:
        self._outbox.put(None)
        self._group.terminate(timeout=2.0)
        self._log.unlink(missing_ok=True)


def answers(
    target: Target,
    questions: Iterable[Question],
    seconds: float,
    started: Callable[[dict[str, str]], None],
    window: int = _WINDOW,
) -> Iterator[tuple[Question, Answer]]:
    """Every question with its answer, in order, whatever the framework does; `started` is told the environment.

    At most `window` questions are taken before their answers have come; with one, they may be made up on the way.
    """
    source = iter(questions)
    for _ in range(_RESTARTS + 1):
        first = next(source, None)
        if first is None:
            return
        source = chain([first], source)
        try:
            worker = Worker(target)
        except StartError as error:
            yield from ((q, Answer("not run", message=f"could not be started: {error}")) for q in source)
            return
        started(worker.environment)
        sent: deque[Question] = deque()
        try:
            yield from _converse(worker, source, sent, seconds, window)
        finally:
            worker.close()
        source = chain(sent, source)
    yield from ((q, Answer("not run", message=f"the worker died {_RESTARTS + 1} times")) for q in source)


def _converse(
    worker: Worker, source: Iterator[Question], sent: deque[Question], seconds: float, window: int
) -> Iterator[tuple[Question, Answer]]:
    """Answers until the questions run out or the worker dies; `sent` then holds what it left unanswered."""
    while True:
        try:
            while len(sent) < window and (question := next(source, None)) is not None:
                sent.append(question)
                worker.send(question)
            if not sent:
                return
            answer = worker.receive(seconds)
        except TimeoutError:
            answer = Answer("timeout", message=f"no answer within {seconds:g} s", detail=worker.last_words())
            worker.kill()
        except (EOFError, OSError, execnet.RemoteError):
            answer = Answer("crash", message="the process died", detail=worker.last_words())
        yield sent.popleft(), answer
        if answer.status in ("timeout", "crash"):
            return


def request(question: Question) -> dict[str, Any]:
    """What a worker is sent of a question: plain values, and nothing of what is expected."""
    case = question.case
    scalars = {name: x for name, x in question.options.items() if not isinstance(x, np.ndarray)}
    arrays = {name: pack(x) for name, x in question.options.items() if isinstance(x, np.ndarray)}
    return {
        "loss": case.loss.name,
        "bare": bool(case.convention and case.convention.bare),
        "wrt": case.wrt,
        "inputs": {name: pack(x) for name, x in question.inputs.items()},
        "layout": dict(case.layout),
        "options": scalars,
        "array_options": arrays,
        "cotangent": None if question.cotangent is None else pack(question.cotangent),
    }
