"""End to end: the command line, the workers, the verdicts, the result file and the exit status."""

from __future__ import annotations

import io
import json
import math
import os
import re
import shutil
import stat
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from conformance import __version__
from conformance.cli import MODULES, main
from conformance.errors import ResultError
from conformance.losses import LOSSES
from conformance.report.progress import Progress, waiting
from conformance.report.summary import in_short
from conformance.results.file import Writer, read_all, read_results
from conformance.results.records import Environment, Footer, Header, Trial, as_json
from conformance.targets.names import find_adapters

MINIATURES = Path(__file__).with_name("miniatures.py")
ROOT = Path(__file__).parents[1]

CASES = """
loss: cross_entropy
cases:
  - {id: plain, title: "The [b]old[/b] example [/x]", logits: &x [[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]],
     target: [2, 3], printed: 1.3644, dtypes: [float32]}
  - {id: unlucky, logits: [[13.0, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]], target: [2, 3], dtypes: [float32]}
  - {id: per_row, logits: *x, target: [2, 3], options: {reduction: none}, dtypes: [float32]}
  - {id: weighted, logits: *x, target: [2, 3], options: {weight: [1.0, 0.5, 2.0, 0.25]}, dtypes: [float32]}
  - {id: smoothed, logits: *x, target: [2, 3], options: {label_smoothing: 0.1}, dtypes: [float32]}
"""
PLANNED = 10
VALUES = {"plain", "unlucky", "per_row"}
ALL = {*VALUES, "weighted", "smoothed"}
GRADIENTS = {f"{name} gradient" for name in ALL}
WEIGHTED_OR_SMOOTHED = {"weighted", "weighted gradient", "smoothed", "smoothed gradient"}


@pytest.fixture
def conformance(tmp_path, monkeypatch, capfd):
    """Run a command in this process, in an empty folder that holds cases.yaml; gives its status and what it wrote."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "cases.yaml").write_text(CASES)

    def command(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        return Outcome(caught.value.code, *capfd.readouterr())

    return command


@pytest.fixture
def run(conformance):
    """`conformance run` with a miniature, or with a target when the name is lower-case."""

    def command(name: str, *arguments: str) -> Outcome:
        what = [name] if name.islower() else ["--adapter", f"{MINIATURES}:{name}"]
        return conformance("run", *what, "--cases", "cases.yaml", "--results", "r.jsonl", *arguments)

    return command


class Outcome:
    """Exit status and streams of a command, and the result file that it left as r.jsonl."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err
        self.results = read_results(Path("r.jsonl")) if Path("r.jsonl").is_file() else None

    def verdicts(self) -> dict[str, str]:
        """Verdict by case and output."""
        return {short(trial): trial.verdict for trial in self.results.trials}

    def failing(self) -> dict[str, str]:
        return {name: verdict for name, verdict in self.verdicts().items() if verdict not in ("pass", "unsupported")}

    def message(self, name: str = "unlucky") -> str:
        (message,) = {trial.message for trial in self.results.trials if short(trial) == name}
        return message


def short(trial: Trial) -> str:
    name = trial.case.partition("/")[2]
    return name if trial.output == "value" else f"{name} gradient"


# Exit status 0


def test_everything_passes(run):
    done = run("numpy")
    assert (done.status, done.err) == (0, "")
    assert set(done.verdicts().values()) == {"pass"}
    assert done.out.splitlines()[-2:] == [
        f"10 of 10 planned trials in {done.results.footer.seconds:.1f} s; exit status 0: "
        "everything passes, is unsupported, or is a listed deviation.",
        "Results: r.jsonl",
    ]
    assert [trial.printed for trial in done.results.trials if trial.case == "cross_entropy/plain"] == [True, None]


@pytest.mark.parametrize(
    ("name", "unsupported"),
    {
        "Faithful": set(),
        "OneUlpOff": WEIGHTED_OR_SMOOTHED,
        "OtherByteOrder": set(),
        "PrintsNoise": WEIGHTED_OR_SMOOTHED,
        "SaysStrangeThings": set(),
        "OnlyTheMean": {*WEIGHTED_OR_SMOOTHED, "per_row", "per_row gradient"},
    }.items(),
)
def test_odd_but_right(run, name, unsupported):
    done = run(name)
    assert done.status == 0
    assert {name for name, verdict in done.verdicts().items() if verdict == "unsupported"} == unsupported
    assert Counter(done.verdicts().values())["pass"] == PLANNED - len(unsupported)


def test_what_is_unsupported_is_said_by_name(run):
    done = run("OnlyTheMean")
    assert done.message("weighted") == "cross_entropy has no option weight"
    assert done.message("per_row") == "cross_entropy offers reduction only as 'mean', not 'none'"


