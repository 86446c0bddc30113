"""Adapters of frameworks that are no part of the extra `all`: each runs where its framework is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.cli import main
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
