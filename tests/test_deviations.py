"""Known deviations: what a list excuses, what it does not, and what is wrong with a list."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from ruamel.yaml import YAML

from conformance.cli import main
from conformance.errors import DeviationError
from conformance.globs import any_glob
from conformance.judge.compare import Comparison
from conformance.judge.deviations import Deviations, Entry, list_schema_text, load_deviations
from conformance.judge.verdict import Judgement, _excuse
from conformance.plan import make_plan
from conformance.results.file import read_results

MINIATURES = Path(__file__).with_name("miniatures.py")
TRIAL = "softmax/a[torch:cuda:compile-float32]"
FACTS = {"torch": "2.5.1+cu121", "optax": "0.3.0.dev1", "numpy": "not a version", "device": "cuda", "mode": "compile"}
SHIPPED = sorted((Path(__file__).parents[1] / "adapters").glob("*.deviations.yaml"))


KEYS = "when, trials, outcome, at_most, passes, reason, issue, review"


def entry(**more) -> Entry:
    return Entry(**{"trials": [TRIAL], "reason": "It is so.", "where": "ours.yaml:3", **more})


# Which trials an entry speaks of


@pytest.mark.parametrize(
    ("glob", "matches"),
    {
        TRIAL: True,
        "*": True,
        "softmax/*": True,
        "softmax/a[torch:*-float32]": True,
        "softmax/?[torch:cuda:*]": True,
        "softmax/a": False,
        "softmax/a*gradient]": False,
        "softmax/a[torch:cuda:compile-float3?": False,
        "softmax/[a]*": False,
        "softmax/[!b]*": False,
        "softmax.a*": False,
        "oftmax/*": False,
        "softmax/a[torch:cuda:compile-float32]+": False,
    }.items(),
)
def test_globs_know_stars_and_question_marks_only(glob, matches):
    for one in (entry(trials=[glob]), entry(trials=["nothing", glob])):
        assert (Deviations([one]).find(TRIAL, {}) is one) is matches


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({}, True),
        ({"torch": ">=2.5,<3"}, True),
        ({"torch": "<2.5"}, False),
        ({"torch": "==2.5.1"}, True),
        ({"optax": "<0.3"}, False),
        ({"optax": ">=0.2"}, True),
        ({"jax": ">=0"}, False),
        ({"numpy": ">=0"}, False),
        ({"torch": ">=2", "optax": "<0.1"}, False),
        ({"platform": sys.platform}, True),
        ({"platform": "solaris"}, False),
        ({"device": "cuda"}, True),
        ({"device": "cpu"}, False),
        ({"mode": "compile"}, True),
        ({"mode": "eager", "device": "cuda"}, False),
    ],
)
def test_conditions(when, holds):
    one = entry(when=when)
    assert (Deviations([one]).find(TRIAL, FACTS) is one) is holds


def test_the_first_entry_that_applies_is_taken():
    narrow, wide = entry(trials=["softmax/b*"]), entry(trials=["*"])
    lists = Deviations([narrow, wide])
    assert lists.find(TRIAL, {}) is wide
    assert lists.find("softmax/b", {}) is narrow
    assert Deviations([narrow]).find(TRIAL, {}) is None


def test_the_first_entry_counts_however_its_globs_name_the_case():
    entries = [
        entry(trials=["softmax/b[*]"]),
        entry(trials=["softmax/?[*-float32]", "softmax/c[*]"], when={"torch": "<2"}),
        entry(trials=["softmax/a[*-float16]", TRIAL]),
        entry(trials=["*float32]"]),
    ]
    lists = Deviations(entries)
    assert lists.speaking(TRIAL) is entries[1]
    assert lists.find(TRIAL, FACTS) is entries[2]
    assert lists.matched == {1, 2}
    assert lists.find(TRIAL.replace("/a[", "/b["), FACTS) is entries[0]
    assert lists.find(TRIAL.replace("/a[", "/d["), FACTS) is entries[3]
    assert lists.stale([]) == []
    assert Deviations(entries).stale([TRIAL]) == [entries[0]]


def test_an_entry_is_stale_when_it_speaks_of_no_trial_at_all():
    used, unused, elsewhere, conditional = (
        entry(trials=[TRIAL]),
        entry(trials=["softmax/gone*"]),
        entry(trials=["kl_div/*"]),
        entry(trials=["entropy/*"], when={"torch": "<1"}),
    )
    lists = Deviations([used, unused, elsewhere, conditional])
    assert lists.find(TRIAL, FACTS) is used
    assert lists.find("entropy/a", FACTS) is None
    assert lists.stale([TRIAL, "kl_div/a", "entropy/a"]) == [unused]


# What an entry does to a verdict


def judged(verdict: str, ratio: float | None = None) -> Judgement:
    comparison = None if ratio is None else Comparison(ratio <= 1, False, "outside", ratio=ratio)
    return Judgement(verdict, "outside", comparison)


@pytest.mark.parametrize(
    ("judgement", "more", "verdict", "message"),
    [
        (judged("mismatch", 5.0), {}, "known", "outside"),
        (judged("mismatch", 5.0), {"at_most": 5}, "known", "outside"),
        (
            judged("mismatch", 5.5),
            {"at_most": 5},
            "mismatch",
            "outside (error over bound is 5.5, above the 5 listed at ours.yaml:3)",
        ),
        (
            judged("mismatch", np.inf),
            {"at_most": 1e9},
            "mismatch",
            "outside (error over bound is inf, above the 1e+09 listed at ours.yaml:3)",
        ),
        (judged("mismatch", np.inf), {}, "known", "outside"),
        (judged("mismatch"), {}, "known", "outside"),
        (judged("error"), {"outcome": "error"}, "known", "outside"),
        (judged("error"), {}, "error", "outside (listed at ours.yaml:3 as mismatch)"),
        (judged("mismatch", 5.0), {"outcome": "crash"}, "mismatch", "outside (listed at ours.yaml:3 as crash)"),
        (judged("crash"), {"outcome": "timeout"}, "crash", "outside (listed at ours.yaml:3 as timeout)"),
        (judged("timeout"), {"outcome": "timeout"}, "known", "outside"),
        (
            judged("mismatch", 5.0),
            {"reason": "todo: say why"},
            "mismatch",
            "outside (listed at ours.yaml:3, where the reason is still to be written)",
        ),
        (judged("pass", 0.5), {"reason": "TODO"}, "fixed", "passes, but is listed at ours.yaml:3"),
        (judged("pass", 0.5), {}, "fixed", "passes, but is listed at ours.yaml:3"),
        (judged("pass", 0.5), {"passes": "sometimes"}, "pass", "outside"),
        (judged("mismatch", 5.0), {"passes": "sometimes"}, "known", "outside"),
        (judged("unsupported"), {}, "unsupported", "outside"),
        (judged("not run"), {"passes": "sometimes"}, "not run", "outside"),
    ],
)
def test_what_a_list_excuses(judgement, more, verdict, message):
    excused = _excuse(judgement, entry(**more))
    assert (excused.verdict, excused.message) == (verdict, message)
    assert _excuse(judgement, None) is judgement


# In a run

CASES = """
loss: cross_entropy
cases:
  - {id: plain, logits: &x [[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]], target: [2, 3], grad: false, dtypes: [float32]}
  - {id: smoothed, logits: *x, target: [2, 3], options: {label_smoothing: 0.1}, grad: false, dtypes: [float32]}