def test_an_adapter_of_one_loss_without_a_gradient(conformance, run):
    done = run("OnlySoftmax")
    assert (done.status, set(done.verdicts().values())) == (0, {"unsupported"})
    assert (done.message("plain"), done.message("plain gradient")) == (
        "no method cross_entropy",
        "no method gradient",
    )
    Path("cases.yaml").write_text("loss: softmax\ncases: [{id: a, logits: [0.5, 1.5]}]\n")
    done = run("OnlySoftmax", "--dtype", "float32")
    assert done.verdicts() == {"a": "pass", "a gradient": "unsupported"}


def test_a_composed_use_is_recorded(run):
    done = run("ComposesTheMean")
    assert {short(trial): trial.composed for trial in done.results.trials if trial.verdict == "pass"} == {
        "plain": True,
        "plain gradient": True,
        "unlucky": True,
        "unlucky gradient": True,
        "per_row": False,
        "per_row gradient": False,
    }


def test_noise_on_both_streams_stays_out_of_the_way(run):
    done = run("PrintsNoise")
    assert "noise" not in (done.out + done.err).replace("prints_noise", "")


def test_several_targets_of_one_run(run):
    done = run("numpy", "numpy:cpu:eager", "faithful", "--adapter", f"{MINIATURES}:Faithful", "--jobs", "1")
    assert done.results.header.targets == ["numpy:cpu:eager", "faithful:cpu:eager"]
    assert Counter(trial.target for trial in done.results.trials) == dict.fromkeys(done.results.header.targets, PLANNED)


def test_only_the_adapters_that_are_given_are_tried(conformance):
    """Even when a class of the suite has the same name."""
    Path("mine.py").write_text(
        "from conformance.adapters.numpy_reference import NumPy as Base\nclass NumPy(Base):\n    name = 'mine'\n"
    )
    done = conformance("run", "--adapter", "mine.py:NumPy", "--cases", "cases.yaml", "--results", "r.jsonl")
    assert done.results.header.targets == ["mine:cpu:eager"]


@pytest.mark.parametrize(
    ("globs", "tried"),
    [
        (["*/plain"], {"plain", "plain gradient"}),
        (["cross_entropy/plain", "*/per_row"], {"plain", "plain gradient", "per_row", "per_row gradient"}),
        (["cross_entropy/plain[numpy:cpu:eager-float32]"], {"plain"}),
        (["*-gradient]", "cross_entropy/p?ain"], {"plain", *GRADIENTS}),
    ],
)
def test_select(run, globs, tried):
    done = run("numpy", *(word for glob in globs for word in ("--select", glob)))
    assert set(done.verdicts()) == tried
    assert (done.status, done.results.header.planned) == (0, len(tried))


def test_another_interpreter(run):
    done = run("numpy", "--python", f"numpy={sys.executable}", "--select", "*/plain")
    assert (done.status, len(done.results.trials)) == (0, 2)


# Exit status 1


@pytest.mark.parametrize(
    ("name", "failing", "verdict", "message"),
    [
        ("SmoothingOverKMinus1", {"smoothed"}, "mismatch", "1 of 1 elements (100.0%) outside the bound"),
        ("MeanOverNWithWeights", {"weighted"}, "mismatch", "1 of 1 elements (100.0%) outside the bound"),
        ("IgnoresUpstreamGradient", GRADIENTS, "mismatch", "8 of 8 elements (100.0%) outside the bound"),
        ("SomeUlpsOff", VALUES, "mismatch", "elements (100.0%) outside the bound"),
        (
            "ReturnsNan",
            {"unlucky"},
            "mismatch",
            "1 of 1 elements (100.0%) outside the bound, 1 of another class (NaN for a finite number)",
        ),
        ("WrongDtype", VALUES, "mismatch", "returned dtype float64, expected float32"),
        ("WrongShape", VALUES, "mismatch", "returned shape (1,"),
        ("ReturnsList", ALL | GRADIENTS, "error", "TypeError: to_numpy returned "),
        (
            "ReturnsGenerator",
            VALUES,
            "error",
            "TypeError: to_numpy returned an array of object, which is no array of numbers",
        ),
        (
            "ReturnsText",
            VALUES,
            "error",
            "TypeError: to_numpy returned an array of <U6, which is no array of numbers",
        ),
        ("Raises", {"unlucky"}, "error", "ValueError: no \\x1b[31mluck \\udc80"),
        ("LeavesPython", {"unlucky"}, "error", "SystemExit: 7"),
        ("ChangesInputs", VALUES, "error", "changed its inputs: logits"),
        ("ChangesUpstreamGradients", GRADIENTS, "error", "changed its inputs: cotangent"),
        ("UnspeakableError", {"unlucky"}, "error", "Error: (an error without words: its own text fails)"),
        ("Exits", {"unlucky"}, "crash", "the process ended with status 1\nlast\\x07 words"),
        ("Segfaults", {"unlucky"}, "crash", "the process died of SIGSEGV"),
        ("Hangs", {"unlucky"}, "timeout", "no answer within 1 s"),
    ],
)
def test_planted_faults_are_found_and_nothing_else(run, name, failing, verdict, message):
    done = run(name, "--timeout", "1" if name == "Hangs" else "60")
    assert done.status == 1
    assert done.failing() == dict.fromkeys(failing, verdict)
    assert len(done.verdicts()) == PLANNED
    assert done.results.complete
    wrong = [trial for trial in done.results.trials if short(trial) in failing]
    assert all(message in trial.message for trial in wrong)
    shown = [trial for trial in wrong if f"{verdict} {trial.case}[{trial.target}-" in done.out]
    assert shown == wrong if verdict == "mismatch" else {t.message for t in shown} == {t.message for t in wrong}
    assert "exit status 1: something failed, or a list of deviations no longer fits." in done.out


