"""Wall time of a conformance run over that of the bare framework calls on the same inputs, target by target.

    python benchmarks/overhead.py [TARGET...]

Both sides run in fresh processes, one after the other, imports counted. The first run finds nothing that an earlier one
has kept, so that it parses every case and computes every reference; of the pairs of runs after it the median ratio
counts: at least three, and more of a quick target, as half a second is soon lost on a machine with other guests. The
bare side is a plain Python process that loads the adapter, reads the prepared inputs from a file and makes the same
calls, with no suite around them. After a call that ends the process it goes on in a new one, as a run does. Compiled
modules are kept as Python does by itself.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from conformance.casefiles.case import Question
from conformance.plan import make_plan
from conformance.targets.answer import request
from conformance.targets.conversation import answers
from conformance.targets.names import Target
from conformance.targets.process import Limits

LEAST, MOST = 3, 15
SECONDS = 40
"""Rounds of a target: at least so many, and at most, unless they take longer than this."""
BARE = """
import pickle, sys
from conformance.targets.contract import bind
from conformance.targets.wire import unpack
from conformance.targets.worker import load_class
adapter_class, device, mode, path = sys.argv[1:]
with open(path, "rb") as file:
    requests = pickle.load(file)
adapter = load_class(adapter_class)(device, mode)
native = adapter.to_native
for one in requests:
    try:
        inputs = {name: native(unpack(x, one["layout"].get(name))) for name, x in one["inputs"].items()}
        arrays = {name: native(unpack(x)) for name, x in one["array_options"].items()}
        loss = bind(adapter, one["loss"], tuple(inputs), {**one["options"], **arrays})
        if one["cotangent"] is None:
            result = loss(**inputs)
        else:
            result = adapter.gradient(loss, inputs, one["wrt"], native(unpack(one["cotangent"])))
        adapter.to_numpy(result)
    except Exception:
        pass
"""


def main(targets: list[str]) -> None:
    plan = make_plan(targets)
    names = ("bare s", "first s", "ratio", "again s", "ratio", "trials/s")
    print(f"{'target':28}{'trials':>8}" + "".join(f"{name:>9}" for name in names))
    for target, asked in plan.chosen.items():
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            for i, part in enumerate(_parts(target, asked)):
                (place / f"{i}.requests").write_bytes(pickle.dumps(part))
            before, first = _pair(target, len(asked), place)
            later: list[tuple[float, float]] = []
            while len(later) < LEAST or (len(later) < MOST and sum(map(sum, later)) < SECONDS):
                later.append(_pair(target, len(asked), place))
        bare, again = sorted(later, key=lambda pair: pair[1] / pair[0])[len(later) // 2]
        columns = (bare, first, first / before, again, again / bare, len(asked) / again)
        print(f"{target!s:28}{len(asked):8}" + "".join(f"{figure:9.2f}" for figure in columns), flush=True)
    for name, why in plan.unavailable.items():
        print(f"{name}: not measured, {why}")


def _parts(target: Target, asked: list[Question]) -> list[list[dict[str, Any]]]:
    """The requests for each bare process: all, but that a call which ends one is the last of its part. One that does
    not end at all is left out."""
    parts: list[list[dict[str, Any]]] = [[]]
    for answered in answers(target, asked, Limits(), lambda _: None):
        for question, answer in answered:
            if answer.status != "timeout":
                parts[-1].append(request(question))
            if answer.status == "crash":
                parts.append([])
    return parts


def _pair(target: Target, planned: int, folder: Path) -> tuple[float, float]:
    """Seconds of the framework calls alone, and of a run."""
    return _bare(target, folder), _run(target, planned, folder)


def _run(target: Target, planned: int, folder: Path) -> float:
    """Seconds of a run with the folder's cache, which the first run finds empty."""
    results = folder / "results.jsonl"
    command = [sys.executable, "-m", "conformance", "run", str(target), "--results", str(results)]
    seconds = _seconds(command, {"CONFORMANCE_CACHE": str(folder / "cache")})
    footer = json.loads(results.read_text().splitlines()[-1])
    assert footer["judged"] == planned, footer
    return seconds


def _bare(target: Target, folder: Path) -> float:
    """Seconds of the framework calls alone."""
    command = [sys.executable, "-c", BARE, target.adapter.location, target.device, target.mode]
    parts = sorted(folder.glob("*.requests"), key=lambda path: int(path.stem))
    return sum(_seconds([*command, str(part)], {}, ends=part == parts[-1]) for part in parts)


def _seconds(command: list[str], environment: dict[str, str], *, ends: bool = True) -> float:
    """Seconds of a process, which `ends` well or is ended by its last call."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    silent = subprocess.DEVNULL
    subprocess.run(command, check=ends, env={**inherited, **environment}, stdout=silent, stderr=silent)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1:])
