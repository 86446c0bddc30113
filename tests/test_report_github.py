"""What a job on GitHub shows: the summary, the annotations and the badge."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from conformance.cli import main
from conformance.report import github, html
from conformance.report.conventions import Point, Seen
from conformance.report.conventions_text import print_pages
from conformance.report.markdown import capped, code, line
from conformance.report.quoting import quoted
from conformance.report.searching import print_outcomes
from conformance.report.terminal import print_results
from conformance.results.file import Results, Writer, read_results
from conformance.results.records import CaseInfo, ConventionInfo, Footer, Header, Options, Trial
from conformance.search.campaign import Outcome
from conformance.search.probe import Tally

TORCH = "torch:cpu:eager"
MEASURED = {"got": 1.5, "expected": 1.25, "absolute": 0.25, "relative": 0.2, "ulp": 2e6, "bound": 1e-6}


def trial(verdict: str = "pass", case: str = "softmax/a", **more: Any) -> Trial:
    given = {"id": f"{case}[{TORCH}-float32]", "case": case, "loss": "softmax", "target": TORCH, "dtype": "float32"}
    return Trial(**{**given, "output": "value", "verdict": verdict, **more})


def results(*trials: Trial, planned: int | None = None, cut: bool = False, **footer: Any) -> Results:
    header = Header(
        suite_version="1.0",
        cases_digest="abc",
        planned=len(trials) if planned is None else planned,
        targets=[TORCH],
        command=["conformance"],
        started="2026-01-02T03:04:05+00:00",
        host={},
        unavailable={"jax": "jax is not installed"},
        slow_left_out=7,
    )
    counts = Counter(t.verdict for t in trials)
    last = {"judged": len(trials), "counts": counts, "seconds": 1.0, "exit_status": 0, **footer}
    facts = {TORCH: {"torch": "2.13.0", "note": "a|b <c>"}}
    return Results(header, facts, list(trials), None if cut else Footer(**last))


def many(**counts: int) -> Results:
    return results(*(trial(v, f"softmax/{v}{i}") for v, count in counts.items() for i in range(count)))


FAILED = results(
    trial(),
    trial("mismatch", "softmax/near", ratio=1.5, message="outside", **MEASURED),
    trial("mismatch", "softmax/far", ratio=1e6, message="100.0% outside\n| <b>`x`</b> | @somebody", **MEASURED),
    trial("mismatch", "softmax/far", id="x-gradient]", output="gradient", ratio=3.0, message="outside", **MEASURED),
    trial("crash", "softmax/dies", message="signal 11"),
    trial("known", "softmax/listed"),
    exit_status=1,
    stale=["ours.yaml:3: a*"],
    overdue=["ours.yaml:9: its review was due on 2020-01-02"],
)


def test_the_summary_has_the_worst_first_and_nothing_in_it_is_markup():
    text = github.summary(FAILED)
    rows = [row.split("`")[1] for row in text.splitlines() if row.startswith("| `softmax/")]
    assert [row.partition("[")[0] for row in rows] == ["softmax/dies", "softmax/far", "softmax/near"]
    assert "6 trials: 1 pass, 1 crash, 3 mismatch, 1 known. Exit status 1: something failed" in text
    assert (
        r"| `softmax/far[torch:cpu:eager-float32]` and 1 more | mismatch: 100.0% outside / \| &lt;b&gt;\`x\`&lt;/b&gt; "
        r"\| \@somebody | 1.5 | 1.25 | 1e+06 |"
    ) in text
    assert r"| `torch:cpu:eager` | 1 | 1 | 3 | 1 |  | torch 2.13.0, note a\|b &lt;c&gt; |" in text
    assert "- `jax` was not tried: jax is not installed\n- 7 slow cases were left out\n" in text
    assert "- stale deviation, matches no trial: `ours.yaml:3: a*`" in text
    assert "- deviation to look at again: `ours.yaml:9: its review was due on 2020-01-02`" in text


def test_the_summary_of_a_run_that_was_cut_off_says_so():
    text = github.summary(results(trial(), trial("not run", "softmax/b", message="did not start"), planned=9, cut=True))
    assert "CUT OFF: the run was stopped after 2 of 9 planned trials." in text
    assert "- `torch:cpu:eager`: 1 trial, did not start" in text


def test_the_summary_fits_into_900_kilobytes():
    text = github.summary(results(*(trial("error", f"softmax/c{i}", message="é" * 999) for i in range(3000))))
    assert 850_000 < len(text.encode()) <= 900_000
    assert text.endswith("... cut here; the result file has the rest.\n")
    assert "|\n\n\n... cut here" in text


def test_parts_are_left_out_whole():
    assert capped(["ab", "cd"], 60) == "abcd"
    assert capped(["ab", "é" * 20, "cd"], 60).startswith("ab\n\n... cut")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a|b", r"a\|b"),
        ("two\nlines", "two / lines"),
        ("<script>&amp;", "&lt;script&gt;&amp;amp;"),
        ("[x](y) *z* _w_ #1 ~~", r"\[x\](y) \*z\* \_w\_ \#1 \~\~"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_texts_are_made_harmless(text, safe):
    assert line(text) == safe


def test_code_stays_in_its_cell():
    assert code("a|`b`\nc") == r"`a\|'b' c`"


def test_annotations_are_grouped_by_case_and_escaped():
    assert github.commands(FAILED).splitlines() == [
        "::error title=crash%3A softmax/dies on torch%3Acpu%3Aeager::softmax/dies[torch:cpu:eager-float32]%0Asignal 11",
        "::error title=mismatch%3A softmax/far on torch%3Acpu%3Aeager::softmax/far[torch:cpu:eager-float32]%0A"
        "100.0%25 outside%0A| <b>`x`</b> | @somebody%0Agot 1.5, expected 1.25, error over bound 1e+06%0A"
        "and 1 more: float32 gradient",
        "::error title=mismatch%3A softmax/near on torch%3Acpu%3Aeager::softmax/near[torch:cpu:eager-float32]%0A"
        "outside%0Agot 1.5, expected 1.25, error over bound 1.5",
        "::error title=Deviations that match no trial::ours.yaml:3: a*",
        "::warning title=Deviations to look at again::ours.yaml:9: its review was due on 2020-01-02",
    ]


def test_a_title_cannot_end_early():
    (said,) = github.commands(results(trial("error", "a,b::c"), exit_status=1)).splitlines()
    assert said.startswith("::error title=error%3A a%2Cb%3A%3Ac on ")


def test_annotations_are_a_handful():
    lines = github.commands(many(error=30)).splitlines()
    assert len(lines) == 9
    assert lines[-1] == "::error title=Conformance::22 more failing cases; see the job summary"


def test_what_was_not_run_is_an_error_too():
    (said,) = github.commands(results(trial("not run", message="no numpy\nhere"), exit_status=3)).splitlines()
    assert said == (
        "::error title=Conformance::NOTHING RUN: none of 1 planned trial was run. 1 trial: 1 not run. "
        "Exit status 3: nothing ran, or fewer trials than planned.%0A"
        "torch:cpu:eager: 1 trial not run, no numpy%0Ahere"
    )
    assert "CUT OFF" in github.commands(results(trial(), planned=2, cut=True))


def test_the_commonest_reasons_are_named_first():
    trials = [trial("not run", f"softmax/{i}{k}", message=f"reason {k}") for k in range(5) for i in range(k + 1)]
    (said,) = github.commands(results(trial(), *trials, exit_status=3)).splitlines()
    assert said.split("%0A")[1:] == [
        "torch:cpu:eager: 5 trials not run, reason 4",
        "torch:cpu:eager: 4 trials not run, reason 3",
        "torch:cpu:eager: 3 trials not run, reason 2",
        "and 2 more reasons; see the job summary",
    ]


def test_a_run_without_a_trial_is_an_error_and_says_why():
    empty = results(exit_status=3)
    empty.header.options = Options(select=["nothing/*", "x"])
    nothing = "NOTHING RUN: nothing matches nothing/*, x. Exit status 3: nothing ran, or fewer trials than planned."
    assert github.commands(empty) == f"::error title=Conformance::{nothing}%0Ajax was not tried: jax is not installed\n"
    assert line(nothing) in github.summary(empty)


@pytest.mark.parametrize("made", [results(exit_status=3), FAILED])
def test_all_lines_of_a_table_have_as_many_cells(made):
    tables = re.findall(r"(?:^\|.*\n)+", github.summary(made), re.MULTILINE)
    assert tables
    for table in tables:
        assert len({row.replace(r"\|", "").count("|") for row in table.splitlines()}) == 1


def in_the_terminal(made: Results) -> str:
    out = io.StringIO()
    print_results(Console(file=out, width=200), made)
    return out.getvalue()


def test_what_a_framework_says_is_not_obeyed_by_the_job():
    """The runner looks for `::` behind blanks, and for `##[` anywhere in a line."""
    said = "signal 11\n::error::ours\n  ::stop-commands::x\r\n\x1b[31mred\x9b ##[group]y"
    made = results(
        trial("crash", message=said),
        trial("error", "softmax/b", message=" ::warning::first"),
        trial("not run", "softmax/c", message=said),
    )
    made.header.unavailable = {"jax": "no\n::debug::[b]jax[/b]\x07"}
    out = in_the_terminal(made)
    assert not [row for row in out.splitlines() if row.lstrip().startswith("::")]
    assert "##[" not in out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out)
    quoted_lines = (
        "signal 11\n    | ::error::ours\n    |   ::stop-commands::x\\x0d\n    | \\x1b[31mred\\x9b ## [group]y\n"
    )
    assert f"\n    {quoted_lines}" in out
    assert "\n    |  ::warning::first\n" in out
    assert f"torch:cpu:eager: 1 trial not run, {quoted_lines}" in out
    assert "jax: not tried, no\n    | ::debug::[b]jax[/b]\\x07\n" in out
    assert "\\x1b[31mred" in github.commands(made)
    assert "\\x1b" in github.summary(made)


def test_nor_is_what_a_search_or_a_convention_tells_of_it():
    out = io.StringIO()
    searched = Outcome(TORCH, Tally(), failure="could not be started\n::error::x\x07")
    print_outcomes(Console(file=out, width=200), [searched], {"jax": "no\n::debug::y"})
    point = Point("softmax/a", "softmax", ConventionInfo(name="half"), CaseInfo(loss="softmax"))
    point.seen[TORCH] = Seen({"raises": ["float32"]}, note="ValueError\n::warning::z")
    print_pages(Console(file=out, width=200), {"Other": [point]}, [TORCH])
    assert "torch:cpu:eager: could not be started\n    | ::error::x\\x07\n" in out.getvalue()
    assert "jax: not tried, no\n    | ::debug::y\n" in out.getvalue()
    assert "    said: ValueError\n    | ::warning::z\n" in out.getvalue()


def test_lone_surrogates_are_written_as_escapes():
    assert quoted("a\udcffb") == "a\\udcffb"
    assert quoted("") == ""


def test_in_the_terminal_one_is_singular():
    made = results(trial("not run", message="why"), trial("pass", "softmax/b", differing=1), planned=2)
    made.header.slow_left_out = 1
    out = in_the_terminal(made)
    assert "torch:cpu:eager: 1 trial not run, why\n" in out
    assert "1 slow case was left out; --slow tries all cases.\n" in out
    assert "1 of the 1 trial that was tried twice did not give the same bits: softmax/b" in out
    assert "- 1 slow case was left out\n" in github.summary(made)
    assert "after 1 of 1 trial.\n" in in_the_terminal(results(trial(), cut=True))
    assert "1 of 1 planned trial in 1.0 s" in in_the_terminal(results(trial()))


@pytest.mark.parametrize(
    ("made", "message", "colour"),
    [
        (many(**{"pass": 5}), "100 % pass", "brightgreen"),
        (many(**{"pass": 5, "unsupported": 3}), "100 % pass", "brightgreen"),
        (many(**{"pass": 3999, "known": 1}), "99.97 % pass", "green"),
        (many(**{"pass": 2999, "mismatch": 1}), "99.96 % pass", "red"),
        (many(**{"pass": 99999, "crash": 1}), "99.99 % pass", "red"),
        (many(**{"pass": 1, "error": 1}), "50 % pass", "red"),
        (many(**{"pass": 99, "fixed": 1}), "99 % pass", "red"),
        (many(**{"pass": 1, "not run": 1}), "50 % pass", "lightgrey"),
        (many(**{"not run": 2}), "incomplete", "lightgrey"),
        (many(**{"unsupported": 1, "not run": 2}), "incomplete", "lightgrey"),
        (many(unsupported=3), "incomplete", "lightgrey"),
        (results(), "incomplete", "lightgrey"),
        (results(trial(), planned=2, cut=True), "incomplete", "lightgrey"),
        (results(trial(), stale=["x"]), "100 % pass", "red"),
    ],
)
def test_the_badge_never_rounds_up(made, message, colour):
    read = json.loads(github.badge(made))
    assert (read["message"], read["color"], read["isError"]) == (message, colour, colour == "red")
    assert (read["schemaVersion"], read["label"]) == (1, "loss conformance")


def test_the_command_writes_what_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with Writer(Path("r.jsonl")) as writer:
        for record in (FAILED.header, *FAILED.trials, FAILED.footer):
            writer.write(record)

    def report(*arguments: str) -> str:
        with pytest.raises(SystemExit) as caught:
            main(["report", "r.jsonl", *arguments])
        assert caught.value.code == 0
        return capsys.readouterr().out

    assert report("--markdown", "-").startswith("## Conformance of cross-entropy losses\n")
    assert report("--markdown", "s.md", "--badge", "deep/b.json") == ""
    assert Path("s.md").read_text().startswith("## Conformance")
    assert json.loads(Path("deep/b.json").read_text())["color"] == "red"
    assert report("--badge", "-") == github.badge(FAILED)
    assert report("--html", "-") == html.render(read_results(Path("r.jsonl")))
    assert report("--html", "x.html") == "Report: x.html\n"
    assert not Path("-").exists()
    assert report("--github") == github.commands(FAILED)
    assert "exit status 1" in report()


@pytest.mark.parametrize("option", ["--html", "--markdown", "--badge"])
def test_an_option_is_no_file_to_write(tmp_path, monkeypatch, capsys, option):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["report", "r.jsonl", option, "--github"])
    assert caught.value.code == 2
    assert f'"--github" for {option}. It is an option; name a file before it' in capsys.readouterr().err


def test_in_the_terminal_one_error_of_many_cases_is_shown_once():
    said = "RuntimeError: no such tensor"
    same = [trial("error", f"softmax/{name}", message=said) for name in ("a", "b", "c", "d", "e")]
    again = trial("error", "softmax/a", dtype="float64", message=said, id=f"softmax/a[{TORCH}-float64]")
    other = trial("error", "softmax/f", message="RuntimeError: another")
    elsewhere = trial("error", "sigmoid/a", loss="sigmoid", message=said)
    wrong = [trial("mismatch", f"softmax/{name}", message="outside") for name in ("g", "h")]
    out = in_the_terminal(results(*same, again, other, elsewhere, *wrong))
    shown = f"""\
error sigmoid/a[{TORCH}-float32]
    RuntimeError: no such tensor
error softmax/a[{TORCH}-float32]
    and 5 more like it, of 4 other cases: softmax/b, softmax/c, softmax/d, ...
    RuntimeError: no such tensor
error softmax/f[{TORCH}-float32]
    RuntimeError: another
mismatch softmax/g[{TORCH}-float32]
    outside
mismatch softmax/h[{TORCH}-float32]
    outside
"""
    assert shown in out