@pytest.mark.parametrize("layout", ["transposed", "strided", "sliced", "reversed", "expanded"])
def test_upstream_gradients_come_in_every_layout(run, layout):
    """The memory behind them holds something else than their elements in order."""
    cotangent = "[[1.5, 1.5], [1.5, 1.5]]" if layout == "expanded" else "[[1.5, -0.5], [0.25, 3.0]]"
    Path("cases.yaml").write_text(
        "loss: sigmoid\ncases:\n  - {id: c, logits: [[1.0, 2.0], [3.0, 5.0]], dtypes: [float64], "
        f"cotangent: {cotangent}, layout: {{cotangent: {layout}}}}}\n"
    )
    assert run("numpy").verdicts() == {"c": "pass", "c gradient": "pass"}
    assert run("ReadsUpstreamGradientsInOrder").verdicts() == {"c": "pass", "c gradient": "mismatch"}


def test_weights_come_in_other_layouts(run):
    Path("cases.yaml").write_text(
        "loss: cross_entropy\ncases:\n  - {id: c, logits: [[1.0, 2.0, 3.0]], target: [1], dtypes: [float64], "
        "options: {weight: [0.5, 2.0, 1.0]}, layout: {weight: strided}}\n"
    )
    assert run("numpy").verdicts() == {"c": "pass", "c gradient": "pass"}
    assert run("ReadsWeightsInOrder").verdicts()["c"] == "mismatch"


def test_a_mismatch_is_shown_with_its_figures(run):
    done = run("SmoothingOverKMinus1")
    (wrong,) = [trial for trial in done.results.trials if trial.verdict == "mismatch"]
    assert wrong.got == pytest.approx(1.36441495 * (1 - 0.4 / 3) + 1.38941495 * 0.4 / 3, abs=1e-6)
    assert wrong.expected == pytest.approx(1.36691494, abs=1e-7)
    assert wrong.absolute == pytest.approx(wrong.got - wrong.expected)
    assert wrong.ratio == pytest.approx(wrong.absolute / wrong.bound)
    assert wrong.ratio > 100
    assert (wrong.options, wrong.got_all) == (
        {"label_smoothing": 0.1, "reduction": "mean"},
        wrong.got,
    )
    assert f"worst: got {wrong.got!r}, expected {wrong.expected!r}" in done.out


MANY = "loss: cross_entropy\ncases:\n" + "".join(
    f"  - {{id: c{i}, logits: {{generator: constant, shape: [64, 512], value: {13 if i == 20 else 1}.0}}, "
    f"target: {{generator: constant, shape: [64, 512], value: 1.0}}, grad: false, dtypes: [float32]}}\n"
    for i in range(40)
)
"""Questions that are together larger than the pipes hold; the one in the middle is unlucky."""


@pytest.mark.parametrize(
    ("name", "verdict"), {"Exits": "crash", "Segfaults": "crash", "Hangs": "timeout", "StopsReading": "timeout"}.items()
)
def test_one_bad_trial_costs_one_trial_however_much_is_under_way(run, name, verdict):
    Path("cases.yaml").write_text(MANY)
    done = run(name, "--timeout", "2")
    assert done.failing() == {"c20": verdict}
    assert [trial.case for trial in done.results.trials] == [f"cross_entropy/c{i}" for i in range(40)]


def test_a_worker_that_keeps_dying_is_given_up(run, monkeypatch):
    monkeypatch.setattr("conformance.targets.conversation._FRUITLESS", 3)
    Path("cases.yaml").write_text(
        "loss: cross_entropy\ncases:\n"
        + "".join(f"  - {{id: c{i}, logits: [13.0], target: 0, grad: false, dtypes: [float32]}}\n" for i in range(5))
    )
    done = run("Exits")
    assert Counter(done.verdicts().values()) == {"crash": 3, "not run": 2}
    assert done.message("c4") == "the worker died 3 times without an answer in between"


LABEL_OUT_OF_RANGE = (
    "loss: cross_entropy\ncases:\n  - {id: bad_label, logits: [1.0, 2.0], target: 2, expected: error}\n"
)


@pytest.mark.parametrize(
    ("name", "status", "verdict", "message"),
    [
        ("RefusesLabelsOutOfRange", 0, "pass", "refused, as expected: IndexError: target 2 is out of bounds"),
        ("Faithful", 1, "mismatch", "an error was expected, and a result came back"),
    ],
)
def test_an_error_that_is_expected(run, name, status, verdict, message):
    Path("cases.yaml").write_text(LABEL_OUT_OF_RANGE)
    done = run(name, "--dtype", "float32")
    assert (done.status, done.verdicts(), done.message("bad_label")) == (status, {"bad_label": verdict}, message)


