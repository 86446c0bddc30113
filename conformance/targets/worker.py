"""The other side: one adapter in one process, answering questions.

Runs in any interpreter that has numpy and the framework; nothing of the suite need be installed there, and it imports
nothing else of ours than `contract`, `journal`, `printable` and `wire`. It never sees an expected value.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import pickle
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.printable import printable
from conformance.targets.contract import BFLOAT16, BoundLoss, Unsupported, bind, bind_bare, offers_of, require
from conformance.targets.journal import Journal
from conformance.targets.wire import Packed, pack, unpack

PackedRequest = tuple[str, bytes]
"""A question on its way: the output that is asked for, and what is given, pickled."""
_TOGETHER = 0.02
"""Answers that take less than these seconds together go out in one message."""
_ENDLESS = 1e7
"""Seconds from which a trial may take as long as it likes."""


def serve(channel: Any) -> None:
    """Answer the questions that come in over an execnet channel until it closes, or until the device is lost."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the host, which ends this process
    setup = channel.receive()
    _prepare(setup)
    try:
        adapter = load_class(setup["adapter"])(setup["device"], setup["mode"])
        environment = facts_of(adapter)
        offers = offers_of(adapter, setup["methods"])
    except BaseException as error:
        channel.send({"status": "failed", "message": describe(error), "traceback": printable(traceback.format_exc())})
        return
    journal = Journal(setup["journal"])
    channel.send({"status": "ready", "environment": environment, "offers": offers})
    # From here on the files have no names: the host takes them away.
    healthy = _alive(adapter)
    process = os.getpid()
    gc.freeze()  # what has been imported stays: no need to look for garbage in it again and again

    def send(data: bytes) -> None:
        _alarm(0)
        channel.send(data)
        _alarm(setup["seconds"])

    def flush() -> None:
        if journal:
            send(journal.content())
            journal.clear()

    number = 0
    for message in channel:
        since = time.perf_counter()
        _alarm(setup["seconds"])
        for request in _requests(pickle.loads(message)):  # noqa: S301 - from our own host
            reply = answer(adapter, request, twice=setup["twice"])
            if os.getpid() != process:
                os._exit(0)  # a framework has forked, and this is the copy
            reply["leaving"] = reply["status"] == "error" and healthy and not _alive(adapter)
            data = pickle.dumps((number, reply), protocol=4)
            if not journal.fits(data):
                flush()
            if journal.fits(data):
                journal.add(data)  # should the process die, the host finds it there
            else:
                send(data)
            number += 1
            if reply["leaving"]:
                flush()
                return
            if time.perf_counter() - since > _TOGETHER:
                flush()
                since = time.perf_counter()
        flush()
        _alarm(0)
    if os.getpgrp() == process:  # the host is gone, or would have ended what the framework has started by now
        os.killpg(process, signal.SIGKILL)


