"""The CuPy adapter against a stand-in made of numpy and scipy.

There is no GPU here. This shows that the adapter asks for functions that exist by these names in scipy, whose interface
CuPy keeps, with the right arguments, and that it keeps the contract; it shows nothing of CuPy's own numbers.
"""

from __future__ import annotations

import sys
import types
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from conformance.cli import main
from conformance.results.file import read_results

special = pytest.importorskip("scipy.special")


LOGITS = "logits: [[0.5, -1.5, 3.0], [0.1, 2.0, 0.0]]"
PROBS = "[[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]]"
LOG_PROBS = "log_probs: [[-0.5, -1.5, -3.0], [-0.1, -2.0, -7.0]]"
INPUTS = {
    **dict.fromkeys(("sigmoid", "log_sigmoid", "softplus"), LOGITS),
    **dict.fromkeys(("softmax", "log_softmax", "logsumexp"), f"{LOGITS}, options: {{axis: 0}}"),
    "soft_margin_loss": f"{LOGITS}, target: [[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]]",
    "kl_div": f"{LOG_PROBS}, target: {PROBS}, options: {{reduction: batchmean}}",
    "entropy": f"probs: {PROBS}",
    "self_information": "probs: [0.5, 0.25, 1.0]",
}


class Array(np.ndarray):
    """An array that claims to lie on a GPU."""

    @property
    def device(self):
        return types.SimpleNamespace(id=0)


@pytest.fixture
def cupy(monkeypatch):
    """Modules named as CuPy's, in place for one test."""
    stand_in = types.ModuleType("cupy")
    for name in ("zeros", "logaddexp", "log", "mean", "sum"):
        setattr(stand_in, name, getattr(np, name))
    stand_in.__version__ = "0"
    stand_in.asarray = lambda array: array.view(Array)
    stand_in.asnumpy = np.asarray
    runtime = types.SimpleNamespace(
        runtimeGetVersion=lambda: 12000, getDeviceProperties=lambda i: {"name": b"a stand-in"}
    )
    stand_in.cuda = types.SimpleNamespace(runtime=runtime, Device=lambda: types.SimpleNamespace(id=0))
    outer, scipy = types.ModuleType("cupyx"), types.ModuleType("cupyx.scipy")
    outer.scipy, scipy.special = scipy, types.ModuleType("cupyx.scipy.special")
    for name in ("softmax", "log_softmax", "logsumexp", "expit", "log_expit", "entr", "xlogy"):
        setattr(scipy.special, name, placed(getattr(special, name)))
    for module in (stand_in, outer, scipy, scipy.special):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return stand_in


def placed(function):
    return lambda *arrays, **options: np.asarray(function(*map(np.asarray, arrays), **options)).view(Array)


def run(*options: str):
    with pytest.raises(SystemExit):
        main(["run", "cupy", "--in-process", "--results", "r.jsonl", *options])
    return read_results(Path("r.jsonl"))


def test_every_method_asks_for_what_its_name_says(cupy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("cases").mkdir()
    for loss, inputs in INPUTS.items():
        Path("cases", f"{loss}.yaml").write_text(f"loss: {loss}\ncases: [{{id: a, {inputs}}}]\n")
    results = run("--cases", "cases", "--dtype", "float64")
    values = {trial.loss: trial for trial in results.trials if trial.output == "value"}
    assert {loss: trial.verdict for loss, trial in values.items()} == dict.fromkeys(INPUTS, "pass")
    assert {trial.device for trial in values.values()} == {"cuda:0"}
    assert {trial.verdict for trial in results.trials if trial.output == "gradient"} == {"unsupported"}
    (facts,) = results.environments.values()
    assert facts == {"cupy": "0", "cuda": "12000", "device": "cuda:0", "gpu": "a stand-in"}


def test_what_cupy_lacks_is_unsupported(cupy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = run("--select", "cross_entropy/worked_example", "--select", "softmax/*", "--dtype", "bfloat16")
    assert Counter(trial.verdict for trial in results.trials).keys() == {"unsupported"}
    messages = {trial.message for trial in results.trials}
    assert messages == {"no method cross_entropy", "no method gradient", "no bfloat16"}
