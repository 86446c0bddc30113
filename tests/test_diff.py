"""`conformance diff`: what is a regression, what is not, and what cannot be told."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conformance.cli import main
from conformance.report import changes
from conformance.results.diff import KINDS, diff, renamed
from conformance.results.file import Results, Writer
from conformance.results.records import CaseInfo, Environment, Footer, Header, Trial

TORCH = "torch:cpu:eager"
MEASURED = {"got": 1.0, "expected": 1.0, "absolute": 0.0, "relative": 0.0, "ulp": 0.4, "bound": 1e-6, "ratio": 0.1}


def trial(verdict: str = "pass", case: str = "softmax/a", target: str = TORCH, **more: Any) -> Trial:
    output = more.pop("output", "value")
    identity = f"{case}[{target}-float32{'-gradient' if output == 'gradient' else ''}]"
    given = {"id": identity, "case": case, "loss": case.partition("/")[0], "target": target, "dtype": "float32"}
    return Trial(**{**given, "output": output, "verdict": verdict, **more})


def off(ulp: float, verdict: str = "pass", **more: Any) -> Trial:
    """A trial with an error of some ulps, of which the bound allows 4."""
    return trial(verdict, **{**MEASURED, "ulp": ulp, "ratio": ulp / 4, **more})


def results(*trials: Trial, complete: bool = True, facts: dict[str, str] | None = None, **header: Any) -> Results:
    targets = list(dict.fromkeys(t.target for t in trials))
    given = {
        "suite_version": "1.0",
        "cases_digest": "abc",
        "planned": len(trials) + (not complete),
        "targets": targets,
        "command": ["conformance"],
        "started": "2026-01-02T03:04:05+00:00",
        "host": {"processor": "An Abacus", "platform": "Linux"},
        "cases": {t.case: CaseInfo(loss=t.loss, digest="0") for t in trials},
    }
    counts = Counter(t.verdict for t in trials)
    footer = Footer(judged=len(trials), counts=counts, seconds=1.0, exit_status=0) if complete else None
    environments = {target: facts or {"torch": "2.13.0"} for target in targets}
    return Results(Header(**{**given, **header}), environments, list(trials), footer)


def kinds(old: Results, new: Results, factor: float = 2.0) -> list[str]:
    return [change.kind for change in diff(old, new, factor).changes]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (trial("pass"), trial("pass"), None),
        (trial("pass"), trial("mismatch"), "new failure"),
        (trial("known"), trial("mismatch"), "new failure"),
        (trial("fixed"), trial("error"), "new failure"),
        (trial("unsupported"), trial("crash"), "new failure"),
        (trial("mismatch"), trial("crash"), "new failure"),
        (trial("error"), trial("timeout"), "new failure"),
        (trial("crash"), trial("timeout"), "changed outcome"),
        (trial("mismatch"), trial("error"), "changed outcome"),
        (trial("crash"), trial("mismatch"), "changed outcome"),
        (trial("pass"), trial("known"), "changed outcome"),
        (trial("mismatch"), trial("known"), "changed outcome"),
        (trial("pass"), trial("unsupported"), "no longer run"),
        (trial("known"), trial("unsupported"), "no longer run"),
        (trial("mismatch"), trial("unsupported"), "changed outcome"),
        (trial(differing=0), trial(differing=3), "changed outcome"),
        (trial(differing=3), trial(differing=2), None),
        (trial(differing=None), trial(differing=3), None),
        (trial("pass"), trial("not run"), "no longer run"),
        (trial("mismatch"), trial("not run"), "no longer run"),
        (trial("not run"), trial("not run"), None),
        (trial("not run"), trial("mismatch"), "inconclusive"),
        (trial("mismatch"), trial("pass"), "fixed"),
        (trial("known"), trial("fixed"), "fixed"),
        (trial("crash"), trial("pass"), "fixed"),
        (trial("error", message="TypeError: no"), trial("error", message="TypeError: not at all"), None),
        (trial("error", message="TypeError: no"), trial("error", message="ValueError: no"), "changed outcome"),
        (trial(outcome="nan", convention="c"), trial(outcome="zero", convention="c"), "changed outcome"),
        (
            trial(message="refused, as expected: IndexError: x"),
            trial(message="refused, as expected: RuntimeError: x"),
            "changed outcome",
        ),
        (trial("mismatch", message="1 of 2 elements"), trial("mismatch", message="2 of 2 elements"), None),
    ],
)
def test_a_change_of_verdict(old, new, kind):
    assert kinds(results(old), results(new)) == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("old", "new", "factor", "kind"),
    [
        (0.6, 3.1, 2.0, "less accurate"),
        (3.1, 0.6, 2.0, "more accurate"),
        (0.6, 1.1, 2.0, None),
        (0.6, 3.1, 6.0, None),
        (1e-9, 0.49, 2.0, None),
        (0.0, 0.9, 2.0, None),
        (0.0, 1.1, 2.0, "less accurate"),
        (2.0, math.inf, 2.0, "less accurate"),
        (math.inf, math.inf, 2.0, None),
        (math.nan, math.nan, 2.0, None),
        (math.nan, 1.0, 2.0, "more accurate"),
    ],
)
def test_accuracy_that_moved_though_the_verdict_did_not(old, new, factor, kind):
    found = diff(results(off(old)), results(off(new)), factor)
    assert [change.kind for change in found.changes] == ([kind] if kind else [])
    if kind == "less accurate" and new < 4:
        assert found.changes[0].why == f"{old:.3g} -> {new:.3g} ulp"


def test_a_failure_that_gets_worse_is_said():
    assert kinds(results(off(20, "mismatch")), results(off(2000, "mismatch"))) == ["less accurate"]


OTHER = {"cases": {"softmax/a": CaseInfo(loss="softmax", digest="1")}}


@pytest.mark.parametrize(
    ("old", "new", "change", "kind"),
    [
        (off(0.6), off(3.1), {"cases_digest": "x", **OTHER}, "inconclusive"),
        (off(0.6), off(3.1), {"cases": {"softmax/a": CaseInfo(loss="l")}}, "less accurate"),
        (trial(), trial("crash"), OTHER, "inconclusive"),
        (off(0.6), off(8, "mismatch", bound=5e-7), {}, "inconclusive"),
        (off(0.6), off(8, "mismatch", bound=5e-7, index=[1]), {}, "new failure"),
        (off(0.6), off(8, "mismatch", bound=5e-7, index=[1]), {"suite_version": "1.1"}, "inconclusive"),
        (off(0.6), off(8, "mismatch"), {"suite_version": "1.1"}, "new failure"),
        (off(0.6), off(3.1), {"host": {"processor": "A Loom"}}, "inconclusive"),
        (off(0.6), off(8, "mismatch"), {"host": {"processor": "A Loom"}}, "inconclusive"),
        (off(0.6), off(800, "mismatch"), {"host": {"processor": "A Loom"}}, "new failure"),
        (trial(), trial("mismatch", message="returned shape (1,)"), {"host": {}}, "new failure"),
        (trial(), trial("crash"), {"host": {}}, "new failure"),
        (off(8, "mismatch"), off(0.6), {"host": {}}, "inconclusive"),
        (off(0.6), off(3.1), {"facts": {"torch": "2.14.0"}}, "less accurate"),
        (off(0.6), off(3.1), {"facts": {"torch": "2.13.0", "cpu": "AVX512"}}, "inconclusive"),
    ],
)  # fmt: skip
def test_what_cannot_be_laid_to_the_framework_is_inconclusive(old, new, change, kind):
    assert kinds(results(old), results(new, **change)) == [kind]


def test_trials_that_come_and_go():
    old = results(trial(case="softmax/a"), trial(case="softmax/gone"), trial(case="softmax/unasked"))
    new = results(
        trial(case="softmax/a"),
        trial(case="softmax/added"),
        cases={"softmax/a": CaseInfo(loss="softmax"), "softmax/unasked": CaseInfo(loss="softmax")},
    )
    assert [(change.kind, change.case, change.why) for change in diff(old, new).changes] == [
        ("missing", "softmax/gone", "there is no such case any more"),
        ("missing", "softmax/unasked", "it was not asked for"),
        ("new", "softmax/added", "pass"),
    ]


def test_what_was_not_tried_before_and_fails_is_a_new_failure():
    more = results(trial(), trial("mismatch", case="softmax/added"), trial("unsupported", case="softmax/other"))
    found = diff(results(trial()), more)
    assert [(change.kind, change.case, change.why) for change in found.changes] == [
        ("new failure", "softmax/added", "not tried before -> mismatch"),
        ("new", "softmax/other", "unsupported"),
    ]
    assert kinds(results(trial(), complete=False), more) == ["inconclusive", "new"]


def test_a_framework_that_is_no_longer_there_is_a_regression():
    new = results(trial(target="numpy:cpu:eager"), unavailable={"torch": "torch is not installed"})
    found = diff(results(trial(), trial(target="numpy:cpu:eager")), new)
    assert [(change.kind, change.why) for change in found.changes] == [("no longer run", "torch is not installed")]


def test_what_an_incomplete_run_lacks_is_inconclusive():
    found = diff(results(trial(), trial(output="gradient")), results(trial(), complete=False))
    assert [change.kind for change in found.changes] == ["inconclusive"]
    assert (found.complete, found.notes) == (False, ["NEW is incomplete: 1 of 2 planned trials"])


@pytest.mark.parametrize("verdict", ["not run", "crash"])
def test_a_run_in_which_not_everything_was_run_is_incomplete(verdict):
    done = results(trial(verdict), trial("not run", output="gradient"))
    found = diff(done, done)
    assert (found.complete, found.changes) == (False, [])
    assert found.notes[0] == f"OLD is incomplete: {int(verdict == 'crash')} of 2 planned trials"


def test_a_run_of_nothing_is_incomplete():
    assert not diff(results(trial()), results()).complete


def test_what_differs_between_the_runs_is_noted():
    new = results(
        trial(), suite_version="1.1", cases_digest="x", host={"processor": "A Loom"}, facts={"torch": "2.14.0"}
    )
    assert diff(results(trial()), new).notes == [
        "suite 1.0 -> 1.1",
        "the cases are not the same",
        "processor An Abacus -> A Loom: small changes of error are inconclusive",
        "platform Linux -> unknown: small changes of error are inconclusive",
        "torch:cpu:eager: torch 2.13.0 -> 2.14.0",
    ]


@pytest.mark.parametrize(
    ("names", "target"),
    [
        ({"torch": "fork"}, "fork:cpu:eager"),
        ({"torch:cpu": "fork:cuda"}, "fork:cuda:eager"),
        ({"torch:cpu:eager": "a:b:c"}, "a:b:c"),
        ({"tor": "x"}, TORCH),
    ],
)
def test_targets_of_other_names_are_compared(names, target):
    new = results(trial("mismatch", target=target), trial(target=target, output="gradient"))
    found = diff(renamed(results(trial(), trial(output="gradient")), names), new)
    assert [(change.kind, change.id) for change in found.changes] == [("new failure", f"softmax/a[{target}-float32]")]


# The command


def write(path: str, made: Results) -> None:
    with Writer(Path(path)) as writer:
        writer.write(made.header)
        for target, facts in made.environments.items():
            writer.write(Environment(target=target, facts=facts))
        for line in (*made.trials, *filter(None, [made.footer])):
            writer.write(line)


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(old: Results, new: Results, *arguments: str) -> tuple[int, str, str]:
        write("old.jsonl", old)
        write("new.jsonl", new)
        with pytest.raises(SystemExit) as caught:
            main(["diff", "old.jsonl", "new.jsonl", *arguments])
        return caught.value.code, *capsys.readouterr()

    return call


GOOD = results(off(0.6), off(0.5, output="gradient"), trial(case="softmax/b"))
BAD = results(
    off(80, "mismatch", message="1 of 1 elements\noutside | the `bound`", got=1.5, index=[2]),
    off(8, "mismatch", output="gradient", message="outside"),
    trial("not run", case="softmax/b", message="did not start"),
)


def test_a_regression_is_status_1_and_comes_first(command):
    status, out, _ = command(GOOD, BAD)
    assert status == 1
    assert out.splitlines() == [
        "REGRESSION: 2 new failures, 1 no longer run; 3 trials compared",
        "note: NEW is incomplete: 2 of 3 planned trials",
        "",
        "New failures (2)",
        "  softmax/a[torch:cpu:eager-float32] and 1 more of this case: float32 gradient",
        "    pass -> mismatch: 1 of 1 elements / outside | the `bound`",
        "    worst at (2,): got 1.5, expected 1.0, error over bound 20",
        "",
        "No longer run (1)",
        "  softmax/b[torch:cpu:eager-float32]",
        "    pass -> not run: did not start",
    ]


def test_control_characters_and_marks_of_commands_are_shown_not_obeyed():
    said = "outside\n::error::x\x1b[31m ##[group]y"
    text = changes.text(diff(results(trial()), results(trial("mismatch", message=said))))
    assert "    pass -> mismatch: outside / ::error::x\\x1b[31m ## [group]y\n" in text


def test_no_regression_is_status_0(command):
    assert command(BAD, BAD)[0] == 3, "some of it was not run"
    ran = results(*BAD.trials[:2])
    assert command(ran, ran)[:2] == (0, "no regression: nothing changed; 2 trials compared\n")
    status, out, _ = command(
        results(off(8, "mismatch"), off(0.6, output="gradient")), results(off(1), off(3, output="gradient"))
    )
    assert (status, out.splitlines()[0]) == (0, "no regression: 1 less accurate, 1 fixed; 2 trials compared")
    assert command(results(off(0.6)), results(off(3.1)), "--factor", "6")[1].startswith(
        "no regression: nothing changed"
    )


def test_an_incomplete_run_is_status_3_unless_it_shows_a_regression(command):
    status, out, _ = command(GOOD, results(off(0.6), complete=False))
    assert status == 3
    assert "note: NEW is incomplete: 1 of 2 planned trials" in out
    assert command(GOOD, results(trial("crash"), complete=False))[0] == 1


def test_a_dash_is_standard_output(command):
    assert command(GOOD, BAD, "--output", "-")[1] == command(GOOD, BAD)[1]


def test_markdown(command):
    _, out, _ = command(GOOD, BAD, "--format", "markdown")
    assert out.splitlines()[0] == "### Conformance: REGRESSION: 2 new failures, 1 no longer run; 3 trials compared"
    assert "| `softmax/a[torch:cpu:eager-float32]` and 1 more of this case: float32 gradient | " in out
    assert r"pass -&gt; mismatch: 1 of 1 elements / outside \| the \`bound\`; worst" in out


def test_json_to_a_file(command):
    status, out, _ = command(GOOD, BAD, "--format", "json", "--output", "deep/er/diff.json")
    read = json.loads(Path("deep/er/diff.json").read_text())
    assert (status, out, read["compared"]) == (1, "", 3)
    assert [change["kind"] for change in read["changes"]] == ["new failure", "new failure", "no longer run"]
    assert (read["changes"][0]["old"]["ulp"], read["changes"][0]["new"]["ulp"]) == (0.6, 80)


def test_rename(command):
    other = results(*(trial(t.verdict, t.case, "fork:cpu:eager", output=t.output) for t in GOOD.trials))
    status, _, err = command(GOOD, other)
    assert status == 2
    assert err == (
        "conformance: no trial is in both files: old.jsonl has torch:cpu:eager and new.jsonl has fork:cpu:eager; "
        "--rename OLD=NEW pairs targets\n"
    )
    assert command(GOOD, other, "--rename", "torch=fork")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rename", "torch"], "--rename torch: write OLD=NEW, such as torch-fork=torch"),
        (["--rename", "tor=x"], "--rename tor=x: old.jsonl has no target tor; it has torch:cpu:eager"),
        (["--factor", "1"], 'Invalid value "1.0" for --factor. Must be > 1.'),
        (["--format", "xml"], "Invalid value"),
        (["--output", "old.jsonl/x"], "cannot write the report to old.jsonl/x: "),
    ],
)
def test_what_is_the_users_to_fix(command, arguments, message):
    status, _, err = command(GOOD, GOOD, *arguments)
    assert status == 2
    assert err.startswith(f"conformance: {message}")


def test_an_unreadable_file(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["diff", str(tmp_path / "a"), str(tmp_path / "b")])
    assert (caught.value.code, capsys.readouterr().err[:39]) == (
        2,
        "conformance: cannot read results from " + str(tmp_path)[0],
    )


def test_many_changes_are_counted_by_loss_and_fit_a_job_summary():
    old = results(*(trial(case=f"softmax/c{i}") for i in range(9000)))
    new = results(*(trial("error", case=f"softmax/c{i}", message="é" * 100) for i in range(9000)))
    found = diff(old, new)
    text = changes.text(found)
    assert text.count("pass -> error") == 30
    assert f"  ... and 8970 more: 8970 of softmax on {TORCH}\n" in text
    markdown = changes.markdown(found)
    assert 850_000 < len(markdown.encode()) <= 900_000
    assert markdown.endswith("cut here; the result file has the rest.\n")


def test_what_does_not_fit_is_named_while_one_can_read_it():
    found = diff(results(), results(*(trial("error", case=f"softmax/c{i:02}") for i in range(32))))
    assert f"  ... and 2 more: softmax/c30 on {TORCH}, softmax/c31 on {TORCH}\n" in changes.text(found)


def test_every_kind_has_a_heading():
    assert set(changes._HEADINGS) == set(KINDS)
