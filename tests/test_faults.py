"""Whatever a framework does, its trials get their verdicts with the evidence, and all the others still run."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from pathlib import Path

import pytest
from processes import wait_for_the_end

from conformance.cli import main
from conformance.results.file import read_results

MINIATURES = Path(__file__).with_name("miniatures.py")
LOGITS = "[[{}, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]]"
CASES = f"""
loss: cross_entropy
cases:
  - {{id: first, logits: {LOGITS.format(0.1)}, target: [2, 3], dtypes: [float32]}}
  - {{id: unlucky, logits: {LOGITS.format(13.0)}, target: [2, 3], dtypes: [float32], grad: false}}
  - {{id: last, logits: {LOGITS.format(0.7)}, target: [2, 3], dtypes: [float32]}}
"""
VALUES = {"first", "unlucky", "last"}
ALL = {*VALUES, "first gradient", "last gradient"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run miniatures, and give every trial by its short name (of all targets when there are several)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases.yaml").write_text(CASES)

    def command(*names: str, options: str = ""):
        adapters = [word for name in names for word in ("--adapter", f"{MINIATURES}:{name}")]
        with pytest.raises(SystemExit) as caught:
            main(["run", *adapters, "--cases", "cases.yaml", "--results", "r.jsonl", *options.split()])
        results = read_results(Path("r.jsonl"))
        assert results.complete
        assert results.footer.exit_status == caught.value.code
        return results

    return command


def short(trial) -> str:
    name = trial.case.partition("/")[2]
    return name if trial.output == "value" else f"{name} gradient"


def trials(results):
    named = {short(trial): trial for trial in results.trials}
    assert len(named) == len(results.trials)
    return named


@pytest.mark.parametrize(
    ("name", "options", "failing", "verdict", "message"),
    [
        ("WrongSize", "", VALUES, "mismatch", "returned shape (1,), expected ()"),
        ("Interrupts", "", {"unlucky"}, "error", "KeyboardInterrupt"),
        ("RaisesWhatCannotBeSent", "", {"unlucky"}, "error", "Refusal: ('no', <unlocked _thread.lock object"),
        ("EatsMemory", "--memory 2", {"unlucky"}, "error", "MemoryError: Unable to allocate 1.00 GiB"),
        ("RecursesDeeply", "", {"unlucky"}, "error", "RecursionError: maximum recursion depth exceeded"),
        ("FloodsStreams", "", {"unlucky"}, "crash", "the process ended with status 3\n"),
        ("ClosesEverything", "--timeout 5", {"unlucky"}, ("crash", "timeout"), ""),
        ("LosesItsDevice", "", {"unlucky"}, "error", "RuntimeError: CUDA error: device-side assert triggered"),
        ("FallsBackToCpu", "", {"unlucky"}, "error", "asked for gpu, but computed on cpu"),
        ("DiesBesideAChild", "--timeout 600", {"unlucky"}, "crash", "the process died of SIGSEGV"),
        ("ReturnsComplexNumbers", "", {"unlucky"}, "mismatch", "returned dtype complex64, expected float32"),
        ("LeavesPython", "--in-process", {"unlucky"}, "error", "SystemExit"),
        ("WorksOnce", "--twice", {"first gradient", "last gradient"}, "error", "backward through the graph a second"),
    ],
)
def test_a_fault_costs_its_own_trials(run, name, options, failing, verdict, message):
    results = run(name, options=options)
    found = trials(results)
    assert found.keys() == ALL
    assert results.footer.exit_status == 1
    assert {short for short, trial in found.items() if trial.verdict != "pass"} == failing
    for short in failing:
        assert found[short].verdict in verdict
        assert message in found[short].message


@pytest.mark.parametrize(
    "name",
    [
        "ClosesStreams",
        "ChangesDirectory",
        "Forks",
        "LeavesThreads",
        "PrintsAtImport",
        "SlowToSayWhatItIs",
        "ImportsOnTheSecondTry",
    ],
)
def test_what_is_survived_costs_nothing(run, name, capfd):
    results = run(name, options="--timeout 1" if name == "SlowToSayWhatItIs" else "")
    assert {trial.verdict for trial in results.trials} == {"pass"}
    assert "welcome" not in capfd.readouterr().out


def test_a_second_try_is_said(run):
    results = run("ImportsOnTheSecondTry")
    (facts,) = results.environments.values()
    assert facts["second try"] == "the first failed: ImportError: the cache was cold"


def test_the_last_lines_are_those_before_the_end(run):
    assert trials(run("FloodsStreams"))["unlucky"].message.endswith("\nthe end")


@pytest.mark.parametrize(
    ("name", "message"),
    {
        "LeavesPythonAtStart": "could not be started: SystemExit: no license found",
        "DiesOfASignalAtStart": "could not be started: the process died of SIGSEGV",
        "HangsAtStart": "could not be started: did not start within 2 s",
    }.items(),
)
def test_a_framework_that_never_starts_is_not_run(run, monkeypatch, name, message):
    monkeypatch.setattr("conformance.targets.interpreter.START_SECONDS", 2.0)
    results = run(name)
    assert results.footer.exit_status == 3
    assert {(trial.verdict, trial.message) for trial in results.trials} == {("not run", message)}


def test_what_is_no_utf_8_is_written_as_escapes(run):
    results = run("SpeaksNoUnicode")
    found = trials(results)
    unlucky = found.pop("unlucky")
    assert (unlucky.verdict, unlucky.message) == ("unsupported", "no file caf\\udce9")
    assert {(trial.verdict, trial.device) for trial in found.values()} == {("pass", "cpu:\\udce9")}
    assert results.environments == {"speaks_no_unicode:cpu:eager": {"name\\udce9": "value\\udce9"}}


def test_what_a_framework_has_started_ends_with_it(run):
    results = run("DiesBesideAChild")
    (facts,) = results.environments.values()
    wait_for_the_end(int(facts["child"]))


def test_a_limit_may_be_without_end(run):
    results = run("Faithful", options="--timeout inf --memory inf")
    assert results.footer.counts == {"pass": 5}


def test_a_lost_device_costs_one_trial_and_a_new_worker(run):
    """Without the restart every trial after the first bad one would be an error."""
    found = trials(run("LosesItsDevice"))
    assert Counter(trial.verdict for trial in found.values()) == {"pass": 4, "error": 1}


def test_the_device_is_recorded_with_each_trial(run):
    found = trials(run("FallsBackToCpu"))
    assert {short: trial.device for short, trial in found.items()} == {
        "first": "gpu:0",
        "first gradient": "gpu:0",
        "unlucky": "cpu",
        "last": "gpu:0",
        "last gradient": "gpu:0",
    }


@pytest.mark.parametrize("options", ["", "--twice"])
def test_results_that_are_never_the_same(run, options, capsys):
    """Each of the two must be right; that they differ is said, and is no fault by itself."""
    found = trials(run("NeverTheSame", options=options))
    if not options:
        assert {trial.differing for trial in found.values()} == {None}
        return
    assert {name: (trial.verdict, trial.differing) for name, trial in found.items()} == {
        "first": ("pass", 1),
        "first gradient": ("pass", 0),
        "unlucky": ("mismatch", 1),
        "last": ("pass", 1),
        "last gradient": ("pass", 0),
    }
    said = "3 of the 5 trials that were tried twice did not give the same bits"
    assert f"never_the_same:cpu:eager: {said}: cross_entropy/first, cross_entropy/unlucky" in capsys.readouterr().out
    assert found["first"].message == "not the same twice: 1 of 1 elements differ in their bits"
    assert found["unlucky"].message.endswith(
        "outside the bound; not the same twice: 1 of 1 elements differ in their bits"
    )


def test_the_second_time_has_inputs_of_its_own(run):
    """Otherwise one that overwrites its inputs would seem to be never the same."""
    found = trials(run("ChangesInputs", options="--twice"))
    assert {trial.differing for trial in found.values()} == {0}


@pytest.mark.parametrize(
    ("target", "package", "message"),
    [
        ("torch:cuda", "torch", "finds no CUDA device here"),
        ("torch:mps", "torch", "finds no MPS device here"),
        ("jax:gpu", "jax", "no platforms that are instances of gpu are present"),
        ("tensorflow:gpu", "tensorflow", "finds no GPU here"),
    ],
)
def test_a_device_that_is_not_there_is_said(tmp_path, target, package, message):
    """A framework with the device has nothing to say, and passes."""
    pytest.importorskip(package)
    results = tmp_path / "r.jsonl"
    with pytest.raises(SystemExit) as caught:
        main(["run", target, "--select", "softplus/log_two_at_zero", "--dtype", "float32", "--results", str(results)])
    trials = read_results(results).trials
    if caught.value.code:
        assert {trial.verdict for trial in trials} == {"not run"}
        assert all(message in trial.message for trial in trials)


def test_a_gpu_is_asked_twice_unless_told_otherwise(run):
    assert trials(run("FallsBackToCpu"))["first"].differing == 0
    assert trials(run("FallsBackToCpu", options="--no-twice"))["first"].differing is None


def test_in_this_process_nothing_else_is_started(run, monkeypatch):
    """The adapter sees the process of the test, so that a debugger would see the adapter."""
    monkeypatch.setattr("conformance.targets.conversation.Worker", None)
    results = run("Raises", "FailsToStart", options="--in-process")
    assert Counter(trial.verdict for trial in results.trials) == {"pass": 4, "error": 1, "not run": 5}
    assert set(results.environments) == {"raises:cpu:eager"}


def test_in_this_process_leaving_the_debugger_ends_the_run(run, monkeypatch):
    from bdb import BdbQuit

    from conformance.adapters.numpy_reference import NumPy

    def quit_debugger(*_, **__):
        raise BdbQuit

    monkeypatch.setattr(NumPy, "_evaluate", quit_debugger)
    with pytest.raises(SystemExit) as caught:
        main(["run", "numpy", "--in-process", "--cases", "cases.yaml", "--results", "r.jsonl"])
    assert caught.value.code == 130


MANY = "loss: cross_entropy\ncases:\n" + "".join(
    f"  - {{id: c{i}, logits: {LOGITS.format(13.0 if i in (7, 33) else i / 8)}, target: [2, 3], dtypes: [float32]}}\n"
    for i in range(50)
)


def test_three_targets_of_which_two_misbehave(run):
    """One dies on every tenth answer, one hangs on some inputs, and one is sane and does not notice."""
    Path("cases.yaml").write_text(MANY)
    alone = {trial.id: trial.verdict for trial in run("Faithful").trials}
    results = run("DiesEveryTenthTime", "Hangs", "Faithful", options="--jobs 3 --timeout 1")
    verdicts = {target: {} for target in results.header.targets}
    for trial in results.trials:
        verdicts[trial.target][trial.id] = trial.verdict
    assert {target: len(found) for target, found in verdicts.items()} == dict.fromkeys(results.header.targets, 100)
    assert verdicts["faithful:cpu:eager"] == alone
    assert Counter(verdicts["dies_every_tenth_time:cpu:eager"].values()) == {"pass": 95, "crash": 5}
    hung = {name for name, verdict in verdicts["hangs:cpu:eager"].items() if verdict == "timeout"}
    assert hung == {f"cross_entropy/c{i}[hangs:cpu:eager-float32]" for i in (7, 33)}
    assert Counter(verdicts["hangs:cpu:eager"].values()) == {"pass": 98, "timeout": 2}
    crashes = {trial.message for trial in results.trials if trial.verdict == "crash"}
    assert crashes == {"the process died of SIGSEGV"}


def test_a_cap_on_restarts_still_accounts_for_every_trial(run):
    Path("cases.yaml").write_text(MANY)
    results = run("DiesEveryTenthTime", options="--restarts 2 --select *float32]")
    counts = Counter(trial.verdict for trial in results.trials)
    assert counts == {"pass": 27, "crash": 3, "not run": 20}
    (message,) = {trial.message for trial in results.trials if trial.verdict == "not run"}
    assert message == "the worker died 3 times; --restarts allows more"


def test_no_process_and_no_file_is_left(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run("LeavesThreads", "Segfaults", "Hangs", options="--timeout 1")
    assert not list(tmp_path.glob("conformance-*"))
    with contextlib.suppress(ChildProcessError):
        assert os.waitpid(-1, os.WNOHANG) == (0, 0)


def test_a_single_target_that_compiles_is_shared_by_shape(run):
    Path("cases.yaml").write_text(
        "loss: softmax\ncases:\n"
        "  - {id: a, logits: [1.0, 2.0]}\n  - {id: b, logits: [3.0, 4.0]}\n  - {id: c, logits: [1.0, 2.0, 3.0]}\n"
    )
    places = {}
    for jobs in (1, 2):
        trials = run("Compiles", options=f"--jobs {jobs}").trials
        assert len(trials) == len({trial.id for trial in trials}) == 24
        assert {trial.verdict for trial in trials} == {"pass"}
        places[jobs] = {case: {t.device for t in trials if t.case == f"softmax/{case}"} for case in "abc"}
    assert len(set.union(*places[1].values())) == 1
    assert places[2]["a"] == places[2]["b"] != places[2]["c"]
    assert all(len(place) == 1 for place in places[2].values())
