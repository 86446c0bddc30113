"""The host's side of a worker: start it in its interpreter, send questions, receive answers, say how it died."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import queue
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import execnet

import conformance
from conformance.casefiles.case import Question
from conformance.targets.answer import Answer, from_reply, request
from conformance.targets.names import Target

START_SECONDS = 120.0
"""How long a framework may take to import."""
_LAST_BYTES = 4096
_LAST_LINES = 8

_BOOTSTRAP = """
import importlib, importlib.util, os, sys
if sys.version_info < (3, 9):
    raise RuntimeError("a worker needs Python 3.9 or later, and " + sys.executable + " is " + sys.version.split()[0])
sys.path[:] = [p for p in sys.path if p and os.path.abspath(p) != os.getcwd()]  # no file here may hide a framework
folder = channel.receive()
init = folder + "/__init__.py"
spec = importlib.util.spec_from_file_location("conformance", init, submodule_search_locations=[folder])
module = importlib.util.module_from_spec(spec)
sys.modules["conformance"] = module
spec.loader.exec_module(module)
importlib.import_module(channel.receive()).serve(channel)
"""
"""Makes our package importable in a foreign interpreter without putting anything else of ours on its path."""


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


def launch(group: execnet.Group, target: Target, module: str) -> tuple[Any, Any]:
    """A new process of the target's interpreter, and the channel over which `serve` of a module of ours answers."""
    python = f"//python={shlex.quote(target.python)}" if target.python else ""
    gateway = group.makegateway(f"popen{python}")
    channel: Any = gateway.remote_exec(_BOOTSTRAP)
    channel.send(str(Path(conformance.__file__).parent))
    channel.send(module)
    return gateway, channel


def end(group: execnet.Group) -> None:
    """End processes that have nothing left to say; by themselves some frameworks take a second to leave."""
    for gateway in group:
        gateway._io.kill()
    group.terminate(timeout=2.0)


class StartError(Exception):
    """The worker could not be started, or the framework failed to import."""


@cache
def _check(python: str) -> None:
    """Raises `StartError` for what is no Python; execnet would leave such a process behind, and not say why.

    One that is right is not asked again: a worker may be started anew hundreds of times.
    """
    try:
        command = [python, "-c", ""]
        done = subprocess.run(command, capture_output=True, timeout=START_SECONDS, check=False)  # noqa: S603 - the user's
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartError(f"{python} cannot be run: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise StartError(" ".join([f"{python} is no Python: it ended with status {done.returncode}", *said[-1:]]))


class Worker:
    """One adapter in one process. `environment` is what the adapter says of itself once it is `ready`; `leaving` says
    that the last answers were the last, as nothing can be computed there any more."""

    environment: dict[str, str]
    leaving = False

    def __init__(self, target: Target, limits: Limits) -> None:
        """Start the process, which then imports its framework. Raises `StartError` when there is no such process."""
        if target.python:
            _check(target.python)
        self._folder = tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True)
        self._log, self._journal = Path(self._folder.name, "stderr"), Path(self._folder.name, "journal")
        self._group = execnet.Group()
        self._outbox: queue.SimpleQueue[list[Question] | None] = queue.SimpleQueue()
        self._answered = 0
        try:
            self._gateway, self._channel = launch(self._group, target, "conformance.targets.worker")
            self._channel.send(self._setup(target, limits))
        except Exception as error:
            raise self._failed(error) from error

    def ready(self) -> Worker:
        """Wait until the framework has been imported. Raises `StartError` when it was not."""
        try:
            hello = self._channel.receive(START_SECONDS)
        except Exception as error:
            raise self._failed(error) from error
        if hello["status"] == "failed":
            self.close()
            raise StartError(hello["message"])
        self.environment = hello["environment"]
        threading.Thread(target=self._post, daemon=True).start()
        return self

    def _failed(self, error: Exception) -> StartError:
        last = self.last_words()
        self.close()
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, execnet.gateway_base.TimeoutError):
            text = f"did not start within {START_SECONDS:g} s"
        elif isinstance(error, execnet.RemoteError):  # our own side is at fault there, or the interpreter
            text = error.formatted.strip().splitlines()[-1]
        return StartError(f"{text} {last}".strip())

    def _setup(self, target: Target, limits: Limits) -> dict[str, Any]:
        cpu = target.device == "cpu"
        memory = (_physical_gib() if cpu else 0.0) if limits.memory is None else limits.memory
        return {
            "adapter": target.adapter.location,
            "device": target.device,
            "mode": target.mode,
            "stderr": str(self._log),
            "journal": str(self._journal),
            "memory": int(memory * 2**30),
            "twice": not cpu if limits.twice is None else limits.twice,
        }

    def send(self, questions: Sequence[Question]) -> None:
        self._outbox.put(list(questions))

    def _post(self) -> None:
        """Send what is in the outbox, in a thread of its own: a process that no longer reads would hold up the host.

        That it has died shows on receiving, behind the answers that it gave before.
        """
        with contextlib.suppress(OSError):
            while (questions := self._outbox.get()) is not None:
                self._channel.send(pickle.dumps([request(question) for question in questions], protocol=4))

    def receive(self, seconds: float) -> list[Answer]:
        """The next answers. Raises `EOFError` when the process died, `TimeoutError` when it took too long."""
        try:
            return self._read(self._channel.receive(seconds))
        except self._channel.TimeoutError:
            raise TimeoutError from None

    def left_behind(self) -> list[Answer]:
        """What a process that has died had answered and not sent yet."""
        with contextlib.suppress(OSError):
            return self._read(self._journal.read_bytes())
        return []

    def _read(self, data: bytes) -> list[Answer]:
        """The answers that are new in what a worker wrote; a last one that is cut off is none."""
        stream = io.BytesIO(data)
        answers = []
        with contextlib.suppress(EOFError, pickle.UnpicklingError):
            while True:
                number, reply = pickle.load(stream)  # noqa: S301 - our own process
                if number == self._answered:
                    self._answered += 1
                    self.leaving = reply["leaving"]
                    answers.append(from_reply(reply))
        return answers

    def cause_of_death(self) -> str:
        """How a process that no longer answers has ended."""
        try:
            status = self._gateway._io.popen.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            return "the process closed its streams"
        if status >= 0:
            return f"the process ended with status {status}"
        try:
            return f"the process died of {signal.Signals(-status).name}"
        except ValueError:
            return f"the process died of signal {-status}"

    def last_words(self) -> str:
        """The last lines that the process wrote to its standard error."""
        with contextlib.suppress(OSError), self._log.open("rb") as file:
            file.seek(max(self._log.stat().st_size - _LAST_BYTES, 0))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-_LAST_LINES:])
        return ""

    def kill(self) -> None:
        """End a process that does not listen."""
        self._gateway._io.kill()

    def close(self) -> None:
        self._outbox.put(None)
        end(self._group)
        self._folder.cleanup()
