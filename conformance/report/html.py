"""The HTML report: one self-contained file that opens from a disk and loads nothing.

What a reader must see is in the HTML itself. Only the table of all trials is drawn by a script, from compact JSON,
because ten thousand rows would make the page slow.
"""

from __future__ import annotations

import math
import shlex
import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from conformance.report import summary
from conformance.report.again import again
from conformance.report.conventions import catalogue
from conformance.report.write import write_text
from conformance.results.file import Results
from conformance.results.records import Trial

K = TypeVar("K", bound=Hashable)
_FAILING = ("crash", "timeout", "error", "mismatch", "fixed")
_UNTRIED = ("not run", "unsupported")
_JSON_FLOATS = {"Infinity": "inf", "-Infinity": "-inf"}


def write_html(results: Results, path: Path) -> None:
    """Write the report of a result file. Raises `ResultError` when `path` cannot be written."""
    write_text(render(results), path)


def render(results: Results) -> str:
    """The page as text."""
    trials = results.trials
    worst_first = summary.worst_first([t for t in trials if t.verdict != "pass"])
    counts = summary.verdict_counts(trials)
    detailed = [t for t in worst_first if t.verdict not in _UNTRIED]
    anchors = {trial.id: f"trial-{number}" for number, trial in enumerate(detailed)}
    return (
        _environment()
        .get_template("report.html")
        .render(
            header=results.header,
            footer=results.footer,
            results=results,
            shortfall=summary.shortfall(results),
            missing=results.header.planned - len(trials),
            judged=len(results.judged),
            tried_cases=len({t.case for t in trials}),
            meaning=summary.EXIT_MEANING,
            command=shlex.join(results.header.command),
            counts=counts,
            failing=sum(counts.get(verdict, 0) for verdict in _FAILING),
            matrix=summary.matrix(trials),
            by_target=summary.by_target(trials),
            failures=_grouped((t.verdict, t) for t in detailed if t.verdict != "known"),
            known=_grouped(((t.reason, t.issue), t) for t in detailed if t.verdict == "known"),
            untried=_grouped(((t.verdict, t.target, t.message), t) for t in worst_first if t.verdict in _UNTRIED),
            anchors=anchors,
            strips=_strips(trials),
            axis=_AXIS,
            conventions=catalogue(results),
            data=_compact(results, anchors),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("conformance.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"exact": exact, "short": short, "nested": nested, "query": urlencode, "class": _css_class}
    environment.globals |= {"again": again, "counted": summary.counted}
    return environment


def exact(x: object) -> str:
    """A value at full precision; the names of the special floats are the same wherever they come from."""
    if isinstance(x, str):
        return _JSON_FLOATS.get(x, x)
    if isinstance(x, float) and math.isnan(x):
        return "NaN"
    return "none" if x is None else repr(x)


def short(x: float | None) -> str:
    """A figure to three digits."""
    return f"{x:.3g}" if x is not None and math.isfinite(x) else exact(x)


def nested(x: Any) -> str:
    """A nested list with one row a line, its columns aligned; anything else as it is."""
    if not isinstance(x, list):
        return exact(x)
    width = max((len(exact(leaf)) for leaf in _leaves(x)), default=0)
    return _rows(x, width if isinstance(next(iter(x), None), list) else 0, 1)


def _rows(x: Any, width: int, depth: int) -> str:
    if not isinstance(x, list):
        return exact(x).rjust(width)
    deeper = any(isinstance(part, list) for part in x)
    separator = ",\n" + " " * depth if deeper else ", "
    return f"[{separator.join(_rows(part, width, depth + 1) for part in x)}]"


def _leaves(x: Any) -> Iterable[Any]:
    if isinstance(x, list):
        for part in x:
            yield from _leaves(part)
    else:
        yield x


def _css_class(verdict: str) -> str:
    return f"v-{verdict.replace(' ', '-')}"


def _grouped(pairs: Iterable[tuple[K, Trial]]) -> dict[K, list[Trial]]:
    groups: dict[K, list[Trial]] = defaultdict(list)
    for key, trial in pairs:
        groups[key].append(trial)
    return dict(groups)


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis of error over bound, from `10 ** first` to 1, in SVG units."""

    first: int = -4
    left: int = 18
    decade: int = 120
    height: int = 30
    step: int = 3

    @property
    def width(self) -> int:
        return self.x(1.0) + self.left

    def x(self, ratio: float) -> int:
        """Where a ratio lies; those below the axis lie at its left end."""
        return round(self.left + self.decade * (math.log10(max(ratio, 10.0**self.first)) - self.first))

    def ticks(self) -> list[tuple[int, str]]:
        """Positions and labels of the powers of ten."""
        powers = range(self.first, 1)
        return [(self.x(10.0**p), "1" if p == 0 else f"≤1e{p}" if p == self.first else f"1e{p}") for p in powers]


_AXIS = Axis()


@dataclass(frozen=True)
class Strip:
    """Error over bound of the passing trials of one loss on one target: the dots as one SVG path, and in figures."""

    dots: str
    measured: int
    exact: int
    median: float
    worst: float


def _strips(trials: list[Trial]) -> dict[str, dict[str, Strip]]:
    """Strips by loss, then by target; targets without a measured trial are left out."""
    measured = [t for t in trials if t.verdict == "pass" and t.ratio is not None]
    groups = _grouped(((t.loss, t.target), t) for t in measured)
    strips: dict[str, dict[str, Strip]] = defaultdict(dict)
    for (loss, target), group in groups.items():
        ratios = sorted(t.ratio for t in group if t.ratio is not None)
        strips[loss][target] = Strip(
            _dots([ratio for ratio in ratios if ratio > 0]),
            len(ratios),
            sum(ratio == 0 for ratio in ratios),
            statistics.median(ratios),
            ratios[-1],
        )
    return strips


def _dots(ratios: Iterable[float]) -> str:
    """One SVG path; dots at the same place are stacked about the middle line, as far as there is room."""
    stacked: Counter[int] = Counter()
    room = _AXIS.height // _AXIS.step - 1
    dots = []
    for ratio in ratios:
        x = _AXIS.x(ratio) // _AXIS.step * _AXIS.step
        level = stacked[x]
        stacked[x] += 1
        if level < room:
            side = 1 if level % 2 else -1
            dots.append(f"M{x} {_AXIS.height // 2 + side * ((level + 1) // 2) * _AXIS.step}h0")
    return "".join(dots)


def _compact(results: Results, anchors: dict[str, str]) -> dict[str, Any]:
    """All trials as rows of numbers into lists of the texts that repeat; `report.js` reads them."""
    cases: dict[str, int] = {}
    places: dict[tuple[str, ...], int] = {}
    messages: dict[str, int] = {"": 0}
    verdicts = list(summary.verdict_counts(results.trials))
    rows = []
    for t in summary.worst_first(results.trials):
        place = (t.id.removeprefix(t.case), t.target)
        row = [
            cases.setdefault(t.case, len(cases)),
            places.setdefault(place, len(places)),
            verdicts.index(t.verdict),
            messages.setdefault(t.message, len(messages)),
            anchors.get(t.id, ""),
            int(bool(t.sharp)) + 2 * t.composed,
        ]
        rows.append(row if t.ratio is None else [*row, short(t.ratio), short(t.ulp), exact(t.got), exact(t.expected)])
    infos = results.header.cases
    loss_of = {t.case: t.loss for t in results.trials}
    return {
        "cases": [[case, loss_of[case], infos[case].title if case in infos else ""] for case in cases],
        "places": list(places),
        "verdicts": verdicts,
        "messages": list(messages),
        "rows": rows,
    }
