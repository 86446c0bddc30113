"""The HTML report: what a reader must find in it, and what must not get into it."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from conformance.errors import ResultError
from conformance.report import html
from conformance.results.file import Results, Writer, read_results
from conformance.results.records import CaseInfo, Environment, Footer, Header, Options, Trial

NUMPY, TORCH = "numpy:cpu:eager", "torch:cpu:eager"
SCRIPT = "<script>alert('gotcha')</script>"
MEASURED = {"bound": 1e-6, "ratio": 0.5, "ulp": 0.25, "absolute": 5e-7, "relative": 5e-7, "got": 1.0, "expected": 1.25}


def trial(case: str = "softmax/plain", target: str = NUMPY, verdict: str = "pass", **more: Any) -> Trial:
    dtype, output = more.pop("dtype", "float32"), more.pop("output", "value")
    suffix = "-gradient" if output == "gradient" else ""
    identity = {
        "id": f"{case}[{target}-{dtype}{suffix}]",
        "case": case,
        "loss": case.partition("/")[0],
        "target": target,
    }
    return Trial(**{**identity, "dtype": dtype, "output": output, "verdict": verdict, **more})


ALL_VERDICTS = [
    trial(sharp=True, **MEASURED),
    trial(dtype="float64", sharp=False, **{**MEASURED, "ratio": 0.0}),
    trial(target=TORCH, verdict="mismatch", message="1 of 4 elements (25.0%) outside the bound", elements=4, wrong=1,
          index=[1, 2], inputs={"x": [[1.0, "-Infinity"], [0.1, 22.5]]}, options={"axis": -1}, got_all=["NaN", 0.1],
          expected_all=[0.5, 0.5], **{**MEASURED, "got": math.nan, "absolute": math.inf, "ratio": math.inf}),
    trial("softmax/far", TORCH, "mismatch", **{**MEASURED, "ratio": 7.25}),
    trial("softmax/raises", TORCH, "error", message=f"ValueError: {SCRIPT}"),
    trial("softmax/dies", TORCH, "crash", message="signal 11\nSegmentation fault"),
    trial("softmax/slow", TORCH, "timeout", message="no answer in 60 s"),
    trial("softmax/better", TORCH, "fixed", reason="was wrong", listed="ours.yaml:9", **MEASURED),
    trial("softmax/listed", TORCH, "known", reason="Not shift-invariant.", issue="https://example.org/issues/7",
          listed="ours.yaml:3", **MEASURED),
    trial("softmax/listed", TORCH, "known", dtype="float16", reason="Not shift-invariant.",
          issue="https://example.org/issues/7", listed="ours.yaml:3", **MEASURED),
    trial("kl_div/plain", TORCH, "unsupported", message="torch has no method kl_div"),
    trial("kl_div/plain", NUMPY, "not run", message="the worker did not start"),
    trial("entropy/plain", NUMPY, composed=True, **MEASURED),
    trial("entropy/edge", NUMPY, convention="all_zero", outcome="nan"),
    trial("entropy/edge", NUMPY, dtype="float64", convention="all_zero", outcome="limit"),
    trial("entropy/edge", TORCH, convention="all_zero", outcome="limit"),
]  # fmt: skip
NOT_RUN = [trial(verdict="not run", message="no numpy", dtype=dtype) for dtype in ("float32", "float64")]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")


def results(trials: list[Trial], *, planned: int | None = None, cut: bool = False, **footer: Any) -> Results:
    header = Header(
        suite_version="9.8.7",
        cases_digest="abc123digest",
        planned=len(trials) if planned is None else planned,
        targets=[NUMPY, TORCH],
        command=["conformance", "run", "--select", "soft*"],
        started="2026-01-02T03:04:05+00:00",
        host={"processor": "An Abacus"},
        unavailable={"optax": "optax is not installed"},
        cases={
            "softmax/plain": CaseInfo(
                loss="softmax", title="A plain row", why="Because.", source="https://example.org/a"
            ),
            "softmax/raises": CaseInfo(loss="softmax", title=SCRIPT, source="javascript:alert(1)"),
        },
    )
    counts = Counter(t.verdict for t in trials)
    last = {"judged": len(trials), "counts": counts, "seconds": 2.5, "exit_status": 1, **footer}
    return Results(header, {NUMPY: {"numpy": "2.0.1"}}, trials, None if cut else Footer(**last))


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and the text by element id."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(source)
        self.words = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""
        self.text += " " if tag in ("caption", "dd", "div", "dt", "h2", "li", "p", "td", "th") else ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def title(self) -> str:
        return re.findall("<title>(.*)</title>", self.source)[0]  # type: ignore[no-any-return]

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.scripts[0], parse_constant=pytest.fail)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(html.render(results(ALL_VERDICTS, stale=["ours.yaml:12: nothing/*"])))


def test_header_says_what_was_run_and_how_it_ended(page: Page) -> None:
    assert "loss-conformance 9.8.7" in page.words
    assert "2026-01-02 03:04:05 UTC" in page.words
    assert "no: 15 of 16 planned trials judged, in 2.5 s" in page.words
    assert "1: something failed, or a list of deviations no longer fits" in page.words
    assert "optax: optax is not installed" in page.words
    assert "ours.yaml:12: nothing/*" in page.words


@pytest.mark.parametrize(("verdict", "count"), sorted(Counter(t.verdict for t in ALL_VERDICTS).items()))
def test_header_counts_each_verdict_of_planned(page: Page, verdict: str, count: int) -> None:
    assert f"{verdict} {count} of 16 planned" in page.words


def test_every_trial_that_fails_or_deviates_is_listed_worst_first(page: Page) -> None:
    anchored = [a["id"] for a in page.all("details") if a.get("class") == "trial"]
    failing = [t.id for t in ALL_VERDICTS if t.verdict not in ("pass", "unsupported", "not run")]
    assert len(anchored) == len(set(anchored)) == len(failing) == 8
    assert all(identity in page.words for identity in failing)
    order = ["softmax/dies", "softmax/slow", "softmax/raises", "softmax/plain[torch", "softmax/far", "softmax/better"]
    places = [page.words.index(f"{name}", page.words.index("Failures Unfold")) for name in order]
    assert places == sorted(places)


def test_detail_of_a_mismatch(page: Page) -> None:
    for text in ("A plain row", "Because.", "1 of 4 elements (25.0%) outside the bound", "(1, 2)", "ulp"):
        assert text in page.words
    assert "[[ 1.0, -inf],\n [ 0.1, 22.5]]" in page.text
    assert "[NaN, 0.1]" in page.text
    assert "Infinity" not in page.text
    assert f"conformance run {TORCH} --select 'softmax/plain[{TORCH}-float32]'" in page.words


def test_known_deviations_are_grouped_by_reason(page: Page) -> None:
    assert len([a for a in page.all("details") if a.get("class") == "reason"]) == 1
    assert re.search(r"known \S+:cpu:eager Not shift-invariant\. 2 trials", page.words)
    assert "https://example.org/issues/7" in [a.get("href") for a in page.all("a")]


def test_matrix_cells_are_words_and_lead_to_their_trials(page: Page) -> None:
    assert "pass 2 of 2 pass worst 0.5" in page.words
    assert "crash 0 of 8 pass 1 crash 1 timeout 1 error 2 mismatch 1 fixed 2 known" in page.words
    assert "unsupported 0 of 1 pass" in page.words
    assert "pass 3 of 3 pass worst 0.5 1 composed" in page.words
    links = [a["href"] for a in page.all("a")]
    assert "#trials?loss=softmax&target=torch%3Acpu%3Aeager" in links
    assert "v-pass" not in re.findall(r'<td class="([^"]*)"><a[^>]*loss=kl_div', page.source)


def test_what_was_not_tried_is_said_with_its_reason(page: Page) -> None:
    assert f"unsupported {TORCH} 1 torch has no method kl_div" in page.words
    assert f"not run {NUMPY} 1 the worker did not start" in page.words


def test_accuracy_has_a_strip_for_each_loss_and_target(page: Page) -> None:
    labels = [a["aria-label"] for a in page.all("svg")]
    assert labels == [
        f"softmax on {NUMPY}: 2 trials, 1 exact, median 0.25, worst 0.5 of the bound",
        f"entropy on {NUMPY}: 1 trial, 0 exact, median 0.5, worst 0.5 of the bound",
    ]
    dots = [a["d"] for a in page.all("path") if a["class"] == "dots"]
    assert [len(re.findall("M", d or "")) for d in dots] == [1, 1]
    assert f"{NUMPY} 1 of 2 0 of 6" in page.words


def test_conventions_name_the_dtypes_where_they_differ(page: Page) -> None:
    assert "all zero entropy value nan float32 limit float64 limit" in page.words


def test_environment(page: Page) -> None:
    for text in ("numpy 2.0.1", "An Abacus", "conformance run --select 'soft*'", "abc123digest", "said nothing"):
        assert text in page.words


def test_compact_data_holds_every_trial(page: Page) -> None:
    data = page.data
    ids = {data["cases"][c][0] + data["places"][p][0]: data["verdicts"][v] for c, p, v, *_ in data["rows"]}
    assert ids == {t.id: t.verdict for t in ALL_VERDICTS}
    anchors = {row[4] for row in data["rows"] if row[4]}
    assert anchors == {a["id"] for a in page.all("details") if a.get("class") == "trial"}


def test_nothing_that_was_recorded_becomes_markup(page: Page) -> None:
    assert "gotcha" in page.text
    assert SCRIPT not in page.source
    assert len(page.all("script")) == 2
    assert not any((a.get("href") or "").startswith("javascript:") for a in page.all("a"))


def test_nothing_is_loaded(page: Page) -> None:
    assert not any("src" in attributes for _, attributes in page.tags)
    assert not any("href" in attributes for tag, attributes in page.tags if tag != "a")
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", page.source)
    assert "default-src 'none'" in page.source


def test_headings_and_tables_are_labelled(page: Page) -> None:
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in attributes for attributes in page.all("th"))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for a in page.all("section")} <= set(ids)


@pytest.mark.parametrize(
    ("read", "notice"),
    [
        (results(ALL_VERDICTS[:3], planned=16, cut=True), "CUT OFF: the run was stopped after 3 of 16 planned trials."),
        (results(ALL_VERDICTS[:3], planned=16), "INCOMPLETE: the run ended with 3 of 16 planned trials judged."),
        (results(ALL_VERDICTS[:3], judged=16), "DAMAGED: the file holds 3 trials, but its last line counts 16."),
        (results([], planned=16, cut=True), "CUT OFF: the run was stopped after 0 of 16 planned trials."),
        (results(ALL_VERDICTS), "INCOMPLETE: 1 of 16 planned trials was not run."),
        (results([trial(), *NOT_RUN]), "INCOMPLETE: 2 of 3 planned trials were not run."),
        (results(NOT_RUN), "NOTHING RUN: none of 2 planned trials was run."),
        (results([]), "NOTHING RUN: no trial was planned."),
    ],
)
def test_an_incomplete_run_is_said_loudly(read: Results, notice: str) -> None:
    page = Page(html.render(read))
    assert any(a.get("role") == "alert" for a in page.all("p"))
    assert notice in page.words
    assert f"Complete no: {len(read.judged)} of {read.header.planned} planned" in page.words
    assert "yes: " not in page.words
    assert f"{notice.partition(':')[0]}: " in page.title


def test_of_a_run_in_which_nothing_ran_no_number_is_the_title() -> None:
    page = Page(html.render(results(NOT_RUN)))
    assert page.title == "NOTHING RUN: cross-entropy conformance"
    assert "not run 0 of 2 pass" in page.words
    assert "None among the 0 trials judged." in page.words
    assert not re.search("before the run stopped|judged pass|not reached", page.words)


def test_globs_that_match_nothing_are_named() -> None:
    read = results([])
    read.header.options = Options(select=["softmax/x*", "kl_div/y"])
    assert "NOTHING RUN: nothing matches softmax/x*, kl_div/y." in Page(html.render(read)).words
    read.header = replace(read.header, targets=[])
    assert "NOTHING RUN: no trial was planned." in Page(html.render(read)).words


def test_cases_and_trials_are_counted_as_they_were_tried() -> None:
    """The header tells of every case that there is, also when one of them was selected."""
    read = results([trial()], exit_status=0)
    assert len(read.header.cases) == 2
    page = Page(html.render(read))
    assert f"1 case on 2 targets: {NUMPY}, {TORCH}." in page.words
    assert page.title == "0 of 1 planned trial fail: cross-entropy conformance"
    assert "yes: 1 of 1 planned trial judged" in page.words
    assert "None among the 1 trial judged." in page.words
    assert "0 cases on 2 targets" in Page(html.render(results([]))).words


def test_a_run_that_was_cut_off_has_no_exit_status_and_counts_what_is_missing() -> None:
    page = Page(html.render(results(ALL_VERDICTS[:2], planned=16, cut=True)))
    assert "Exit status none: the run did not end" in page.words
    assert "missing 14 of 16 planned" in page.words
    assert "2 of 2 judged pass" in page.words
    assert "not reached" in page.words


def test_a_complete_run_raises_no_alarm() -> None:
    page = Page(html.render(results(ALL_VERDICTS[:2], exit_status=0)))
    assert not any(a.get("role") == "alert" for a in page.all("p"))
    assert "0: everything passes" in page.words
    assert "None among the 2 trials judged." in page.words


def test_from_a_result_file(tmp_path: Path) -> None:
    made = results(ALL_VERDICTS)
    assert made.footer is not None
    with Writer(tmp_path / "r.jsonl") as writer:
        for line in (made.header, Environment(target=NUMPY, facts={"numpy": "2.0.1"}), *made.trials, made.footer):
            writer.write(line)
    html.write_html(read_results(tmp_path / "r.jsonl"), tmp_path / "new" / "folder" / "index.html")
    assert (tmp_path / "new" / "folder" / "index.html").read_text(encoding="utf-8") == html.render(made)


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match=r"cannot write the report to .*file/index\.html"):
        html.write_html(results([]), tmp_path / "file" / "index.html")


def test_ten_thousand_trials_stay_light() -> None:
    measured = {**MEASURED, "got": -1.8596476365928538e-05, "expected": -1.843246718106156e-05, "sharp": True}
    cases = [f"softmax/a_case_with_a_rather_long_name_{number}" for number in range(1250)]
    places = [(d, o) for d in ("float16", "bfloat16", "float32", "float64") for o in ("value", "gradient")]
    trials = [
        trial(case, dtype=d, output=o, **{**measured, "ratio": (k + 1) / 1251})
        for k, case in enumerate(cases)
        for d, o in places
    ]
    page = html.render(results(trials))
    assert len(Page(page).data["rows"]) == 10_000
    assert len(page) < 3_000_000


@pytest.mark.parametrize(
    ("x", "shown"),
    [
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (math.nan, "NaN"),
        ("Infinity", "inf"),
        (-math.inf, "-inf"),
        (None, "none"),
        ([], "[]"),
        ([1, 20], "[1, 20]"),
        ([[1, 20], [300, 4]], "[[  1,  20],\n [300,   4]]"),
        ([[[1]], [[2]]], "[[[1]],\n [[2]]]"),
        ("shape (8, 10): 1, 2, ...", "shape (8, 10): 1, 2, ..."),
    ],
)
def test_values_are_shown_in_full(x: object, shown: str) -> None:
    assert html.nested(x) == shown


def test_a_cell_that_is_partly_unsupported_is_no_plain_pass() -> None:
    trials = [trial("kl_div/plain"), trial("kl_div/weighted", verdict="unsupported", message="no option weight")]
    page = Page(html.render(results(trials)))
    assert "kl_div pass in part 1 of 2 pass 1 unsupported" in page.words


def test_what_is_wrong_with_the_lists_is_shown() -> None:
    page = Page(html.render(results(ALL_VERDICTS, stale=["ours.yaml:3: x*"], overdue=["ours.yaml:9: its review was"])))
    assert "Stale entries in the lists of deviations" in page.words
    assert "ours.yaml:3: x*" in page.words
    assert "Deviations to look at again ours.yaml:9: its review was" in page.words


def test_printed_it_has_no_controls() -> None:
    css = html.render(results([])).partition("@media print {")[2].partition("</style>")[0]
    assert "  nav, .controls { display: none; }\n" in css
    assert ".conventions" not in css


def in_a_browser(page: str, script: str, folder: Path, width: int = 1400) -> Any:
    """What the body of an asynchronous function returns in the page."""
    if not BROWSER:
        pytest.skip("no Chromium here")
    told = f"(async () => {{{script}}})().then(told => document.body.dataset.told = JSON.stringify(told))"
    (folder / "page.html").write_text(page.replace("</body>", f"<script>{told}</script></body>"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", f"--window-size={width},900"]
    where = [f"--user-data-dir={folder / 'browser'}", "--dump-dom", (folder / "page.html").as_uri()]
    done = subprocess.run([BROWSER, *flags, *where], capture_output=True, text=True, timeout=120, check=True)
    body = next(attributes for tag, attributes in Page(done.stdout).tags if tag == "body")
    return json.loads(body["data-told"] or "")


def test_a_link_works_as_often_as_it_is_followed(tmp_path: Path) -> None:
    script = """
        const pause = () => new Promise(done => setTimeout(done, 50));
        const cell = [...document.querySelectorAll(".matrix a")].find(a => a.href.includes("loss=softmax"));
        const seen = [];
        for (let time = 0; time < 2; time++) {
          cell.click(); await pause();
          seen.push(form.elements.loss.value);
          form.reset(); await pause();
        }
        const name = table.querySelector('a[href="#trial-0"]');
        for (let time = 0; time < 2; time++) {
          name.click(); await pause();
          seen.push(document.getElementById("trial-0").open);
          document.getElementById("trial-0").open = false;
        }
        return seen;
    """
    assert in_a_browser(html.render(results(ALL_VERDICTS)), script, tmp_path) == ["softmax", "softmax", True, True]


@pytest.mark.parametrize(("count", "found"), [(1, "1 of 1 trial found."), (2, "2 of 2 trials found.")])
def test_what_is_found_is_counted(tmp_path: Path, count: int, found: str) -> None:
    page = html.render(results(ALL_VERDICTS[:count]))
    assert in_a_browser(page, "return document.getElementById('found').textContent", tmp_path) == found


CUT_OFF = """
    const right = node => Math.round(node.getBoundingClientRect().right);
    return [...document.querySelectorAll(NODES)].filter(node => node.offsetWidth)
      .filter(node => right(node) > right(node.closest(".scroll"))).map(node => node.textContent);
"""


@pytest.mark.parametrize("width", [500, 800])
def test_captions_are_not_cut_off(tmp_path: Path, width: int) -> None:
    page = html.render(results([trial("a_loss_with_a_name_that_is_as_long_as_a_screen_is_wide" * 2, **MEASURED)]))
    assert in_a_browser(page, CUT_OFF.replace("NODES", "'caption'"), tmp_path, width) == []


def test_all_columns_of_all_trials_are_seen(tmp_path: Path) -> None:
    figures = {**MEASURED, "got": -1.8596476365928538e-05, "expected": -1.843246718106156e-05}
    page = html.render(results([trial(verdict="mismatch", message="torch.nn.functional." * 9, **figures)]))
    assert in_a_browser(page, CUT_OFF.replace("NODES", "'#table th, #table td'"), tmp_path) == []
