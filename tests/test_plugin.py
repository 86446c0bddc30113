"""The pytest plugin: the same verdicts and the same result file as `conformance run`, as test items."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from conformance.choice import shard_of
from conformance.results.file import read_results

MINIATURES = Path(__file__).with_name("miniatures.py")
ROOT = Path(__file__).parents[1]
CASES = """
loss: cross_entropy
cases:
  - {id: plain, logits: &x [[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]], target: [2, 3], dtypes: [float32]}
  - {id: unlucky, logits: [[13.0, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]], target: [2, 3], dtypes: [float32]}
  - {id: per_row, logits: *x, target: [2, 3], options: {reduction: none}, dtypes: [float32]}
  - {id: weighted, logits: *x, target: [2, 3], options: {weight: [1.0, 0.5, 2.0, 0.25]}, dtypes: [float32]}
"""
DEVIATIONS = """
deviations:
  - trials: ["cross_entropy/per_row[some_ulps_off:*-float32]"]
    reason: Twenty ulps off, on purpose.
"""
TARGETS = ("SomeUlpsOff", "Exits", "FailsToStart")
EXPECTED = {
    "some_ulps_off": {
        "plain": "mismatch",
        "unlucky": "mismatch",
        "per_row": "known",
        "weighted": "unsupported",
        "weighted gradient": "unsupported",
    },
    "exits": {"unlucky": "crash", "weighted": "unsupported", "weighted gradient": "unsupported"},
    "fails_to_start": dict.fromkeys(
        [f"{name}{output}" for name in ("plain", "unlucky", "per_row", "weighted") for output in ("", " gradient")],
        "not run",
    ),
}
"""Verdicts other than pass, by adapter, case and output."""


def run_pytest(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False, env=environment())


def environment() -> dict[str, str]:
    """This process's, without what pytest and its plugins leave there for their children."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_")) and k != "NO_COLOR"}
    return {**ours, "COLUMNS": "200"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin")
    (path / "cases.yaml").write_text(CASES)
    (path / "ours.yaml").write_text(DEVIATIONS)
    (path / "stale.yaml").write_text("deviations: [{trials: [softmax/gone*], reason: r}]\n")
    (path / "bad.yaml").write_text("loss: softmax\ncases: 3\n")
    return path


@pytest.fixture(scope="module")
def numpy_options(folder):
    return ["--conformance-target=numpy", f"--conformance-cases={folder}/cases.yaml", "-q"]


@pytest.fixture(scope="module")
def options(folder):
    return [
        f"--conformance-cases={folder}/cases.yaml",
        f"--conformance-deviations={folder}/ours.yaml",
        *(f"--conformance-adapter={MINIATURES}:{name}" for name in TARGETS),
    ]


@pytest.fixture(scope="module")
def done(folder, options):
    """One session with every kind of verdict."""
    files = [f"--conformance-results={folder}/pytest.jsonl", f"--junitxml={folder}/junit.xml"]
    return run_pytest("conformance", *options, *files, "-rA")


@pytest.fixture(scope="module")
def results(folder, done):
    return read_results(folder / "pytest.jsonl")


@pytest.fixture(scope="module")
def run_results(folder):
    """The same by `conformance run`."""
    arguments = [word for name in TARGETS for word in ("--adapter", f"{MINIATURES}:{name}")]
    files = ["--cases", "cases.yaml", "--deviations", "ours.yaml", "--results", "run.jsonl"]
    command = [sys.executable, "-m", "conformance", "run", *arguments, *files]
    assert subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False).returncode == 1
    return read_results(folder / "run.jsonl")


def test_every_trial_is_an_item(done):
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].strip("= ").startswith("11 failed, 8 passed, 4 skipped, 1 xfailed in ")