EXPECTING = """
loss: cross_entropy
cases:
  - {id: right, logits: [1.0, 2.0], target: 0, expected: 1.31326168751822283404899549}
  - {id: short, logits: [1.0, 2.0], target: 0, expected: 1.3132617, printed: 1.3132617}
  - {id: nan, logits: [.inf, 2.0], target: 0, expected: .nan}
  - id: wrong
    logits: [[1.0, 2.0], [3.0, 3.0], [.inf, 0.0]]
    target: [0, 1, 0]
    options: {reduction: none}
    expected: [1.3132616875182228, 1.5, .nan]
  - {id: refused, logits: [1.0, 2.0], target: 5, expected: error}
"""


def test_a_value_that_is_expected_must_be_the_one_that_comes_out(run):
    Path("cases.yaml").write_text(EXPECTING)
    done = run("Faithful")
    hint = "digits of a publication go under printed"
    assert done.status == 2
    assert done.err.splitlines() == [
        "conformance: 2 problems found:",
        f"  cases.yaml:5: expected: 1.3132617, where the value for these inputs is 1.3132616875182228; {hint}",
        f"  cases.yaml:7: expected: 1.5 at [1], where the value for these inputs is 0.6931471805599453; {hint}",
    ]
    right = EXPECTING.replace("expected: 1.3132617,", "").replace("1.5, .nan", "0.6931471805599453, .nan")
    Path("cases.yaml").write_text(right)
    assert run("RefusesLabelsOutOfRange").status == 0


@pytest.mark.parametrize(
    ("outcomes", "status", "message", "outcome"),
    [
        ("{limit: 0.5, zero: 0.0}", 0, "half: zero", "zero"),
        ("{limit: 0.5, refuses: error}", 1, "half: 0. (float32) is none of the known outcomes (limit, refuses)", "new"),
        ("{limit: 0.5, refuses: error}", 0, "half: refuses (ValueError: no \\x1b[31mluck \\udc80)", "refuses"),
    ],
)
def test_a_convention_is_observed(run, outcomes, status, message, outcome):
    logits = 13.0 if outcome == "refuses" else 0.0
    Path("cases.yaml").write_text(
        f"loss: cross_entropy\ncases:\n  - {{id: c, logits: [{logits}], target: 0, convention: half, "
        f"outcomes: {outcomes}, dtypes: [float32]}}\n"
    )
    done = run("Raises")
    assert (done.status, done.message("c"), done.results.trials[0].outcome) == (status, message, outcome)
    assert done.results.trials[0].convention == "half"


@pytest.mark.parametrize(
    "case", ["logits: [0.0], convention: half, outcomes: {limit: 0.5, nan: .nan}", "logits: [.nan], printed: 0.5"]
)
def test_a_signalling_nan_is_judged_without_a_warning(run, case):
    one = f"{{id: c, {case}, target: 0, grad: false, dtypes: [float32]}}"
    Path("cases.yaml").write_text(f"loss: cross_entropy\ncases:\n  - {one}\n")
    done = run("SignallingNaN")
    assert (done.err, len(done.results.trials)) == ("", 1)


# Exit status 3


@pytest.mark.parametrize(
    ("name", "message"),
    {
        "FailsToStart": "could not be started: RuntimeError: no device cpu here",
        "SaysNothingOfItself": "could not be started: TypeError: environment() returned NoneType, not a dict of texts",
    }.items(),
)
def test_a_framework_that_does_not_start_is_not_run(run, name, message):
    done = run(name)
    assert (done.status, set(done.verdicts().values())) == (3, {"not run"})
    assert {trial.message for trial in done.results.trials} == {message}
    assert message in done.out
    assert done.results.environments == {}


def test_a_process_that_dies_while_it_starts_is_not_run(run):
    done = run("DiesAtStart")
    assert (done.status, set(done.verdicts().values())) == (3, {"not run"})
    assert done.message() == "could not be started: the process ended with status 1 last words"


def test_one_target_that_does_not_start_leaves_the_others(run):
    done = run("numpy", "fails_to_start", "--adapter", f"{MINIATURES}:FailsToStart")
    assert done.status == 3
    assert Counter(done.results.footer.counts) == {"pass": PLANNED, "not run": PLANNED}


def test_a_failure_counts_more_than_what_was_not_run(run):
    both = ["--adapter", f"{MINIATURES}:FailsToStart", "--select", "*/plain"]
    assert run("WrongDtype", *both).status == 1


def test_a_missing_framework_is_left_out_by_default_and_not_run_when_named(run, conformance):
    done = run("NeedsWhatIsMissing")
    assert (done.status, done.results.header.planned) == (3, 0)
    assert "needs_what_is_missing: not tried, a_framework_that_nobody_has is not installed" in done.out
    done = run("needs_what_is_missing", "--adapter", f"{MINIATURES}:NeedsWhatIsMissing")
    assert (done.status, set(done.verdicts().values())) == (3, {"not run"})
    assert done.message() == (
        "could not be started: ModuleNotFoundError: No module named 'a_framework_that_nobody_has'"
    )