"""
BARE_ADAPTER = """
class Mine:
    name = "mine"

    def __init__(self, device, mode): ...
    def environment(self): ...
    def to_native(self, array): ...
    def to_numpy(self, tensor): ...
    def cross_entropy(self, logits, target): ...
"""
WRONG = "cross_entropy/smoothed[smoothing_over_k_minus_1:cpu:eager-float32]"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run an adapter that smooths wrongly with a list of one's own; its status, verdicts, stale entries and output."""
    monkeypatch.chdir(tmp_path)
    Path("cases.yaml").write_text(CASES)

    def command(listed: str, *arguments: str):
        Path("ours.yaml").write_text(f"deviations:\n{listed}")
        adapter = f"{MINIATURES}:SmoothingOverKMinus1"
        given = ["--adapter", adapter, "--cases", "cases.yaml", "--deviations", "ours.yaml", "--results", "r.jsonl"]
        with pytest.raises(SystemExit) as caught:
            main(["run", *given, *arguments])
        results = read_results(Path("r.jsonl"))
        verdicts = [trial.verdict for trial in results.trials]
        return caught.value.code, verdicts, results, capsys.readouterr().out

    return command


@pytest.mark.parametrize(
    ("listed", "status", "verdicts"),
    [
        (f"  - {{trials: ['{WRONG}'], reason: r}}", 0, ["pass", "known"]),
        ("  - {trials: ['*/smoothed[*'], reason: r, at_most: 1.0e+3}", 0, ["pass", "known"]),
        ("  - {trials: ['*/smoothed[*'], reason: r, at_most: 2}", 1, ["pass", "mismatch"]),
        ("  - {trials: ['*/smoothed[*'], reason: r, outcome: error}", 1, ["pass", "mismatch"]),
        ("  - {trials: ['*/smoothed[*'], reason: r, when: {device: cuda}}", 1, ["pass", "mismatch"]),
        ("  - {trials: ['*/smoothed[*'], reason: r, when: {numpy: '>=1', device: cpu}}", 0, ["pass", "known"]),
        ("  - {trials: ['*/smoothed[*'], reason: r, when: {numpy: '<1'}}", 1, ["pass", "mismatch"]),
        ("  - {trials: ['*'], reason: r}", 1, ["fixed", "known"]),
        ("  - {trials: ['*'], reason: r, passes: sometimes}", 0, ["pass", "known"]),
        ("  []", 1, ["pass", "mismatch"]),
    ],
)
def test_a_list_in_a_run(run, listed, status, verdicts):
    done = run(listed)
    assert done[:2] == (status, verdicts)
    assert done[2].footer.stale == []


