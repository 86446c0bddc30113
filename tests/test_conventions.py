"""Conventions: how they are asked, which outcome an answer gets, what documentation declares, and the catalogue."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from conformance.casefiles.case import Question
from conformance.casefiles.load import builtin_files, load_cases
from conformance.cli import main
from conformance.errors import DeclarationError
from conformance.judge.declared import load_declarations
from conformance.judge.observe import NEW, observe
from conformance.losses import FORMATS
from conformance.report.conventions import Point
from conformance.report.conventions_text import as_json
from conformance.results.file import read_results
from conformance.results.records import CaseInfo, ConventionInfo
from conformance.targets.answer import Answer
from conformance.targets.names import find_adapters

ROOT = Path(__file__).parents[1]
MINIATURES = ROOT / "tests" / "miniatures.py"
CASES = [case for case in load_cases(builtin_files()) if case.convention]
DOCUMENTATION = (
    "https://docs.pytorch.org/docs/stable/",
    "https://docs.jax.dev/en/latest/",
    "https://optax.readthedocs.io/en/latest/api/",
    "https://www.tensorflow.org/api_docs/python/tf/",
)

# The shipped catalogue


def test_there_are_at_least_sixty_conventions():
    assert len({case.convention.name for case in CASES}) >= 60


def test_every_convention_has_a_topic_a_question_and_sides():
    assert [c.id for c in CASES if not c.convention.topic or not c.convention.question.endswith("?")] == []
    assert [c.id for c in CASES if len(c.convention.outcomes) < 2] == []


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_every_outcome_can_be_told_from_those_before_it(case):
    for dtype in case.dtypes:
        for name, outcome in case.convention.outcomes.items():
            finite = outcome.value[np.isfinite(outcome.value)] if outcome.value is not None else np.zeros(1)
            if np.all(np.abs(finite) < FORMATS[dtype].overflow):  # else the dtype does not have it
                assert observe(case.convention, dtype, example(outcome, dtype)) == name


def example(outcome, dtype):
    """An answer that shows an outcome and nothing more."""
    if outcome.error is not None:
        return Answer("error", message=f"{outcome.error or 'SomeError'}: no")
    own = FORMATS[outcome.dtype or dtype].dtype if (outcome.dtype or dtype) in FORMATS else outcome.dtype
    value = np.full(outcome.shape or (), 1234.5) if outcome.value is None else outcome.value
    return Answer("ok", array=np.asarray(value).astype(own), changed=outcome.changed)


def test_every_declaration_names_an_outcome_of_a_case_and_links_to_the_documentation():
    files = {name: adapter.declared for name, adapter in find_adapters().items() if adapter.declared}
    assert set(files) == {"torch", "jax", "optax", "tensorflow"}
    declared = load_declarations(files, CASES, complete=True)
    entries = [entry for entries in declared.by_adapter.values() for entry in entries]
    assert len(entries) >= 50
    assert [entry.where for entry in entries if not entry.link.startswith(DOCUMENTATION)] == []
    assert [entry.where for entry in entries if not entry.says.endswith(".")] == []


def test_the_documented_catalogue_is_the_current_one():
    """Made by `make conventions`."""
    text = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
    assert set(re.findall(r"(?m)^### (\w+)$", text)) == {case.convention.name for case in CASES}
    assert set(re.findall(r"(?m)^\| \[\w+\]\(#\w+\) \| `([\w/]+)`", text)) == {case.id for case in CASES}
    assert [case.id for case in CASES if f"**{case.convention.question}** {case.why}" not in text] == []
    outcomes = {f"- outcome {name}: {o}\n" for case in CASES for name, o in case.convention.outcomes.items()}
    assert sorted(line for line in outcomes if line not in text) == []
    pins = dict(re.findall(r"(?m)^(torch|jax|optax|tensorflow|numpy)(?:-cpu)?==(.*)$", read("constraints.txt")))
    assert [name for name, version in pins.items() if f"{name} {version}" not in text] == []
    assert "| new" not in text
    assert "mismatch" not in text


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


# What is asked


ODD = """
loss: cross_entropy
cases:
  - {id: odd, logits: [[0, 0]], target: [0], input_dtypes: {logits: int32, target: float16}, convention: c,
     outcomes: {other: {dtype: float32}}, dtypes: [float64]}
  - {id: column, logits: [[0.0, 0.0]], target: [[0]], options: {label_smoothing: 7}, convention: c, bare: false,
     outcomes: {nan: .nan}}