def test_nothing_selected_is_incomplete(run):
    done = run("numpy", "--select", "nothing/like_this")
    assert (done.status, done.results.header.planned, done.results.trials) == (3, 0, [])
    assert "0 of 0 planned trials" in done.out
    assert "nothing matches nothing/like_this; trial ids look like" in done.out


def test_slow_cases_are_spoken_of_where_they_would_have_been_tried(run):
    slow = "  - {id: slow, logits: [0.5], target: 0, tags: [slow]}\n"
    Path("cases.yaml").write_text(Path("cases.yaml").read_text() + slow)
    assert "1 slow case was left out; --slow tries all cases." in run("numpy").out
    assert "slow" not in run("numpy", "--select", "*/plain").out
    done = run("numpy", "--select", "*/slow")
    assert (done.status, "nothing but slow cases is asked for; --slow tries them" in done.out) == (3, True)


# Exit status 2


def test_an_adapter_that_is_given_must_be_tried(run):
    done = run("numpy", "--adapter", f"{MINIATURES}:Faithful")
    assert done.status == 2
    said = f"--adapter {MINIATURES}:Faithful would not be tried: name faithful among the targets, or no target"
    assert done.err == f"conformance: {said}\n"
    assert run("numpy", "faithful", "--adapter", f"{MINIATURES}:Faithful").status == 0


def test_two_adapters_of_one_name(run):
    folder = f"import sys\nsys.path.insert(0, {str(MINIATURES.parent)!r})\n"
    Path("mine.py").write_text(f"{folder}from miniatures import Faithful\n\n\nclass Same(Faithful): ...\n")
    done = run("numpy", "faithful", "--adapter", f"{MINIATURES}:Faithful", "--adapter", "mine.py:Same")
    both = f"{MINIATURES}:Faithful and {Path.cwd()}/mine.py:Same"
    assert done.status == 2
    assert f"two adapters have the name 'faithful': {both}; give one of them another `name`" in done.err


BAD_CASES = "1 problem found:\n  bad.yaml:2: cases: a list of cases is needed here, not int 3\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    {
        "run --nope": "Unknown option: --nope.",
        "runn": 'Unknown command "runn". Did you mean "run"?',
        "run numpy --timeout soon": 'Invalid value for --timeout: unable to convert "soon" into float.',
        "run numpy --timeout 0": 'Invalid value "0.0" for --timeout. Must be > 0.',
        "run numpy --dtype float8": "unknown dtype float8: the dtypes are float16, bfloat16, float32, float64",
        "run nump --cases cases.yaml": "unknown target 'nump': the adapters are cupy, jax, ",
        "run numpy:gpu --cases cases.yaml": "target 'numpy:gpu': numpy has no device 'gpu'; it has cpu",
        "run --adapter none.py:Mine": "adapter none.py:Mine: no such file none.py",
        "run numpy --python torch --cases cases.yaml": "--python torch: write ADAPTER=PATH",
        "run numpy --python numpy=none --cases cases.yaml": "--python numpy=none: no such interpreter none",
        "run numpy --cases none.yaml": "1 problem found:\n  none.yaml: no such file or folder",
        "run numpy --deviations none.yaml --cases cases.yaml": "1 problem found:\n  none.yaml: cannot be read: ",
        "run numpy --cases bad.yaml": BAD_CASES,
        "run numpy --cases cases.yaml --results cases.yaml/r": "cannot write results to cases.yaml/r: ",
        "run numpy --cases cases.yaml --results folder": "cannot write results to folder: Is a directory",
        "explain nothing --cases cases.yaml": "unknown case 'nothing'; `conformance list cases` lists them",
        "explain softmax/plain --cases cases.yaml": "unknown case 'softmax/plain'; did you mean cross_entropy/plain?",
        "report none.jsonl": "cannot read results from none.jsonl: ",
        "report cases.yaml": "cases.yaml:1: not a line of a result file: Invalid JSON",
        "list cases --cases bad.yaml": BAD_CASES,
        "list nothing": 'Unknown command "nothing"',
    }.items(),
)
def test_what_is_the_users_to_fix(conformance, arguments, message):
    Path("bad.yaml").write_text("loss: softmax\ncases: 3\n")
    Path("folder").mkdir()
    Path("conformance-results.jsonl").write_text("earlier")
    done = conformance(*arguments.split())
    assert done.status == 2
    assert done.err.startswith(f"conformance: {message}")
    assert "Traceback" not in done.out + done.err
    assert Path("conformance-results.jsonl").read_text() == "earlier"
    assert not [path for path in (*Path().iterdir(), *Path("folder").iterdir()) if path.name.startswith(".")]


