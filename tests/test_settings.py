"""[tool.conformance] of a pyproject.toml: the defaults of a run, and what is said when they are wrong."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

import pytest

from conformance.cli import main
from conformance.errors import SettingsError
from conformance.results.file import read_results
from conformance.settings import Settings, find_settings

MINIATURES = Path(__file__).with_name("miniatures.py")
CASES = "loss: softmax\ncases: [{id: a, logits: [0.5, 1.5]}, {id: b, logits: [0.5, 2.5]}]\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose pyproject.toml gets the given text, with the working directory somewhere inside it."""
    (tmp_path / "src" / "deep").mkdir(parents=True)
    (tmp_path / "cases.yaml").write_text(CASES)
    monkeypatch.chdir(tmp_path / "src" / "deep")

    def write(text: str) -> Path:
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path

    return write


def conformance(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return caught.value.code


def test_without_a_table_the_defaults_hold(project):
    folder = project("[project]\nname = 'fork'\n")
    (folder / "src" / "pyproject.toml").write_text("[tool.other]\n")
    assert find_settings(Path.cwd()) == Settings()


def test_an_adapter_that_is_given_takes_the_place_of_the_targets(project):
    folder = project("[tool.conformance]\ntargets = ['numpy']\ncases = ['cases.yaml']\nresults = 'r.jsonl'\n")
    assert conformance("run", "--adapter", f"{MINIATURES}:Faithful") == 0
    assert read_results(folder / "r.jsonl").header.targets == ["faithful:cpu:eager"]


def test_a_run_takes_its_options_from_the_table(project):
    folder = project(
        "[tool.conformance]\n"
        "targets = ['faithful']\n"
        f"adapter = ['{MINIATURES}:Faithful']\n"
        "cases = ['cases.yaml']\n"
        "select = ['softmax/a']\n"
        "dtype = ['float32', 'float64']\n"
        "results = 'out/r.jsonl'\n"
        "jobs = 1\n"
        "timeout = 30\n"
        f"python = {{faithful = '{sys.executable}'}}\n"
    )
    assert conformance("run") == 0
    trials = read_results(folder / "out" / "r.jsonl").trials
    assert {(trial.target, trial.case, trial.dtype) for trial in trials} == {
        ("faithful:cpu:eager", "softmax/a", "float32"),
        ("faithful:cpu:eager", "softmax/a", "float64"),
    }


def test_the_command_line_takes_the_place_of_the_table(project):
    project("[tool.conformance]\ntargets = ['nothing']\ncases = ['cases.yaml']\nselect = ['softmax/a']\njobs = 1\n")
    assert conformance("run", "numpy", "--select", "softmax/b", "--dtype", "float32", "--results", "r.jsonl") == 0
    assert {trial.case for trial in read_results(Path("r.jsonl")).trials} == {"softmax/b"}


def test_paths_are_relative_to_the_file(project):
    folder = project(
        "[tool.conformance]\ndeviations = ['known.yaml']\nadapter = ['mine.py:Mine', 'package.module:Class']\n"
        "[tool.conformance.python]\ntorch = 'venv/bin/python'\n"
    )
    found = find_settings(Path.cwd())
    assert found.deviations == [f"{folder}/known.yaml"]
    assert found.adapter == [f"{folder}/mine.py:Mine", "package.module:Class"]
    assert found.python == {"torch": f"{folder}/venv/bin/python"}
    assert found.results == "conformance-results.jsonl"


KEYS = ", ".join(one.name for one in fields(Settings))


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "[project]\n\n[tool.conformance]\njobs = 0\ntargest = ['torch']\nselect = 'softmax/*'\n",
            [
                "pyproject.toml:4: tool.conformance.jobs: greater than or equal to 1 is needed, not 0",
                "pyproject.toml:6: tool.conformance.select: a valid list is needed, not 'softmax/*'",
                f"pyproject.toml:5: tool.conformance.targest: unknown key; the keys are {KEYS}",
            ],
        ),
        (
            "[tool.conformance]\ntimeout = '60'\n[tool.conformance.python]\ntorch = 3\n",
            [
                "pyproject.toml:2: tool.conformance.timeout: a valid number is needed, not '60'",
                "pyproject.toml:3: tool.conformance.python.torch: a valid string is needed, not 3",
            ],
        ),
        (
            "tool.conformance = 3\n",
            ["pyproject.toml: tool.conformance: a table is needed, not 3"],
        ),
        (
            "[tool.conformance]\njobs = \n",
            ["pyproject.toml:2: cannot be read: Invalid value (at line 2, column 8)"],
        ),
    ],
)
def test_everything_wrong_is_said_at_once(project, capsys, text, problems):
    folder = project(text)
    with pytest.raises(SettingsError) as caught:
        find_settings(Path.cwd())
    assert sorted(str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems) == sorted(problems)
    assert conformance("run") == 2
    assert capsys.readouterr().err.startswith(f"conformance: {len(problems)} problem")