def test_what_is_known_says_why_and_where(run):
    _, _, results, out = run(f"\n  - trials: ['{WRONG}']\n    reason: Over K - 1.\n    issue: https://example.org/1\n")
    (known,) = [trial for trial in results.trials if trial.verdict == "known"]
    assert (known.reason, known.issue, known.listed) == ("Over K - 1.", "https://example.org/1", "ours.yaml:3")
    assert known.ratio > 100
    assert WRONG not in out


def test_what_is_listed_for_other_versions_only_says_so(run):
    _, _, results, out = run("  - {trials: ['*/smoothed[*'], reason: r, when: {numpy: '<1', device: cpu}}")
    (new,) = [trial for trial in results.trials if trial.verdict == "mismatch"]
    assert new.message.endswith("outside the bound (listed at ours.yaml:2 for numpy <1 and device cpu only)")
    assert (new.listed, new.reason) == ("", "")
    assert "(listed at ours.yaml:2 for numpy <1 and device cpu only)" in out


def test_an_entry_that_holds_is_not_hidden_by_one_that_does_not(run):
    older = "  - {trials: ['*'], reason: r, when: {numpy: '<1'}}\n"
    status, verdicts, results, _ = run(f"{older}  - {{trials: ['*/smoothed[*'], reason: r, at_most: 2}}")
    assert (status, verdicts) == (1, ["pass", "mismatch"])
    assert "numpy" not in "".join(trial.message for trial in results.trials)


def test_what_is_fixed_is_a_failure(run):
    status, verdicts, results, out = run("  - {trials: ['*/plain*'], reason: r}\n  - {trials: [x*], reason: r}")
    assert (status, verdicts) == (1, ["fixed", "mismatch"])
    assert results.trials[0].message == "passes, but is listed at ours.yaml:2"
    assert "fixed cross_entropy/plain[smoothing_over_k_minus_1:cpu:eager-float32]" in out


def test_a_stale_entry_fails_the_run(run):
    fine = f"  - {{trials: ['{WRONG}'], reason: r}}\n"
    status, verdicts, results, out = run(f"{fine}  - {{trials: [softmax/gone*, kl_div/gone], reason: r}}\n")
    assert (status, verdicts) == (1, ["pass", "known"])
    assert results.footer.stale == ["ours.yaml:3: softmax/gone*, kl_div/gone"]
    assert "stale deviation: ours.yaml:3: softmax/gone*, kl_div/gone matches no trial" in out


def test_an_entry_for_what_was_not_selected_is_not_stale(run):
    fine = f"  - {{trials: ['{WRONG}'], reason: r}}\n  - {{trials: ['*[torch:cuda:*'], reason: r}}\n"
    status, verdicts, results, _ = run(fine, "--select", "*/plain", "--dtype", "float32")
    assert (status, verdicts, results.footer.stale) == (0, ["pass"], [])


