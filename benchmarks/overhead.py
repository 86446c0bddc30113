"""Wall time of a conformance run over that of the bare framework calls on the same inputs, target by target.

    python benchmarks/overhead.py [TARGET...]

Both sides run in fresh processes, one after the other, imports counted. The bare side is a plain Python process that
loads the adapter, reads the prepared inputs from a file and makes the same calls, with no suite around them.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conformance.plan import Plan, make_plan
from conformance.targets.answer import request
from conformance.targets.names import Target

ROUNDS = 3
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


def main(names: list[str]) -> None:
    plan = make_plan(names)
    print(f"{'target':28}{'trials':>8}{'run s':>9}{'bare s':>9}{'ratio':>8}{'trials/s':>10}")
    for target, asked in plan.chosen.items():
        figures = [_measure(plan, target) for _ in range(ROUNDS)]
        run, bare = sorted(figures, key=lambda pair: pair[0] / pair[1])[ROUNDS // 2]
        print(f"{target!s:28}{len(asked):8}{run:9.2f}{bare:9.2f}{run / bare:8.2f}{len(asked) / run:10.0f}", flush=True)
    for name, why in plan.unavailable.items():
        print(f"{name}: not measured, {why}")


def _measure(plan: Plan, target: Target) -> tuple[float, float]:
    """Seconds of a run and of the bare calls, side by side."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "requests.pickle"
        inputs.write_bytes(pickle.dumps([request(question) for question in plan.chosen[target]]))
        results = Path(folder) / "results.jsonl"
        run = _seconds([sys.executable, "-m", "conformance", "run", str(target), "--results", str(results)])
        footer = json.loads(results.read_text().splitlines()[-1])
        assert footer["judged"] == len(plan.chosen[target]), footer
        bare = [sys.executable, "-c", BARE, target.adapter.location, target.device, target.mode, str(inputs)]
        return run, _seconds(bare)


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1:])
