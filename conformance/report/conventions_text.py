"""The conventions catalogue as tables and pages for a terminal, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.report.conventions import Point, Seen
from conformance.report.quoting import quoted
from conformance.results.file import Results
from conformance.results.records import as_plain, json_of

Topics = dict[str, list[Point]]
LEGEND = (
    "Points on which libraries differ on purpose: which side each took. None of the outcomes is right or wrong. "
    "* is composed by hand, as the library has no such function; ! breaks what its documentation says; "
    "- has no such call; new is an outcome that no name fits."
)
UNDOCUMENTED = "not documented"

VERSIONS = ("torch", "jax", "optax", "tensorflow", "keras", "paddle", "mlx", "onnxruntime", "scipy", "numpy")


def cell(seen: Seen | None) -> str:
    """What a table says of a target."""
    if seen is None or not seen.observed:
        return "-"
    return f"{seen}{' *' if seen.composed else ''}{' !' if seen.broken else ''}"


def print_table(console: Console, topics: Topics, targets: list[str]) -> None:
    """A table for each topic, one row a case, one column a target."""
    for topic, points in topics.items():
        table = Table(title=topic, title_justify="left", box=None, pad_edge=False)
        for name in ("convention", "case", *targets):
            table.add_column(name, overflow="fold")
        for point in points:
            table.add_row(*map(Text, (point.info.name, point.case, *(cell(point.seen.get(t)) for t in targets))))
        console.print(table)
        console.print()
    console.print(LEGEND, highlight=False)


def print_pages(console: Console, topics: Topics, targets: list[str]) -> None:
    """Everything that is known of each case."""
    for point in (point for points in topics.values() for point in points):
        console.print(Text(f"{point.info.name}  {point.case}", style="bold"))
        for line in (*_question(point), "", *_asked(point), "", *_outcomes(point), ""):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        for target in targets:
            for line in _said(target, point.seen.get(target)):
                console.print(line, highlight=False, markup=False, soft_wrap=True)
        console.print()


def _question(point: Point) -> list[str]:
    source = f"Source: {point.about.source}" if point.about.source else ""
    return [text for text in (point.info.question, point.about.why, source) if text]


def _asked(point: Point) -> list[str]:
    given = {**point.info.inputs, **point.info.options}
    return [f"asked: {point.loss}, {point.info.asked}", *(f"{name}: {x}" for name, x in given.items())]


def _outcomes(point: Point) -> list[str]:
    return [f"outcome {name}: {meaning}" for name, meaning in point.info.outcomes.items()]


def _said(target: str, seen: Seen | None) -> Iterable[str]:
    yield f"{target}: {cell(seen)}"
    if seen is None:
        return
    if seen.note:
        yield f"    said: {quoted(seen.note)}"
    if seen.declared:
        yield f"    documented: {seen.declared.outcome}. {seen.declared.says} {seen.declared.link}"
    elif seen.observed:
        yield f"    {UNDOCUMENTED}"


def markdown(results: Results, topics: Topics, targets: list[str]) -> str:
    """The whole catalogue: a table for each topic, then a section for each convention."""
    versions = "; ".join(f"{target} {_versions(results.environments.get(target, {}))}".strip() for target in targets)
    parts = ["# Which library does what", "", LEGEND, "", f"Observed with {versions}.", ""]
    for topic, points in topics.items():
        parts += [f"## {topic}", "", _row("convention", "case", *targets), _row(*["---"] * (len(targets) + 2))]
        parts += [
            _row(f"[{p.info.name}](#{p.info.name})", f"`{p.case}`", *(cell(p.seen.get(t)) for t in targets))
            for p in points
        ]
        parts.append("")
        name = ""
        for point in points:
            parts += [] if point.info.name == name else [f"### {point.info.name}", ""]
            name = point.info.name
            parts += _section(point, targets)
    return "\n".join(parts).rstrip() + "\n"


def _versions(facts: dict[str, str]) -> str:
    return ", ".join(f"{name} {facts[name]}" for name in VERSIONS if name in facts)


def _section(point: Point, targets: list[str]) -> list[str]:
    lines = [f"**{point.info.question or point.about.title}** {point.about.why}", ""]
    lines += [f"- {line}" for line in _asked(point)] + [f"- {line}" for line in _outcomes(point)]
    lines += ["", _row("target", "observed", "documented"), _row("---", "---", "---")]
    for target in targets:
        seen = point.seen.get(target)
        if seen is not None and seen.observed:
            said = seen.declared
            documented = f"{said.outcome.replace('_', ' ')}: [{said.says}]({said.link})" if said else UNDOCUMENTED
            lines.append(_row(target, cell(seen), documented))
    return [*lines, ""]


def _row(*cells: str) -> str:
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in cells)} |"


def as_json(topics: Topics, targets: list[str]) -> str:
    """A list of the cases with everything that is known of each."""
    points = [_plain(point, targets) for points in topics.values() for point in points]
    return json_of(points, indent=2)


def _plain(point: Point, targets: list[str]) -> dict[str, Any]:
    about = {"convention": point.info.name, "case": point.case, "loss": point.loss, "why": point.about.why}
    seen = {target: point.seen[target] for target in targets if target in point.seen}
    info = as_plain(point.info)
    del info["name"]
    return {**about, **info, "targets": {target: _plain_seen(x) for target, x in seen.items()}}


def _plain_seen(seen: Seen) -> dict[str, Any]:
    declared = as_plain(seen.declared)
    return {"observed": seen.outcomes, "declared": declared, "broken": seen.broken, "composed": seen.composed}