"""


def test_a_convention_may_hold_what_would_be_a_mistake_elsewhere(tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text(ODD)
    odd, column = load_cases([path])
    asked = Question(odd, "float64", "value")
    assert [x.dtype.name for x in asked.inputs.values()] == ["int32", "float16"]
    assert column.inputs["target"].shape == (1, 1)
    assert column.options["label_smoothing"] == 7


# Which outcome an answer gets


OUTCOMES = """
loss: softmax
cases:
  - id: a
    logits: [0.0, 0.0]
    convention: c
    outcomes:
      type_error: {error: TypeError}
      any_error: error
      overwritten: {changed: [logits]}
      half: {value: [0.5, 0.5], dtype: float16}
      table: {shape: [1, 2]}
      negative_zero: [-0.0, 0.0]
      zero: [0.0, 0.0]
      scalar: {value: 1.0}
"""


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer("error", message="TypeError: no"), "type_error"),
        (Answer("error", message="ValueError: no TypeError"), "any_error"),
        (Answer("ok", np.float32([7, 7]), changed=("logits",)), "overwritten"),
        (Answer("ok", np.float32([0, 0]), changed=("other",)), NEW),
        (Answer("ok", np.float16([0.5, 0.5])), "half"),
        (Answer("ok", np.float32([0.5, 0.5])), NEW),
        (Answer("ok", np.float32([[3, 4]])), "table"),
        (Answer("ok", np.float32([-0.0, 0.0])), "negative_zero"),
        (Answer("ok", np.float32([-0.0, -0.0])), "negative_zero"),
        (Answer("ok", np.float32([0.0, -0.0])), "zero"),
        (Answer("ok", np.float32(1)), "scalar"),
        (Answer("ok", np.float32([1])), NEW),
    ],
)
def test_an_answer_gets_the_first_outcome_that_it_fits(tmp_path, answer, outcome):
    path = tmp_path / "c.yaml"
    path.write_text(OUTCOMES)
    (case,) = load_cases([path])
    assert observe(case.convention, "float32", answer) == outcome


# What documentation declares, and the command


RUN = """
loss: cross_entropy
cases:
  - {id: nothing, why: "It is 0/0.", logits: [[0.0, 0.0]], target: [-100], convention: mean_of_nothing, topic: Rows,
     question: "What is the mean of nothing?", outcomes: {nan: .nan, zero: 0.0}, dtypes: [float32]}
  - {id: slope, logits: [[0.0, 0.0]], target: [0], convention: slope, output: gradient, cotangent: 2.0,
     outcomes: {twice: [[-1.0, 1.0]], once: [[-0.5, 0.5]]}, dtypes: [float32]}
  - {id: default, logits: [[0.0, 0.0]], target: [0], convention: default, bare: true,
     outcomes: {none: {shape: [1]}, mean: {shape: []}}, dtypes: [float32]}
  - {id: ordinary, logits: [[0.0, 0.0]], target: [0]}
"""
ADAPTERS = """
from conformance.adapters.numpy_reference import NumPy
from conformance.targets.contract import BFLOAT16

class Mine(NumPy):
    name = "mine"

class Plain:
    name = "plain"
    def __init__(self, device, mode): self.numpy = NumPy(device, mode)
    def environment(self): return {"plain": "2.5"}
    def to_native(self, array): return array
    def to_numpy(self, tensor): return tensor
    def cross_entropy(self, logits, target, *, reduction="mean"): return self.numpy.cross_entropy(logits, target)
"""
DECLARED = """
declared:
  - cases: ["cross_entropy/no*"]
    outcome: OUTCOME
    says: Nothing is zero.
    link: https://example.org/docs
    when: {numpy: "RANGE"}