def test_verdicts_are_those_of_the_adapters(results):
    found = {}
    for trial in results.trials:
        name = trial.case.partition("/")[2] + (" gradient" if trial.output == "gradient" else "")
        if trial.verdict != "pass":
            found.setdefault(trial.target.partition(":")[0], {})[name] = trial.verdict
    assert found == EXPECTED
    assert (len(results.trials), results.header.planned) == (24, 24)


def test_the_result_file_is_that_of_a_run(results, run_results):
    def essence(read):
        return {trial.id: replace(trial, seconds=0.0, listed="", message="") for trial in read.trials}

    assert essence(results) == essence(run_results)
    assert results.environments == run_results.environments
    assert (results.footer.counts, results.footer.exit_status) == (run_results.footer.counts, 1)
    assert results.complete
    assert run_results.complete
    for attribute in ("cases_digest", "planned", "targets", "unavailable", "host"):
        assert getattr(results.header, attribute) == getattr(run_results.header, attribute)
    assert {Path(trial.listed).name for trial in results.trials} == {"", "ours.yaml:3"}
    assert results.header.command[0] == "pytest"


def test_a_crash_fails_its_own_item_only(done):
    assert "FAILED conformance/test_conformance.py::test_trial[cross_entropy/unlucky[exits:cpu:eager-float32]]" in (
        done.stdout
    )
    assert done.stdout.count("FAILED conformance/test_conformance.py::test_trial[cross_entropy/unlucky[exits") == 1
    assert "PASSED conformance/test_conformance.py::test_trial[cross_entropy/per_row[exits:cpu:eager-float32]]" in (
        done.stdout
    )


@pytest.mark.parametrize(
    "text",
    [
        "known deviation: Twenty ulps off, on purpose.",
        "unsupported: cross_entropy has no option weight",
        "not run: could not be started: RuntimeError: no device cpu here",
        "crash: the process ended with status 1\n    | last\\x07 words",
        "mismatch: 1 of 1 elements (100.0%) outside the bound\ncross_entropy/plain[some_ulps_off:cpu:eager-float32]\n"
        "worst at (): got 1.364417552947998, expected 1.3644149422555576\nerror 2.61e-06 = 21.9 ulp, bound ",
        "inputs {'logits': [[0.10000000149011612, 0.20000000298023224, 0.30000001192092896, 0.4000000059604645], ",
        " --select 'cross_entropy/unlucky[exits:cpu:eager-float32]' --cases ",
    ],
)
def test_what_a_failure_says(done, text):
    assert text in done.stdout


def test_failures_show_no_code_of_the_suite(done):
    assert "conformance_trial.check()" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_junit_xml(folder, done):
    (suite,) = ET.parse(folder / "junit.xml").getroot()  # noqa: S314 - our own file
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": 24, "failures": 11, "errors": 0, "skipped": 5}
    crashed = [
        case for case in suite if case.attrib["name"] == "test_trial[cross_entropy/unlucky[exits:cpu:eager-float32]]"
    ]
    assert crashed[0].find("failure").attrib["message"].startswith("Failed: crash: the process ended with status 1")
    reasons = Counter(case.find("skipped").attrib["message"] for case in suite if case.find("skipped") is not None)
    assert reasons == {
        "unsupported: cross_entropy has no option weight": 4,
        "known deviation: Twenty ulps off, on purpose.": 1,
    }


def test_two_processes_write_one_result_file(folder, options, results):
    path = folder / "two.jsonl"
    done = run_pytest("conformance", *options, f"--conformance-results={path}", "-n2", "-q")
    assert done.returncode == 1, done.stdout + done.stderr
    read = read_results(path)
    assert read.complete
    assert {trial.id: trial.verdict for trial in read.trials} == {trial.id: trial.verdict for trial in results.trials}
    assert len(read.trials) == len(results.trials)
    assert (read.footer.counts, read.environments) == (results.footer.counts, results.environments)