def test_an_entry_of_an_adapter_that_is_not_here_is_left_alone(run):
    """Another job shares the list; which trials there are for it, only its own runs know."""
    fine = f"  - {{trials: ['{WRONG}'], reason: r}}\n"
    foreign = "  - {trials: ['softmax/*[my_kernel:cpu:eager-*', 'sigmoid/*[my_kernel:*'], reason: r}\n"
    status, _, results, _ = run(fine + foreign)
    assert (status, results.footer.stale) == (0, [])
    status, _, results, _ = run(fine + foreign.replace("sigmoid/*[my_kernel", "sigmoid/*[my_*"))
    assert (status, len(results.footer.stale)) == (1, 1)


def test_an_adapter_without_devices_and_modes_has_trials_when_it_is_not_in_the_run(tmp_path):
    mine, cases, listed = (tmp_path / name for name in ("mine.py", "cases.yaml", "ours.yaml"))
    mine.write_text(BARE_ADAPTER)
    cases.write_text(CASES)
    listed.write_text("deviations:\n  - {trials: ['*/plain[mine:cpu:eager-*'], reason: r}\n")
    plan = make_plan(["numpy"], adapter_files=[f"{mine}:Mine"], case_paths=[cases], deviation_paths=[listed])
    assert plan.stale_entries == []


def test_a_review_that_is_overdue_is_a_warning(run):
    listed = f"  - {{trials: ['{WRONG}'], reason: r, review: 2020-02-01}}\n"
    status, _, results, out = run(listed)
    assert (status, results.footer.overdue) == (0, ["ours.yaml:2: its review was due on 2020-02-01"])
    assert "deviation to look at again: ours.yaml:2: its review was due on 2020-02-01" in out
    status, _, results, out = run(listed.replace("2020-02-01", "9999-12-31"))
    assert (status, results.footer.overdue) == (0, [])
    assert "look at again" not in out


# What is wrong with a list


@pytest.mark.parametrize(
    ("text", "problem"),
    {
        "- trials: [a]\n": ":1: a list of deviations is a mapping with the one key deviations",
        "": ":1: a list of deviations is a mapping with the one key deviations",
        "deviations: 3\n": ":1: a list of deviations is a mapping with the one key deviations",
        "deviations: []\nmore: 1\n": ":1: a list of deviations is a mapping with the one key deviations",
        "deviations:\n  - text\n": ":2: deviations.0: a mapping is needed, not 'text'",
        "deviations:\n  - trials: [a]\n": ":2: deviations.0.reason: missing",
        "deviations:\n  - {trials: [a], reason: ''}\n": ":2: deviations.0.reason: must not be empty",
        "deviations:\n  - {reason: r}\n": ":2: deviations.0.trials: missing",
        "deviations:\n  - {trials: [], reason: r}\n": ":2: deviations.0.trials: must not be empty",
        "deviations:\n  - {trials: a, reason: r}\n": ":2: deviations.0.trials: a valid list is needed, not 'a'",
        "deviations:\n\n\n  - {trials: [a], reason: r, colour: red}\n": ":4: deviations.0.colour: "
        f"unknown key; the keys are {KEYS}",
        "deviations:\n  - {trials: [a], reason: r, outcome: wrong}\n": ":2: deviations.0.outcome: "
        "'mismatch', 'error', 'crash' or 'timeout' is needed, not 'wrong'",
        "deviations:\n  - {trials: [a], reason: r, at_most: 0}\n": ":2: deviations.0.at_most: "
        "greater than 0 is needed, not 0",
        "deviations:\n  - trials: [a]\n    reason: r\n    at_most: -1\n": ":4: deviations.0.at_most: "
        "greater than 0 is needed, not -1",
        "deviations:\n  - {trials: [a], reason: r, passes: always}\n": ":2: deviations.0.passes: "
        "'never' or 'sometimes' is needed, not 'always'",
        "deviations:\n  - {trials: [a], reason: r, when: {torch: new}}\n": ":2: deviations.0.when: "
        "'new' is no version range for torch, such as '>=2.1,<3'",
        "deviations:\n  - {trials: [a], reason: r, when: {torch: 2.1}}\n": ":2: deviations.0.when.torch: "
        "a valid string is needed, not 2.1",
        "deviations:\n  - {trials: [a], reason: r, review: soon}\n": ":2: deviations.0.review: "
        "a valid date or datetime is needed, not 'soon'",
        "deviations:\n  - {trials: [a], reason: r,\n     review: 2027-13-45}\n": ":3: cannot be read: "
        "2027-13-45 is no date: month must be in 1..12",
        "deviations:\n  - [\n": ":3: cannot be read: "
        "while parsing a flow node expected the node content, but found '<stream end>'",
    }.items(),
)
def test_one_mistake_gives_one_line(tmp_path, text, problem):
    path = tmp_path / "ours.yaml"
    path.write_text(text)
    with pytest.raises(DeviationError) as caught:
        load_deviations([path])
    assert [str(problem) for problem in caught.value.problems] == [f"{path}{problem}"]