def test_as_a_program(tmp_path):
    """The status and both streams are right where a shell sees them."""
    arguments = [sys.executable, "-m", "conformance", "run", "numpy", "--no-such-option"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("conformance: Unknown option: --no-such-option.")
    assert list(tmp_path.iterdir()) == []


# Lists and explanations


def test_list_cases(conformance):
    done = conformance("list", "cases", "--cases", "cases.yaml")
    assert done.out.splitlines() == [
        "cross_entropy/plain  The [b]old[/b] example [/x]",
        "cross_entropy/unlucky",
        "cross_entropy/per_row",
        "cross_entropy/weighted",
        "cross_entropy/smoothed",
    ]


def test_list_shipped_cases(conformance):
    done = conformance("list", "cases")
    assert done.status == 0
    assert "cross_entropy/worked_example  Two samples, four classes, class-index targets" in done.out.splitlines()


def test_list_targets(conformance):
    done = conformance("list", "targets", "--adapter", f"{MINIATURES}:NeedsWhatIsMissing")
    lines = done.out.splitlines()
    assert "numpy  cpu  eager" in lines
    assert "needs_what_is_missing  cpu  eager  (not installed: a_framework_that_nobody_has)" in lines
    assert [line.split()[0] for line in lines[:-1]] == list(find_adapters())


def test_list_losses(conformance):
    lines = conformance("list", "losses").out.splitlines()
    assert [line.partition("(")[0] for line in lines] == list(LOSSES)
    assert "kl_div(log_probs, target; reduction='mean', log_target=False)" in lines
    assert "sigmoid(logits)" in lines


def test_list_schema(conformance):
    assert json.loads(conformance("list", "schema").out)["title"] == "Conformance case file"


def test_version_and_help(conformance):
    assert conformance("--version").out == f"{__version__}\n"
    out = conformance("--help").out
    assert "Usage: conformance COMMAND" in out
    for commands in MODULES.values():
        for command in commands:
            assert f" {command} " in out
            assert f"Usage: conformance {command} " in conformance(command, "--help").out


def test_explain(conformance):
    adapter = ["--adapter", f"{MINIATURES}:WrongShape"]
    done = conformance("explain", "cross_entropy/plain", "--cases", "cases.yaml", *adapter)
    assert done.status == 0
    assert done.out.startswith("cross_entropy/plain  The [b]old[/b] example [/x]\n")
    for line in (
        "picked = log-probability of the target class: [-1.34253553 -1.38629436]",
        "cross_entropy = reduction mean: 1.3644149452875267",
        "published: 1.3644",
        "wrong_shape:cpu:eager mismatch: returned shape (1,), expected ()",
    ):
        assert line in done.out.splitlines()
    assert not Path("conformance-results.jsonl").exists()


def test_explain_suggests_a_case(conformance):
    done = conformance("explain", "softmax/worked_exam")
    assert done.status == 2
    assert done.err.startswith("conformance: unknown case 'softmax/worked_exam'; did you mean ")
    assert "cross_entropy/worked_example" in done.err


# The result file


def test_the_result_file_says_everything(run):
    done = run("SaysStrangeThings", "--select", "*/p*")
    header, footer = done.results.header, done.results.footer
    assert (header.schema_version, header.suite_version, header.planned) == (1, __version__, 4)
    assert header.command[0] == "conformance"
    assert header.cases["cross_entropy/plain"].title == "The [b]old[/b] example [/x]"
    assert header.cases["cross_entropy/plain"].where == "cases.yaml:4"
    assert set(header.host) == {"platform", "python", "processor", "cores"}
    assert done.results.environments == {
        "says_strange_things:cpu:eager": {"numpy": "2.0\u2028\\x85\\x1c", "build": "\N{GRINNING FACE}"}
    }
    assert (footer.judged, footer.counts, footer.stale, footer.exit_status) == (4, {"pass": 4}, [], 0)
    for trial in done.results.trials:
        assert None not in (trial.absolute, trial.relative, trial.ulp, trial.bound, trial.ratio, trial.sharp)
        assert trial.elements > 0


def test_the_digest_tells_one_set_of_cases_from_another(run):
    first = run("numpy", "--select", "*/plain").results.header.cases_digest
    again = run("numpy", "--select", "*/per_row").results.header.cases_digest
    Path("cases.yaml").write_text(CASES.replace("0.4", "0.5"))
    other = run("numpy", "--select", "*/plain").results.header.cases_digest
    assert first == again != other


def test_a_result_file_can_be_read_by_others(conformance):
    umask = os.umask(0o022)
    os.umask(umask)
    conformance("run", "numpy", "--cases", "cases.yaml", "--results", "deep/er/r.jsonl")
    assert stat.S_IMODE(Path("deep/er/r.jsonl").stat().st_mode) == 0o666 & ~umask
    assert [path.name for path in Path("deep/er").iterdir()] == ["r.jsonl"]


HEADER = Header(
    suite_version="9.8.7",
    cases_digest="abc",
    planned=2,
    targets=["numpy:cpu:eager"],
    command=["conformance"],
    started="2026-01-02T03:04:05+00:00",
    host={},
)
TRIAL = Trial(
    id="softmax/a[numpy:cpu:eager-float32]",
    case="softmax/a",
    loss="softmax",
    target="numpy:cpu:eager",
    dtype="float32",
    output="value",
    verdict="mismatch",
    message="a line\nand another \u2028 \x85 \N{GREEK SMALL LETTER PI}",
    got=math.nan,
    absolute=math.inf,
    expected=-math.inf,
    ulp=0.1,
    index=[0, 1],
    got_all=[[math.nan, 1.5]],
)
FOOTER = Footer(judged=1, counts={"mismatch": 1}, stale=["x"], seconds=0.5, exit_status=1)


@pytest.fixture
def written(tmp_path):
    """A complete result file."""
    path = tmp_path / "r.jsonl"
    with Writer(path) as writer:
        for line in (HEADER, Environment(target="numpy:cpu:eager", facts={"numpy": "2"}), TRIAL, FOOTER):
            writer.write(line)
    return path


def test_what_was_written_is_read_back(written):
    read = read_results(written)
    assert (read.header, read.footer) == (HEADER, FOOTER)
    assert read.environments == {"numpy:cpu:eager": {"numpy": "2"}}
    (trial,) = read.trials
    special = {"got": None, "got_all": None}
    assert replace(trial, **special) == replace(TRIAL, **special)
    assert math.isnan(trial.got)
    assert trial.got_all == [["NaN", 1.5]]
    assert not read.complete


def test_every_line_is_json_and_on_disk_at_once(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text("earlier")
    with Writer(path) as writer:
        assert path.read_text() == "earlier"
        for count, line in enumerate((HEADER, TRIAL, FOOTER), start=1):
            writer.write(line)
            lines = path.read_text().removesuffix("\n").split("\n")
            assert len([json.loads(text, parse_constant=pytest.fail) for text in lines]) == count


def test_a_writer_that_wrote_nothing_leaves_an_earlier_file(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text("earlier")
    with Writer(path):
        pass
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one_and_its_file_is_written(tmp_path):
    path, link = tmp_path / "r.jsonl", tmp_path / "link.jsonl"
    path.write_text("earlier")
    link.symlink_to(path)
    with Writer(link) as writer:
        writer.write(HEADER)
    assert link.is_symlink()
    assert (read_results(path).header, list(tmp_path.iterdir())) == (HEADER, [link, path])


def test_what_is_no_regular_file_is_written_as_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(reader) as read, Writer(pipe) as writer:
        writer.write(HEADER)
        writer.close()
        assert read.read() == as_json(HEADER) + "\n"
    assert pipe.is_fifo()


def test_a_device_is_for_more_than_one_run():
    with Writer(Path(os.devnull)) as one, Writer(Path(os.devnull)) as other:
        one.write(HEADER)
        other.write(HEADER)
    assert Path(os.devnull).is_char_device()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no device that is always full")
def test_a_full_disk_is_said():
    said = "cannot write results to /dev/full: No space left on device"
    with Writer(Path("/dev/full")) as writer, pytest.raises(ResultError, match=said):
        writer.write(HEADER)


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_closed_stream_is_no_hindrance(stream):
    command = f'exec "{sys.executable}" -m conformance list losses {stream}>&-'
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("cut", [1, 30, 90])
def test_a_run_that_was_killed_keeps_what_was_judged(written, cut):
    """Even when the last line is cut in the middle of a character."""
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join(lines[:3]) + lines[3][:cut])
    read = read_results(written)
    assert (len(read.trials), read.footer, read.complete) == (1, None, False)
    middle = lines[2].index("\N{GREEK SMALL LETTER PI}".encode()) + 1
    written.write_bytes(b"".join(lines[:2]) + lines[2][:middle])
    assert read_results(written).trials == []


def test_a_report_of_a_run_that_was_killed(conformance, written):
    written.write_text("\n".join(written.read_text().split("\n")[:3]))
    done = conformance("report", written)
    assert "Incomplete: the run was cut off after 1 of 2 trials." in done.out


@pytest.mark.parametrize(
    ("change", "message"),
    {
        "empty": " is empty: no run got as far as its header",
        "later": ": format 2, and this version of the suite reads format 1; "
        "read it with the version that wrote it, 9.9",
        "headless": ":1: the first line of a result file is its header",
        "two runs": ": two headers, so two files in one; join files with `conformance merge`",
        "line lost": ": its last line says 1 judged, and there are 0; lines were lost or put in after the run",
        "damaged": ":2: not a line of a result file: Invalid JSON: expected value at line 1 column 1",
        "cut header": ":1: not a line of a result file: Invalid JSON: EOF while parsing a string at line 1 column 20",
        "unknown kind": ":2: not a line of a result file: Input tag 'note' found using 'kind' does not match any of "
        "the expected tags: 'header', 'environment', 'trial', 'footer'",
    }.items(),
)
def test_a_result_file_that_cannot_be_used(written, change, message):
    lines, later = written.read_text().split("\n"), '"schema_version":2,"suite_version":"9.9"'
    changed = {
        "empty": [],
        "later": [re.sub(r'"schema_version":1,"suite_version":"[^"]*"', later, lines[0]), *lines[1:]],
        "headless": lines[1:],
        "two runs": [*lines[:-1], *lines],
        "line lost": [*lines[:2], *lines[3:]],
        "damaged": [lines[0], "damaged", *lines[2:]],
        "cut header": [lines[0][:20]],
        "unknown kind": [lines[0], '{"kind": "note"}', *lines[2:]],
    }[change]
    written.write_text("\n".join(changed))
    with pytest.raises(ResultError) as caught:
        read_results(written)
    assert str(caught.value) == f"{written}{message}"


def test_everything_that_is_wrong_with_result_files_is_said_at_once(written, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_text("damaged\n" * 12)
    written.write_text(written.read_text().replace('"verdict":"mismatch"', '"verdict":"other"'))
    with pytest.raises(ResultError) as caught:
        read_all([written, tmp_path / "none.jsonl", other])
    said = str(caught.value).splitlines()
    assert said[0].startswith(f"{written}:3: not a line of a result file: trial.verdict: Input should be 'pass'")
    assert said[1] == f"cannot read results from {tmp_path / 'none.jsonl'}: No such file or directory"
    assert (len(said), said[-1]) == (13, "... and 2 more lines")


def test_keys_of_a_later_version_are_left_alone(written):
    written.write_text(written.read_text().replace('{"kind"', '{"novelty":1,"kind"'))
    assert read_results(written).header == HEADER


def test_the_package_works_where_only_its_own_folder_is(tmp_path):
    """In the worker nothing else of ours is on the path; here the suite is started from elsewhere, too."""
    shutil.copy(MINIATURES, tmp_path / "mine.py")
    (tmp_path / "cases.yaml").write_text(CASES)
    arguments = ["run", "--adapter", "mine.py:Faithful", "--cases", "cases.yaml", "--select", "*/plain"]
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *arguments], cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert read_results(tmp_path / "conformance-results.jsonl").complete


def test_a_reader_that_has_seen_enough_ends_a_listing_quietly():
    listing = [sys.executable, "-m", "conformance", "list", "cases"]
    with subprocess.Popen(listing, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize(("module", "commands"), MODULES.items(), ids=MODULES)
def test_a_command_is_found_without_the_other_modules(module, commands):
    script = "import sys; from conformance.cli import _load, app; _load([sys.argv[1]]); print(*app, *sys.modules)"
    for command in commands:
        done = subprocess.run([sys.executable, "-c", script, command], check=True, capture_output=True, text=True)
        found = set(done.stdout.split())
        assert {command, f"conformance.cli.{module}"} <= found
        assert not {f"conformance.cli.{other}" for other in MODULES if other != module} & found


ASKING = """
import sys
import conformance.targets.stream as stream
from conformance.cli import main

def stop(chosen, limits, cache, **_):
    cache.save()
    print(*sys.modules)
    raise SystemExit

stream.asking = stop
main(["run", "numpy"])"""


PLANNING = "from conformance.plan import make_plan; make_plan(['numpy', 'torch', 'mlx']).cache.save()"


@pytest.mark.parametrize(
    ("script", "heavy"),
    [
        ("from conformance.cli import _load; _load(['--version'])", {"numpy", "execnet", "rich", "conformance.plan"}),
        ("from conformance.cli import _load; _load(['run'])", {"numpy", "rich", "pydantic", "lmdb"}),
        (ASKING, {"rich", "pydantic_core", "conformance.run"}),
        (PLANNING, {"rich", "pydantic", "ruamel"}),
    ],
)
def test_a_run_starts_without_what_only_some_need(tmp_path, script, heavy):
    """Imports are most of a short run: its first process begins before numpy, the frameworks are asked before what
    judges and prints is there, and pydantic comes when there is something to check."""
    environment = {**os.environ, "CONFORMANCE_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", f"{script}; import sys; print(*sys.modules)"]
    for _ in range(2):  # the second time cases and lists are found
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert "conformance" in (found := set(done.stdout.split()))
    assert not heavy & found


# Signs of life


@pytest.mark.parametrize(("terminal", "ci", "shown"), [(True, "", True), (True, "true", False), (False, "", False)])
def test_a_terminal_sees_that_something_goes_on_and_ci_does_not(monkeypatch, terminal, ci, shown):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with waiting("reading the cases"):
        pass
    with Progress(planned=5, done=2):
        pass
    said = sys.stderr.getvalue()
    assert ("reading the cases" in said, "2/5" in said) == (shown, shown)


@pytest.mark.parametrize(("count", "said"), [(2, "softmax/0, softmax/1"), (31, "30 of softmax, 1 of sigmoid")])
def test_names_are_listed_while_one_can_read_them(count, said):
    names = [f"softmax/{i}" for i in range(count)]
    assert in_short(names, ["softmax"] * (count - 1) + ["sigmoid"]) == said
