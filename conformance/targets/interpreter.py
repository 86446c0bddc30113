"""A process of any Python interpreter, in which a module of ours answers; its environment needs nothing of ours.

Nothing here needs numpy, so that such a process can be started before anything else is imported.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import execnet

import conformance

_PIPE = 2**20
"""Bytes that a pipe may hold, sixteen times what it would."""
START_SECONDS = 120.0
"""How long a framework may take to import."""

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


class StartError(Exception):
    """The process could not be started, or its framework failed to import."""


class Interpreter:
    """A new process of `python` (of this interpreter when that is empty), and the `channel` over which `serve` of
    `module` answers."""

    def __init__(self, python: str, module: str) -> None:
        """Raises `StartError` when there is no such interpreter, or it cannot be spoken to."""
        if python:
            _check(python)
        self._group = execnet.Group()
        try:
            gateway: Any = self._group.makegateway(f"popen//python={shlex.quote(python)}" if python else "popen")
            self._process = gateway._io
            _widen(self._process.popen)
            self.channel: Any = gateway.remote_exec(_BOOTSTRAP)
            self.channel.send(str(Path(conformance.__file__).parent))
            self.channel.send(module)
        except Exception as error:
            self.end()
            raise StartError(why(error)) from error

    def receive(self) -> Any:
        """What it says next, within the time that a framework may take to start."""
        return self.channel.receive(START_SECONDS)

    def has_spoken(self) -> bool:
        """Whether something is there to be received."""
        return not self.channel._items.empty()

    def kill(self) -> None:
        """End a process that does not listen, and those that it has started."""
        gateway: Any
        for gateway in self._group:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it may not lead a group yet
                os.killpg(gateway._io.popen.pid, signal.SIGKILL)
            gateway._io.kill()

    def has_ended(self) -> bool:
        return self._process.popen.poll() is not None

    def end(self) -> None:
        """End a process that has nothing left to say; by themselves some frameworks take a second to leave."""
        self.kill()
        self._group.terminate(timeout=2.0)

    def cause_of_death(self) -> str:
        """How a process that no longer answers has ended."""
        try:
            status = self._process.popen.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            return "the process closed its streams"
        if status >= 0:
            return f"the process ended with status {status}"
        try:
            return f"the process died of {signal.Signals(-status).name}"
        except ValueError:
            return f"the process died of signal {-status}"


def _widen(process: subprocess.Popen[bytes]) -> None:
    """Let more go through the pipes of a process at a time, where the system can: it then changes sides less often."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        for pipe in filter(None, (process.stdin, process.stdout)):
            with contextlib.suppress(OSError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


def why(error: Exception) -> str:
    """What execnet has met, in a line."""
    if isinstance(error, execnet.gateway_base.TimeoutError):
        return f"did not start within {START_SECONDS:g} s"
    if isinstance(error, execnet.RemoteError):  # our own side is at fault there, or the interpreter
        return str(error.formatted).strip().splitlines()[-1]
    return f"{type(error).__name__}: {error}"


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