HERE = """
import sys
from conformance.adapters.numpy_reference import NumPy

class Here(NumPy):
    name = "here"

    def environment(self):
        print("here in pytest" if "pytest" in sys.modules else "in a worker")
        return super().environment()
"""
STARTS = """
import os
from conformance.adapters.numpy_reference import NumPy

class First(NumPy):
    name = "first"

    def __init__(self, device, mode):
        super().__init__(device, mode)
        with open({log!r}, "a") as file:
            print(self.name, file=file)

class Second(First):
    name = "second"
"""


@pytest.mark.parametrize(
    "arguments", [(), ("--dist=loadgroup",), ("other",)], ids=["plain", "loadgroup", "other tests"]
)
def test_two_processes_start_each_framework_once(folder, tmp_path, arguments):
    """Also where other tests are run beside the trials; those are shared out as they come."""
    log = tmp_path / "starts.txt"
    (tmp_path / "starts.py").write_text(STARTS.format(log=str(log)))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "test_other.py").write_text("def test_one():\n    pass\n\n\ndef test_two():\n    pass\n")
    adapters = [f"--conformance-adapter={tmp_path}/starts.py:{name}" for name in ("First", "Second")]
    given = [f"--conformance-cases={folder}/cases.yaml", *adapters, "-n2", "-q"]
    done = run_pytest("--pyargs", "conformance", *given, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("18 passed" if "other" in arguments else "16 passed")
    assert sorted(log.read_text().split()) == ["first", "second"]


def test_everything_passes(folder, numpy_options):
    path = folder / "numpy.jsonl"
    done = run_pytest("conformance", *numpy_options, f"--conformance-results={path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("8 passed in ")
    assert (read_results(path).footer.exit_status, read_results(path).complete) == (0, True)


def test_listing_the_trials_leaves_an_earlier_result_file(folder, numpy_options):
    path = folder / "earlier.jsonl"
    path.write_text("earlier")
    done = run_pytest("conformance", *numpy_options, f"--conformance-results={path}", "--collect-only", "-q")
    assert (done.returncode, path.read_text()) == (0, "earlier")


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_a_part_chosen_by_k_is_all_that_was_planned(folder, numpy_options, processes):
    """The status in the result file is that of pytest. What -k chose is in no option, so no run can go on with it."""
    path = folder / "part.jsonl"
    arguments = [f"--conformance-results={path}", "-k", "plain and not gradient", *processes]
    done = run_pytest("conformance", *numpy_options, *arguments)
    assert (done.returncode, done.stdout.splitlines()[-1][:8]) == (0, "1 passed")
    read = read_results(path)
    assert [trial.case for trial in read.trials] == ["cross_entropy/plain"]
    assert (read.header.planned, read.complete, read.footer.exit_status) == (1, True, 0)
    assert read.header.options is None


def test_select_and_dtype_plan_a_part(folder, numpy_options):
    path = folder / "selected.jsonl"
    chosen = ["--conformance-select=*/plain", "--conformance-dtype=float32", f"--conformance-results={path}"]
    assert run_pytest("conformance", *numpy_options, *chosen).returncode == 0
    assert (len(read_results(path).trials), read_results(path).complete) == (2, True)


@pytest.mark.parametrize("processes", [[], ["-n", "2"]])
def test_nothing_selected_is_no_success(folder, numpy_options, processes):
    done = run_pytest("conformance", *numpy_options, "--conformance-select=sofmax/*", *processes)
    assert done.returncode != 0
    assert "conformance: nothing matches sofmax/*; trial ids look like" in done.stdout


def test_the_parts_of_a_session_are_those_of_a_run(folder, numpy_options):
    parts = []
    for i in (1, 2):
        path = folder / f"part{i}.jsonl"
        shard = [f"--conformance-shard={i}/2", f"--conformance-results={path}"]
        assert run_pytest("conformance", *numpy_options, *shard).returncode == 0
        assert read_results(path).header.options.shard == f"{i}/2"
        parts.append({trial.case for trial in read_results(path).trials})
    assert parts[0] == {case for case in parts[0] | parts[1] if shard_of(case, 2) == 1}
    assert not parts[0] & parts[1]
    assert len(parts[0] | parts[1]) == 4


def test_a_session_that_was_killed_is_finished_by_a_run(folder, numpy_options):
    path = folder / "killed.jsonl"
    run_pytest("conformance", *numpy_options, f"--conformance-results={path}")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))
    command = [sys.executable, "-m", "conformance", "run", "--resume", str(path)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (len(read_results(path).trials), read_results(path).complete) == (8, True)


@pytest.fixture
def project(tmp_path):
    """A project with a table of its own; the options of a session come from there."""
    (tmp_path / "cases.yaml").write_text(CASES)
    (tmp_path / "list.yaml").write_text("deviations: []\n")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.conformance]\n"
        "targets = ['some_ulps_off']\n"
        f"adapter = ['{MINIATURES}:SomeUlpsOff']\n"
        "cases = ['cases.yaml']\n"
        "select = ['*/plain']\n"
        "deviations = ['list.yaml']\n"
        "results = 'not-by-pytest.jsonl'\n"
    )
    return tmp_path