"""


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Run a command in a folder with cases and adapters; gives its exit status and what it wrote."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    Path("cases.yaml").write_text(RUN)
    Path("mine.py").write_text(ADAPTERS)

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([*map(str, arguments)])
        return caught.value.code, *capfd.readouterr()

    return run


def declare(outcome, versions=">=1"):
    Path("mine.conventions.yaml").write_text(DECLARED.replace("OUTCOME", outcome).replace("RANGE", versions))


def conventions(command, *arguments, adapter="Mine"):
    return command("conventions", *arguments, "--cases", "cases.yaml", "--adapter", f"mine.py:{adapter}")


def test_what_breaks_the_declared_convention_is_a_mismatch(command):
    declare("zero")
    status, _, _ = command("run", "--cases", "cases.yaml", "--adapter", "mine.py:Mine", "--results", "r.jsonl")
    (trial,) = [t for t in read_results(Path("r.jsonl")).trials if t.case == "cross_entropy/nothing"]
    assert (status, trial.verdict, trial.outcome, trial.declared.outcome) == (1, "mismatch", "nan", "zero")
    assert trial.message == (
        "mean_of_nothing: nan, where the documentation says zero: Nothing is zero. (https://example.org/docs)"
    )


@pytest.mark.parametrize("declaration", [("nan",), ("zero", "<1"), None])
def test_what_keeps_to_the_declared_convention_passes(command, declaration):
    if declaration:
        declare(*declaration)
    status, _, _ = command("run", "--cases", "cases.yaml", "--adapter", "mine.py:Mine", "--results", "r.jsonl")
    results = read_results(Path("r.jsonl"))
    assert (status, {t.verdict for t in results.trials}) == (0, {"pass"})
    declared = [t.declared and t.declared.outcome for t in results.trials if t.case == "cross_entropy/nothing"]
    assert declared == ["nan" if declaration == ("nan",) else None]
    outcomes = {t.convention: t.outcome for t in results.trials if t.convention}
    assert outcomes == {"mean_of_nothing": "nan", "slope": "twice", "default": "mean"}


def test_a_declaration_must_fit_the_shipped_cases(tmp_path):
    path = tmp_path / "mine.conventions.yaml"
    path.write_text(
        "declared:\n"
        "  - {cases: [softmax/no_such], outcome: nan, says: A., link: 'https://a.org'}\n"
        "  - {cases: [softmax/no_rows], outcome: full, says: A., link: 'https://a.org'}\n"
    )
    with pytest.raises(DeclarationError) as caught:
        load_declarations({"mine": path}, CASES, complete=True)
    assert str(caught.value).splitlines()[1:] == [
        f"  {path}:2: cases: no convention matches softmax/no_such",
        f"  {path}:3: outcome: softmax/no_rows has no outcome 'full'; it has empty, error",
    ]
    assert load_declarations({"mine": path}, CASES, complete=False).find("mine", CASES[0], {}) is None


def test_everything_wrong_in_a_list_is_said_with_its_line(command):
    Path("mine.conventions.yaml").write_text("declared:\n  - {cases: [a], outcome: b, link: c, when: {numpy: new}}\n")
    status, _, error = conventions(command)
    assert status == 2
    found = re.findall(r"mine.conventions.yaml:2: declared\.0\.(\w+): ", error)
    assert sorted(found) == ["link", "says", "when"]


def test_the_table_marks_what_is_broken(command):
    declare("zero")
    status, out, _ = conventions(command)
    assert status == 1
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if "cross_entropy/" in line}
    assert rows == {
        "mean_of_nothing": ["cross_entropy/nothing", "nan", "!"],
        "slope": ["cross_entropy/slope", "twice"],
        "default": ["cross_entropy/default", "mean"],
    }


def test_a_page_says_everything(command):
    declare("nan")
    status, out, _ = conventions(command, "mean_of_nothing")
    assert status == 0
    assert out.splitlines()[:2] == ["mean_of_nothing  cross_entropy/nothing", "What is the mean of nothing?"]
    assert "target: [-100]\nignore_index: -100\n" in out.replace("reduction: mean\n", "")
    assert "outcome zero: 0.0" in out
    assert "    documented: nan. Nothing is zero. https://example.org/docs" in out


def test_an_adapter_without_bare_calls_is_not_asked_for_defaults(command):
    status, out, _ = conventions(command, "default", "slope", adapter="Plain")
    assert status == 0
    assert [line for line in out.splitlines() if line.startswith("plain:")] == ["plain:cpu:eager: -"] * 2


def test_numbers_that_json_lacks_are_texts():
    info = ConventionInfo(name="edge", inputs={"logits": [math.inf, -math.inf, math.nan, 1.5]})
    text = as_json({"Edges": [Point("softmax/edge", "softmax", info, CaseInfo(loss="softmax"))]}, [])
    (point,) = json.loads(text, parse_constant=pytest.fail)
    assert point["inputs"] == {"logits": ["Infinity", "-Infinity", "NaN", 1.5]}


def test_the_catalogue_comes_from_a_result_file_too(command):
    declare("nan")
    command("run", "--cases", "cases.yaml", "--adapter", "mine.py:Mine", "--results", "r.jsonl")
    _, out, _ = command("conventions", "--results", "r.jsonl", "--format", "json")
    (found,) = [point for point in json.loads(out) if point["convention"] == "mean_of_nothing"]
    assert found["outcomes"] == {"nan": "nan", "zero": "0.0"}
    assert found["targets"]["mine:cpu:eager"] == {
        "observed": {"nan": ["float32"]},
        "declared": {"outcome": "nan", "says": "Nothing is zero.", "link": "https://example.org/docs"},
        "broken": False,
        "composed": False,
    }
    status, out, _ = command("conventions", "mine", "--results", "r.jsonl", "--format", "markdown")
    assert status == 0
    assert "| [mean_of_nothing](#mean_of_nothing) | `cross_entropy/nothing` | nan |" in out
    assert "| mine:cpu:eager | nan | nan: [Nothing is zero.](https://example.org/docs) |" in out


def test_an_unknown_name_is_an_error(command):
    status, _, error = conventions(command, "mean_of_nothin", "torhc:cpu")
    assert status == 2
    assert error.startswith(
        "conformance: mean_of_nothin, torhc:cpu: neither a convention nor a target; the targets are"
    )
    assert error.rstrip().endswith("did you mean mean_of_nothing?")
