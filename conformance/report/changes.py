"""A diff as text, as Markdown and as annotations: regressions first, the trials of a case on a target as one entry."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from conformance.report.github import ANNOTATIONS, command
from conformance.report.markdown import capped, code, line
from conformance.report.quoting import one_line
from conformance.report.summary import counted, rest
from conformance.results.diff import KINDS, REGRESSIONS, Change, Diff

_SHOWN = 30
_HEADINGS = {
    "new failure": "New failures",
    "no longer run": "No longer run",
    "inconclusive": "Inconclusive",
    "changed outcome": "Changed outcome",
    "less accurate": "Less accurate, still within the bound or failing as before",
    "fixed": "Fixed",
    "more accurate": "More accurate",
    "missing": "Trials that are gone",
    "new": "New trials",
}
Group = list[Change]


def verdict(changes: Diff) -> str:
    """The diff in one line."""
    counts = {kind: len(changes.of(kind)) for kind in KINDS}
    said = ", ".join(_many(count, kind) for kind, count in counts.items() if count)
    regressed = "REGRESSION" if changes.of(*REGRESSIONS) else "no regression"
    return f"{regressed}: {said or 'nothing changed'}; {counted(changes.compared, 'trial')} compared"


def _many(count: int, kind: str) -> str:
    """How many changes there are of a kind; some kinds are no nouns."""
    return counted(count, kind) if kind in ("new failure", "changed outcome") else f"{count} {kind}"


def text(changes: Diff) -> str:
    """The diff as plain text."""
    lines = [verdict(changes), *(f"note: {one_line(note)}" for note in changes.notes)]
    for kind in KINDS:
        groups = _groups(changes.of(kind))
        if groups:
            lines += ["", f"{_HEADINGS[kind]} ({len(changes.of(kind))})"]
        for group in islice(groups, _SHOWN):
            figures = _figures(group[0])
            lines += [f"  {group[0].id}{_others(group)}", f"    {one_line(group[0].why)}"]
            lines += [f"    {figures}"] if figures else []
        if len(groups) > _SHOWN:
            lines.append(f"  {rest((group[0].case, group[0].target) for group in groups[_SHOWN:])}")
    return "\n".join(lines) + "\n"


def markdown(changes: Diff) -> str:
    """The diff for a job summary or a comment."""

    def parts() -> Iterator[str]:
        yield f"### Conformance: {line(verdict(changes))}\n"
        yield "".join(f"- {line(note)}\n" for note in changes.notes)
        for kind in KINDS:
            groups = _groups(changes.of(kind))
            if groups:
                heading = f"{_HEADINGS[kind]} ({len(changes.of(kind))})"
                yield f"\n#### {heading}\n\n| trial | what changed |\n| --- | --- |\n"
            for group in groups:
                why = "; ".join(filter(None, [group[0].why, _figures(group[0])]))
                yield f"| {code(group[0].id)}{line(_others(group))} | {line(why)} |\n"

    return capped(parts())


def commands(changes: Diff) -> str:
    """Workflow commands of GitHub: annotations of the worst regressions, and of what makes the diff incomplete."""
    groups = _groups(changes.of(*REGRESSIONS))
    lines = [
        command("error", f"{_HEADINGS[group[0].kind]}: {group[0].case} on {group[0].target}", _said(group))
        for group in groups[:ANNOTATIONS]
    ]
    if len(groups) > ANNOTATIONS or not changes.complete:
        lines.append(command("error", "Conformance", "\n".join([verdict(changes), *changes.notes])))
    return "".join(f"{text}\n" for text in lines)


def _said(group: Group) -> str:
    return "\n".join(filter(None, [f"{group[0].id}{_others(group)}", group[0].why, _figures(group[0])]))


def _groups(changes: list[Change]) -> list[Group]:
    """Changes by case and target, in the order of the first of each."""
    groups: dict[tuple[str, str], Group] = {}
    for change in changes:
        groups.setdefault((change.case, change.target), []).append(change)
    return list(groups.values())


def _others(group: Group) -> str:
    named = [f"{change.trial.dtype} {change.trial.output}" for change in group[1:]]
    return f" and {len(named)} more of this case: {', '.join(named)}" if named else ""


def _figures(change: Change) -> str:
    """Got and expected of a trial that fails now; empty where there are none."""
    new = change.new
    if change.kind != "new failure" or new is None or new.ratio is None:
        return ""
    place = f" at {tuple(new.index)}" if new.index else ""
    was = f", was {change.old.got!r}" if change.old is not None and change.old.index == new.index else ""
    return f"worst{place}: got {new.got!r}{was}, expected {new.expected!r}, error over bound {new.ratio:.3g}"
