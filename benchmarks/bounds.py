"""How near the frameworks come to the bounds: every loss, dtype and regime of inputs, value and gradient.

    python benchmarks/bounds.py [--markdown FILE] [TARGET...]

Each framework runs in a process of its own, through its adapter. Inputs are seeded; float64 is judged by balls on fewer
rows. A last section compares means over many rows with the exact mean of the framework's own row losses.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from bounds_report import report

from conformance.casefiles.case import Case, Question
from conformance.judge.compare import compare
from conformance.judge.reference import reference
from conformance.losses import DTYPES, LOSSES, Array
from conformance.losses.reduction import reduce
from conformance.losses.rounded import Rounded, bound_model
from conformance.targets.answer import request
from conformance.targets.names import find_adapters
from conformance.targets.wire import unpack
from conformance.targets.worker import answer, load_class

FRAMEWORKS = ("numpy", "torch", "jax", "optax", "tensorflow")
ROWS = {2: 200, 10: 150, 100: 30}
FEWER = 6
"""By how much float64 has fewer rows, since its references are balls."""
LOGITS = ("ordinary", "wide", "far", "offset 1e4", "offset 1e8", "peaked", "flat", "ties", "1000 classes")
BINARY = ("ordinary", "far", "near zero")
PROBABILITIES = ("ordinary", "tiny", "nearly one")
NOT_IN = {"offset 1e8": ("float16", "bfloat16"), "offset 1e4": ("float16", "bfloat16")}
MEANS = (1500, 70_000)
UPSTREAM = (1.0, -0.5, 1.5, 0.3, -2.0, 7.0, 0.01)


def logits(rng: np.random.Generator, regime: str, rows: int, classes: int) -> Array:
    x = rng.standard_normal((rows, classes))
    scaled = {"wide": 5.0, "far": 30.0, "flat": 1e-3, "offset 1e4": 3.0}.get(regime, 1.0) * x
    if regime == "ties":
        return (2 * x).round() / 2
    if regime == "peaked":
        return x + (np.arange(classes) == 0) * rng.uniform(0, 40, (rows, 1))
    if regime == "offset 1e8":
        return 8 * (2 * x).round() + 1e8
    return scaled + (1e4 if regime == "offset 1e4" else 0.0)


def binary(rng: np.random.Generator, regime: str, size: int) -> Array:
    x = rng.standard_normal((size, 10))
    return {"ordinary": 3 * x, "far": 40 * x, "near zero": 1e-3 * x}[regime]


def probabilities(rng: np.random.Generator, regime: str, size: int) -> Array:
    u = rng.uniform(0, 1, (size, 10))
    return {"ordinary": 0.02 + 0.96 * u, "tiny": 2.0 ** (-1 - 11 * u), "nearly one": 1 - 2.0 ** (-2 - 6 * u)}[regime]


def cases(rng: np.random.Generator, fewer: int) -> Iterator[tuple[str, str, Case]]:
    """Label, regime and case, reduction none throughout."""
    for regime in LOGITS:
        for classes, rows in {1000: 3}.items() if regime == "1000 classes" else ROWS.items():
            x = logits(rng, regime, max(rows // fewer, 2), classes)
            yield from softmax_family(rng, regime, x)
    for regime in BINARY:
        x = binary(rng, regime, 600 // fewer)
        yield from binary_losses(rng, regime, x)
    for regime in PROBABILITIES:
        p = probabilities(rng, regime, 600 // fewer)
        hard = rng.integers(0, 2, p.shape).astype(float)
        for label, y in {"hard": hard, "soft": rng.uniform(0, 1, p.shape)}.items():
            yield f"binary_cross_entropy, {label}", regime, make("binary_cross_entropy", probs=p, target=y)
        yield "entropy", regime, make("entropy", probs=p)
        yield "self_information", regime, make("self_information", probs=p)
        log_q = -rng.exponential(3, p.shape)
        yield "kl_div", regime, make("kl_div", log_probs=log_q, target=p)
        log_target = {"log_target": True}
        yield "kl_div, log target", regime, make("kl_div", log_target, log_probs=log_q, target=np.log(p))


def softmax_family(rng: np.random.Generator, regime: str, x: Array) -> Iterator[tuple[str, str, Case]]:
    rows, classes = x.shape
    for name in ("softmax", "log_softmax", "logsumexp"):
        yield name, regime, make(name, logits=x)
    labels = np.where(rng.random(rows) < 0.5, x.argmax(-1), rng.integers(0, classes, rows))
    log_probs = -rng.exponential(3, x.shape)
    yield "nll_loss", regime, make("nll_loss", log_probs=log_probs, target=labels)
    soft = rng.dirichlet(np.ones(classes), rows)
    yield "cross_entropy, labels", regime, make("cross_entropy", logits=x, target=labels)
    yield "cross_entropy, probabilities", regime, make("cross_entropy", logits=x, target=soft)
    smooth: dict[str, Any] = {"label_smoothing": 0.1}
    yield "cross_entropy, smoothed", regime, make("cross_entropy", smooth, logits=x, target=labels)
    every = {**smooth, "weight": rng.uniform(0.1, 4, classes), "ignore_index": 1}
    yield "cross_entropy, all options", regime, make("cross_entropy", every, logits=x, target=labels)


def binary_losses(rng: np.random.Generator, regime: str, x: Array) -> Iterator[tuple[str, str, Case]]:
    for name in ("sigmoid", "log_sigmoid", "softplus"):
        yield name, regime, make(name, logits=x)
    hard = rng.integers(0, 2, x.shape).astype(float)
    yield "soft_margin_loss", regime, make("soft_margin_loss", logits=x, target=2 * hard - 1)
    name = "binary_cross_entropy_with_logits"
    yield f"{name}, hard", regime, make(name, logits=x, target=hard)
    yield f"{name}, soft", regime, make(name, logits=x, target=rng.uniform(0, 1, x.shape))
    weight = {"pos_weight": rng.uniform(0.1, 4, x.shape[-1])}
    yield f"{name}, pos_weight", regime, make(name, weight, logits=x, target=hard)


def make(name: str, options: dict[str, Any] | None = None, **inputs: Array) -> Case:
    loss = LOSSES[name]
    options = dict(options or {})
    if "reduction" in loss.options:
        options["reduction"] = "none"
    shape = np.shape(loss.evaluate(np.asarray, inputs, options))
    return Case("bounds", loss, inputs, options, cotangent=np.resize(UPSTREAM, shape))


def measure(framework: str) -> dict[str, Any]:
    """All cells of one framework, and its means."""
    known = find_adapters([])[framework]
    adapter = load_class(known.location)("cpu", "eager")
    cells: dict[str, list[float]] = {}
    for dtype in DTYPES:
        rng = np.random.default_rng(20240613)
        for label, regime, case in cases(rng, FEWER if dtype == "float64" else 1):
            if dtype in NOT_IN.get(regime, ()):
                continue
            for output in ("value", "gradient"):
                question = Question(case, dtype, output)
                got = ask_adapter(adapter, question)
                if isinstance(got, np.ndarray):
                    expected = reference(question, known.accuracy)
                    found = compare(got, expected, dtype)
                    sharp = compare(got, replace(expected, bound=expected.sharp), dtype)
                    key = json.dumps([label, output, dtype, regime])
                    cell = cells.setdefault(key, [0, 0, 0.0, 0.0])
                    worst = (found.ratio or 0.0, sharp.ratio or 0.0)
                    cells[key] = [cell[0] + found.elements, cell[1] + found.wrong, *map(max, cell[2:], worst)]
    means = {json.dumps(key): ratio for key, ratio in mean_errors(adapter)}
    return {"environment": adapter.environment(), "cells": cells, "means": means}


def ask_adapter(adapter: Any, question: Question) -> Array | str:
    """What the adapter returns, or why it returns nothing; wrong shapes and errors are for the suite to find."""
    with np.errstate(all="ignore"):
        reply = answer(adapter, request(question))
    return unpack(reply["array"]) if "array" in reply else reply["message"]


def mean_errors(adapter: Any) -> Iterator[tuple[tuple[str, str, int], float]]:
    """Error of a mean against the exact mean of the framework's own row losses, over the bound of the reduction."""
    rng = np.random.default_rng(20240614)
    for rows in MEANS:
        x = rng.standard_normal((rows, 4))
        hard = rng.integers(0, 2, rows).astype(float)
        drawn = {
            "cross_entropy": {"logits": x, "target": rng.integers(0, 4, rows)},
            "nll_loss": {"log_probs": -np.abs(x), "target": rng.integers(0, 4, rows)},
            "binary_cross_entropy": {"probs": rng.uniform(0.02, 0.98, rows), "target": hard},
            "binary_cross_entropy_with_logits": {"logits": x[:, 0], "target": hard},
            "soft_margin_loss": {"logits": x[:, 0], "target": 2 * hard - 1},
            "kl_div": {"log_probs": -np.abs(x[:, 0]), "target": rng.uniform(0.02, 0.98, rows)},
        }
        for name, inputs in drawn.items():
            for dtype in DTYPES:
                case = make(name, **inputs)
                losses = ask_adapter(adapter, Question(case, dtype, "value"))
                averaged = replace(case, options={**case.options, "reduction": "mean"})
                mean = ask_adapter(adapter, Question(averaged, dtype, "value"))
                if not isinstance(losses, np.ndarray) or not isinstance(mean, np.ndarray):
                    continue
                exact = losses.astype(np.float64)
                bound = reduce(Rounded(exact, bound_model(dtype)), "mean").error
                error = abs(float(mean) - math.fsum(exact) / rows)
                yield (name, dtype, rows), float(error / bound) if np.isfinite(error) else math.inf


def run(framework: str, folder: str) -> dict[str, Any]:
    path = Path(folder) / framework
    quiet = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, __file__, "--write", str(path), framework]
    subprocess.run(command, check=True, env={**os.environ, **quiet})
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("frameworks", nargs="*", default=FRAMEWORKS, metavar="TARGET")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables to FILE")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        given.write.write_text(json.dumps(measure(given.frameworks[0])))
        return
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        order = sorted(given.frameworks, key=("jax", "optax", "tensorflow", "torch", "numpy").index)
        results = dict(zip(order, pool.map(lambda name: run(name, folder), order), strict=True))
    text = report({name: results[name] for name in given.frameworks})
    print(text)
    print(f"{time.perf_counter() - start:.0f} s")
    if given.markdown:
        given.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