def test_a_session_takes_its_options_from_the_projects_table(project):
    done = run_pytest("--pyargs", "conformance", "-q", cwd=project)
    assert (done.returncode, done.stdout.splitlines()[-1][:18]) == (1, "1 failed, 1 passed"), done.stdout + done.stderr
    chosen = ["--conformance-select=*/per_row", "--conformance-target=numpy"]
    done = run_pytest("--pyargs", "conformance", "-q", *chosen, cwd=project)
    assert (done.returncode, done.stdout.splitlines()[-1][:8]) == (0, "2 passed"), done.stdout + done.stderr
    assert not (project / "not-by-pytest.jsonl").exists()


def test_a_table_that_is_wrong_is_said_with_its_line(project):
    (project / "pyproject.toml").write_text("[tool.conformance]\njobs = 0\ntargest = []\n")
    done = run_pytest("--pyargs", "conformance", "-q", cwd=project)
    assert done.returncode == 2
    assert "conformance: 2 problems found:" in done.stdout
    assert "pyproject.toml:2: tool.conformance.jobs: greater than or equal to 1 is needed, not 0" in done.stdout


def test_a_session_brings_lists_of_deviations_up_to_date(project):
    arguments = ["--pyargs", "conformance", "-q", "--conformance-update-deviations"]
    done = run_pytest(*arguments, "--conformance-results=r.jsonl", cwd=project)
    assert (done.returncode, "list.yaml: 1 entries added, 0 narrowed, 0 removed" in done.stdout) == (1, True)
    assert "cross_entropy/plain[some_ulps_off:cpu:eager-float32]" in (project / "list.yaml").read_text()
    done = run_pytest(*arguments, cwd=project)
    assert (done.returncode, "name a file with --conformance-results" in done.stderr) == (4, True)