def test_every_mistake_of_every_list_is_said_at_once(tmp_path):
    lists = [tmp_path / name for name in ("a.yaml", "b.yaml", "missing.yaml", "c.yaml")]
    lists[0].write_text("deviations:\n  - {trials: [], colour: 1, reason: r}\n  - {trials: [a], reason: r}\n  - x\n")
    lists[1].write_text("deviations: [\n")
    lists[3].write_bytes(b"deviations: \xe9\n")
    with pytest.raises(DeviationError) as caught:
        load_deviations(lists)
    lines = [str(problem) for problem in caught.value.problems]
    assert lines[:3] == [
        f"{lists[0]}:2: deviations.0.trials: must not be empty",
        f"{lists[0]}:2: deviations.0.colour: unknown key; the keys are {KEYS}",
        f"{lists[0]}:4: deviations.2: a mapping is needed, not 'x'",
    ]
    assert [re.sub(r":.*", "", line) for line in lines[3:]] == [str(path) for path in lists[1:]]
    assert all(": cannot be read: " in line for line in lines[3:])
    assert str(caught.value).startswith("6 problems found:\n")


# The published schema


def as_json(text: str):
    return json.loads(json.dumps(YAML(typ="safe").load(text), default=str))


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(list_schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_published_schema_is_the_current_one(capsys):
    with pytest.raises(SystemExit):
        main(["list", "schema", "deviations"])
    published = Path(__file__).parents[1] / "docs" / "deviations.schema.json"
    assert published.read_text() == capsys.readouterr().out == list_schema_text()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_schema_accepts_the_shipped_lists(validator, path):
    validator.validate(as_json(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "deviations: 3",
        "deviations: []\nmore: 1",
        "deviations: [{reason: r}]",
        "deviations: [{trials: [a], reason: ''}]",
        "deviations: [{trials: [a], reason: r, where: here}]",
        "deviations: [{trials: [a], reason: r, at_most: 0}]",
        "deviations: [{trials: [a], reason: r, passes: always}]",
        "deviations: [{trials: [a], reason: r, when: {torch: 2.1}}]",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(validator, text):
    assert not validator.is_valid(as_json(text))


# The shipped lists


@pytest.fixture(scope="module")
def plan():
    return make_plan(["numpy"])


def test_there_are_shipped_lists():
    assert SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_list_loads_and_every_entry_gives_a_reason(path, plan):
    entries = load_deviations([path])
    for listed in entries:
        assert listed.reason.strip().endswith(".")
        assert listed.where.startswith(f"{path}:")
    assert path.name.replace(".deviations.yaml", ".py") in [p.name for p in path.parent.glob("*.py")]
    plan.deviations = Deviations(entries)
    assert [stale.where for stale in plan.stale_entries] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_list_speaks_of_its_own_adapter_only(path, plan):
    names = {name for name, adapter in plan.adapters.items() if adapter.deviations == path}
    for listed in load_deviations([path]):
        for glob in listed.trials:
            assert re.fullmatch(r"\S+\[(\w+):\S+", glob), glob
            assert glob.partition("[")[2].partition(":")[0] in names


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_glob_of_a_shipped_list_speaks_of_some_trial(path, plan):
    (name,) = [name for name, adapter in plan.adapters.items() if adapter.deviations == path]
    trials = [trial for trial in plan.possible_trials() if f"[{name}:" in trial]
    globs = [glob for listed in load_deviations([path]) for glob in listed.trials]
    assert [glob for glob in globs if not any(map(any_glob([glob]).fullmatch, trials))] == []


def test_the_suite_itself_has_nothing_to_excuse(plan):
    assert plan.adapters["numpy"].deviations is None