def _prepare(setup: dict[str, Any]) -> None:
    """Send what frameworks write to a file, and limit the memory. What they start is in the group of this process,
    so that it can be ended with it.

    Threads of OpenMP are to sleep while there is nothing to do, unless the user has said otherwise: on inputs this
    small they would spin most of the time, on the processors that judge.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with contextlib.suppress(OSError):  # the leader of a session is that of a group already
        os.setpgid(0, 0)
    with Path(setup["stderr"]).open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 2)
    if setup["memory"]:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (setup["memory"], hard))


def _alarm(seconds: float) -> None:
    """Let the system end this process unless it is heard of within twice the time of a trial; 0 for no longer.

    By then the host would have ended it. Where that is gone, a framework that hangs may not let Python see it.
    """
    if seconds < _ENDLESS:
        signal.setitimer(signal.ITIMER_REAL, 2 * seconds)


def _requests(message: list[PackedRequest]) -> Iterator[dict[str, Any]]:
    """The requests in a message. Value and gradient of a case come one after the other, with the same pickle."""
    last = b""
    for output, data in message:
        if data is not last:
            last, given = data, pickle.loads(data)  # noqa: S301 - as above
        yield request_for(given, output)


def request_for(given: dict[str, Any], output: str) -> dict[str, Any]:
    """What an adapter is asked: with an upstream gradient, or for the value."""
    return given if output == "gradient" else {**given, "cotangent": None}


def arrays_of(request: dict[str, Any]) -> dict[str, Packed]:
    """Every array of a request by its name; the upstream gradient, if there is one, as `cotangent`."""
    upstream = {} if request["cotangent"] is None else {"cotangent": request["cotangent"]}
    return {**request["inputs"], **request["array_options"], **upstream}


def facts_of(adapter: Any) -> dict[str, str]:
    """What an adapter says of its environment."""
    facts = adapter.environment()
    if not isinstance(facts, Mapping):
        raise TypeError(f"environment() returned {type(facts).__name__}, not a dict of texts")
    return {printable(str(k)): printable(str(v)) for k, v in facts.items()}


def _alive(adapter: Any) -> bool:
    """Whether a number still goes to the device and back; after some errors a CUDA context never works again."""
    try:
        return adapter.to_numpy(adapter.to_native(np.ones(1, dtype=np.float32))) is not None
    except BaseException:
        return False


def load_class(location: str) -> type[Any]:
    """The class at `module:Class` or `path/to/file.py:Class`; such a file may import its neighbours."""
    place, _, name = location.rpartition(":")
    if not place.endswith(".py"):
        return getattr(importlib.import_module(place), name)  # type: ignore[no-any-return]
    neighbours = str(Path(place).resolve().parent)
    if neighbours not in sys.path:
        sys.path.append(neighbours)  # last, so that none of them hides an installed framework
    spec = importlib.util.spec_from_file_location(f"conformance_adapter_{Path(place).stem}", place)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return getattr(module, name)  # type: ignore[no-any-return]


def answer(
    adapter: Any,
    request: dict[str, Any],
    *,
    twice: bool = False,
    caught: type[BaseException] | tuple[type[BaseException], ...] = BaseException,
) -> dict[str, Any]:
    """The reply to one request: a result, `unsupported`, or an error of whatever kind the framework raised."""
    start = time.perf_counter()
    try:
        reply = _compute(adapter, request, twice)
    except Unsupported as missing:
        reply = {"status": "unsupported", "message": printable(str(missing))}
    except caught as error:
        reply = {"status": "error", "message": describe(error), "traceback": printable(traceback.format_exc(limit=-4))}
    reply["seconds"] = time.perf_counter() - start
    return reply


def describe(error: BaseException) -> str:
    """`Type: first line of the message`, cut to a readable length."""
    try:
        lines = str(error).strip().splitlines()
    except BaseException:
        lines = ["(an error without words: its own text fails)"]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    text = printable(text)
    return text if len(text) <= 400 else text[:397] + "..."


def _compute(adapter: Any, request: dict[str, Any], twice: bool) -> dict[str, Any]:
    if request["cotangent"] is not None:
        require(adapter, "gradient")
    reply = _once(adapter, request)
    if twice:
        second = _once(adapter, request)
        reply["differing"] = _differing(reply["array"], second["array"])
        if reply["differing"]:
            reply["again"] = pack(second["array"])
    return reply | {"array": pack(reply["array"])}


def _once(adapter: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The reply to one call on inputs of its own, with the result still an array."""
    layout = request["layout"]
    sent = arrays_of(request)
    find = bind_bare if request["bare"] else bind
    loss = find(adapter, request["loss"], tuple(request["inputs"]), {**request["options"], **request["array_options"]})

    handed_over = {name: adapter.to_native(unpack(x, layout.get(name))) for name, x in sent.items()}
    inputs = {name: handed_over[name] for name in request["inputs"]}
    loss.options.update({name: handed_over[name] for name in request["array_options"]})
    array, device = _call(adapter, loss, inputs, request["wrt"], handed_over.get("cotangent"))
    changed = [name for name, x in handed_over.items() if _has_changed(adapter, x, sent[name], layout.get(name))]
    return {"status": "ok", "array": array, "device": device, "changed": changed, "composed": loss.composed}


def _call(adapter: Any, loss: BoundLoss, inputs: dict[str, Any], wrt: str, cotangent: Any) -> tuple[NDArray[Any], str]:
    """Value, or gradient where there is a cotangent, as an array, and its device if the adapter can tell."""
    result = loss(**inputs) if cotangent is None else adapter.gradient(loss, inputs, wrt, cotangent)
    array = adapter.to_numpy(result)
    if isinstance(array, np.generic):
        array = np.asarray(array)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"to_numpy returned {type(array).__name__}, not a numpy array")
    if array.dtype.kind not in "biufc" and array.dtype != BFLOAT16:
        raise TypeError(f"to_numpy returned an array of {array.dtype}, which is no array of numbers")
    return array, printable(str(adapter.device_of(result))) if hasattr(adapter, "device_of") else ""


def _differing(first: NDArray[Any], second: NDArray[Any]) -> int:
    """How many elements have other bits; all of them where not even shape or dtype is the same."""
    if (first.shape, first.dtype) != (second.shape, second.dtype):
        return max(first.size, 1)
    bits = [np.frombuffer(x.tobytes(), dtype=np.uint8).reshape(-1, x.dtype.itemsize) for x in (first, second)]
    return int(np.count_nonzero((bits[0] != bits[1]).any(axis=1)))


def _has_changed(adapter: Any, native: Any, sent: Packed, layout: str | None) -> bool:
    """Whether a tensor no longer holds what was sent. One that cannot hold it, as integers of another width, is
    compared with what becomes of it afresh."""
    now = _bytes(adapter, native)
    return now != sent[2] and now != _bytes(adapter, adapter.to_native(unpack(sent, layout)))


def _bytes(adapter: Any, native: Any) -> bytes:
    return np.asarray(adapter.to_numpy(native)).tobytes()
