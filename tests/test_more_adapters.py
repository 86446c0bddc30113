"""Adapters of frameworks that are no part of the extra `all`: each runs where its framework is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.cli import main
from conformance.results.file import read_results
from conformance.targets.names import find_adapters

ADAPTERS = find_adapters()
MORE = sorted({"keras", "mlx", "onnxruntime", "paddle", "scipy"} & set(ADAPTERS))
SELECTED = ("softmax/worked_example", "cross_entropy/ignored_rows_mean", "sigmoid/layout_reversed")


@pytest.mark.parametrize("name", MORE)
def test_a_selection_runs_without_surprises(name, tmp_path, monkeypatch, capfd):
    if ADAPTERS[name].missing():
        pytest.skip(f"{', '.join(ADAPTERS[name].missing())} is not installed")
    monkeypatch.chdir(tmp_path)
    chosen = [argument for glob in SELECTED for argument in ("--select", glob)]
    with pytest.raises(SystemExit) as caught:
        main(["run", name, *chosen, "--results", "r.jsonl"])
    assert caught.value.code == 0, capfd.readouterr().out
    lines = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    verdicts = {line["verdict"] for line in lines if line["kind"] == "trial"}
    assert "pass" in verdicts


@pytest.mark.parametrize("name", MORE)
def test_each_is_an_extra_of_its_own(name):
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert f"\n{name} = [" in text
    assert name not in text.partition("\nall = ")[2].partition("\n")[0]


@pytest.mark.skipif(bool(ADAPTERS["mlx"].missing()), reason="mlx is not installed")
def test_what_mlx_refuses_is_an_error_every_time(tmp_path, monkeypatch):
    """numpy swallows what evaluating an array raises, and then takes whatever is in its memory."""
    monkeypatch.chdir(tmp_path)
    for _ in range(3):
        with pytest.raises(SystemExit):
            main(["run", "mlx", "--select", "cross_entropy/labels_of_*", "--results", "r.jsonl"])
        outcomes = {trial.case.split("_")[-1]: trial.outcome for trial in read_results(Path("r.jsonl")).trials}
        assert (outcomes["int32"], outcomes["float"], outcomes["bool"]) == ("accepted", "error", "error")