def test_the_process_of_pytest_may_run_the_framework_itself(project):
    (project / "here.py").write_text(HERE)
    chosen = ["--conformance-adapter=here.py:Here", "--conformance-target=here", "--conformance-in-process", "-s"]
    done = run_pytest("--pyargs", "conformance", "-q", *chosen, cwd=project)
    assert (done.returncode, "here in pytest" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize("option", ["timeout=0", "timeout=nan", "memory=-1", "restarts=-1", "restarts=2.5"])
def test_a_limit_that_is_no_limit_is_refused(option):
    done = run_pytest("conformance", f"--conformance-{option}")
    assert (done.returncode, f"argument --conformance-{option.partition('=')[0]}: " in done.stderr) == (4, True)


def test_a_review_that_is_overdue_is_said(folder, numpy_options):
    listed = "deviations: [{trials: ['*/plain*'], passes: sometimes, reason: r, review: 2020-01-02}]\n"
    (folder / "overdue.yaml").write_text(listed)
    done = run_pytest("conformance", *numpy_options, f"--conformance-deviations={folder}/overdue.yaml")
    said = f"conformance: deviation to look at again: {folder}/overdue.yaml:1: its review was due on 2020-01-02"
    assert (done.returncode, said in done.stdout) == (0, True)


def test_installed_it_runs_by_its_name(folder, numpy_options):
    done = run_pytest("--pyargs", "conformance", *numpy_options, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("8 passed in ")


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_a_stale_entry_is_said_and_fails_the_session(folder, numpy_options, processes):
    done = run_pytest("conformance", *numpy_options, *processes, f"--conformance-deviations={folder}/stale.yaml")
    assert f"conformance: stale deviation {folder}/stale.yaml:1 matches no trial" in done.stdout
    assert done.returncode == 1


def test_a_hanging_trial_is_one_failure(folder):
    options = [
        f"--conformance-adapter={MINIATURES}:Hangs",
        f"--conformance-cases={folder}/cases.yaml",
        "--conformance-timeout=1",
        "--conformance-select=*32]",
        "-q",
    ]
    done = run_pytest("conformance", *options)
    assert "timeout: no answer within 1 s" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 failed, 2 passed, 1 skipped in ")


BAD_CASES = "conformance: 1 problem found:\n  {folder}/bad.yaml:2: cases: a list of cases is needed here, not int 3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--conformance-target=nump"], "conformance: unknown target 'nump': the adapters are cupy, jax,"),
        (["--conformance-target=numpy", "--conformance-cases={folder}/bad.yaml"], BAD_CASES),
        (
            ["--conformance-target=numpy", "--conformance-cases={folder}/bad.yaml", "--conformance-results={folder}/x"],
            BAD_CASES,
        ),
        (
            ["--conformance-target=numpy", "--conformance-results={folder}/cases.yaml/x"],
            "conformance: cannot write results to {folder}/cases.yaml/x: ",
        ),
        (
            ["--conformance-target=nump", "-n1"],
            "conformance: unknown target 'nump': the adapters are cupy, jax,",
        ),
    ],
    ids=["target", "cases", "cases before the result file", "result file", "target in a worker"],
)
def test_usage_errors_are_clean(folder, arguments, message):
    given = [argument.format(folder=folder) for argument in arguments]
    if not any("cases=" in argument for argument in given):
        given.append(f"--conformance-cases={folder}/cases.yaml")
    done = run_pytest("conformance", "-q", *given)
    assert done.returncode != 0
    assert message.format(folder=folder) in done.stdout + done.stderr
    for noise in ("Traceback", "INTERNALERROR", "plugin.py"):
        assert noise not in done.stdout + done.stderr
    assert not (folder / "x").exists()


def test_the_plugin_is_inert_where_no_conformance_test_is_collected(tmp_path):
    """It is loaded with every pytest run of an environment that has the suite, and must cost nothing there."""
    (tmp_path / "test_unrelated.py").write_text(
        "import sys\n\n\ndef test_modules(request):\n"
        "    assert request.config.pluginmanager.has_plugin('conformance.plugin')\n"
        "    ours = {name for name in sys.modules if name.partition('.')[0] == 'conformance'}\n"
        "    assert ours == {'conformance', 'conformance.plugin'}\n"
        "    heavy = {'numpy', 'flint', 'pydantic', 'ruamel', 'cyclopts', 'ml_dtypes', 'torch', 'jax', 'tensorflow'}\n"
        "    assert heavy.isdisjoint(sys.modules)\n"
    )
    done = run_pytest("-q", "-p", "no:hypothesispytest", "-p", "no:randomly", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 passed in ")


def test_the_options_are_listed(tmp_path):
    help_text = run_pytest("--help", cwd=tmp_path).stdout
    for name in (
        "target",
        "cases",
        "adapter",
        "select",
        "dtype",
        "deviations",
        "python",
        "shard",
        "results",
        "timeout",
    ):
        assert f"--conformance-{name}=" in help_text
