"""Judged trials per second on small cases, and for comparison ONNX's backend cases of the same operators.

    python benchmarks/throughput.py [--cases N] [TARGET...]

A trial is one value or one gradient that was computed in the worker and judged against its reference and bound. The
rate is that of the stream, from the framework's import to the last verdict: once with nothing kept from earlier runs,
so that every reference is computed, and once more with the references of that run. ONNX's cases are those of its node
tests for these operators, run with onnxruntime where both are installed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from conformance.plan import Plan, make_plan
from conformance.results.file import Writer
from conformance.results.records import Environment, Line, Trial
from conformance.run import run

SHAPES = ((3, 5), (8, 4), (2, 10))
ONNX = ("softmax", "logsoftmax", "sigmoid", "softplus", "reduce_log_sum_exp", "nllloss", "sce")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="*", default=["numpy"])
    parser.add_argument("--cases", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CONFORMANCE_CACHE"] = folder
        cases = Path(folder, "cases")
        cases.mkdir()
        for name, document in _documents(given.cases).items():
            (cases / f"{name}.json").write_text(json.dumps(document))
        print(f"{'target':28}{'trials':>8}{'first s':>9}{'per s':>8}{'again s':>9}{'per s':>8}{'planning s':>12}")
        for target in given.targets:
            figures = [_measure(target, cases, Path(folder, "r.jsonl")) for _ in range(3)]
            first, again = figures[0], min(figures[1:])
            planned, planning = first[1], again[2]
            rates = "".join(f"{s:9.2f}{planned / s:8.0f}" for s in (first[0], again[0]))
            print(f"{target:28}{planned:8}{rates}{planning:12.2f}", flush=True)
    _onnx()


def _documents(count: int) -> dict[str, object]:
    """Small cases by loss; all of them differ."""
    rng = np.random.default_rng(7)
    documents: dict[str, list[object]] = {"cross_entropy": [], "softmax": [], "binary_cross_entropy_with_logits": []}
    for i in range(count):
        shape = SHAPES[i % len(SHAPES)]
        case = {"id": f"c{i}", "logits": rng.normal(0, 4, shape).round(3).tolist(), "dtypes": ["float32"]}
        loss = list(documents)[i % 3]
        if loss == "cross_entropy":
            case["target"] = rng.integers(0, shape[1], shape[0]).tolist()
        elif loss != "softmax":
            case["target"] = rng.uniform(0, 1, shape).round(3).tolist()
        documents[loss].append(case)
    return {loss: {"loss": loss, "cases": cases} for loss, cases in documents.items()}


def _measure(target: str, cases: Path, results: Path) -> tuple[float, int, float]:
    """Seconds of the stream, trials, and seconds of planning."""
    start = time.perf_counter()
    plan: Plan = make_plan([target], case_paths=[cases])
    planning = time.perf_counter() - start
    stamps: list[float] = []

    def write(lines: Sequence[Line]) -> None:
        writer.write(*lines)
        stamps.extend(time.perf_counter() for line in lines if isinstance(line, (Environment, Trial)))

    with Writer(results) as writer:
        footer = run(plan, write, command=["throughput"])
    assert footer.counts == {"pass": plan.planned}, footer
    return stamps[-1] - stamps[0], plan.planned, planning


def _onnx() -> None:
    start = time.perf_counter()
    try:
        import onnx
        import onnxruntime
        from onnx.backend.test.loader import load_model_tests
    except ImportError as error:
        print(f"ONNX: not measured, {error}")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = [t for t in load_model_tests(kind="node") if t.name.removeprefix("test_").startswith(ONNX)]
    collected = time.perf_counter()
    values, refused = 0, 0
    for test in tests:
        try:
            model = test.model.SerializeToString()
            session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        except Exception:  # an operator set newer than this runtime
            refused += 1
            continue
        for inputs, outputs in test.data_sets:
            got = session.run(None, {given.name: x for given, x in zip(session.get_inputs(), inputs, strict=True)})
            for ours, theirs in zip(got, outputs, strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=test.rtol, atol=test.atol)
                values += 1
    seconds = time.perf_counter() - collected
    print(
        f"ONNX {onnx.__version__} cases with onnxruntime {onnxruntime.__version__}: {values} values of "
        f"{len(tests) - refused} cases ({refused} refused) in {seconds:.2f} s, {values / seconds:.0f} per s; "
        f"{collected - start:.1f} s of imports and collection before the first"
    )


if __name__ == "__main__":
    main()
