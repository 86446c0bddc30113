"""What a job on GitHub shows of a run: a summary page, a handful of annotations, and a badge. Nothing is posted."""

from __future__ import annotations

import json
from collections.abc import Iterator

from conformance.report.markdown import capped, code, line
from conformance.report.quoting import printable
from conformance.report.summary import (
    EXIT_MEANING,
    by_target,
    counted,
    not_run,
    shortfall,
    slow_left_out,
    verdict_counts,
    worst_first,
)
from conformance.results.file import Results
from conformance.results.records import Trial

_FAILING = ("crash", "timeout", "error", "mismatch", "fixed")
ANNOTATIONS = 8
"""GitHub shows ten of a step."""
_REASONS = 3
"""Reasons that an annotation names of trials that were not run."""


def summary(results: Results) -> str:
    """The job summary: how it ended, a table by target, then every failing case, the worst first."""

    def parts() -> Iterator[str]:
        yield f"## Conformance of cross-entropy losses\n\n{line(_outcome(results))}\n\n"
        yield from _table(results)
        yield from (f"- {code(name)} was not tried: {line(why)}\n" for name, why in results.header.unavailable.items())
        if results.header.slow_left_out:
            yield f"- {slow_left_out(results)}\n"
        yield from _lists(results)
        failing = _failing(results)
        if failing:
            yield "\n### Failures, the worst first\n\n"
            yield _line("trial", "why", "got", "expected", "error/bound")
            yield _line("---", "---", "---:", "---:", "---:")
        yield from (_row(group) for group in failing)
        left = not_run(results.trials)
        if left:
            yield "\n### Not run\n\n"
        yield from (
            f"- {code(target)}: {counted(count, 'trial')}, {line(why)}\n" for (target, why), count in left.items()
        )

    return capped(parts())


def commands(results: Results) -> str:
    """Workflow commands: annotations of the worst failures, one for a case and target, and what else is wrong."""
    failing = _failing(results)
    lines = [
        command("error", f"{group[0].verdict}: {group[0].case} on {group[0].target}", _said(group))
        for group in failing[:ANNOTATIONS]
    ]
    if len(failing) > ANNOTATIONS:
        rest = counted(len(failing) - ANNOTATIONS, "more failing case")
        lines.append(command("error", "Conformance", f"{rest}; see the job summary"))
    if results.footer is not None and results.footer.stale:
        lines.append(command("error", "Deviations that match no trial", "\n".join(results.footer.stale)))
    if results.footer is not None and results.footer.overdue:
        lines.append(command("warning", "Deviations to look at again", "\n".join(results.footer.overdue)))
    if not results.all_run:
        lines.append(command("error", "Conformance", "\n".join([_outcome(results), *_reasons(results)])))
    return "".join(f"{text}\n" for text in lines)


def _reasons(results: Results) -> Iterator[str]:
    """Why trials were not run, the commonest reasons first; and what is not installed where nothing was planned."""
    left = not_run(results.trials).most_common()
    for (target, why), count in left[:_REASONS]:
        yield f"{target}: {counted(count, 'trial')} not run, {why or 'no reason given'}"
    if left[_REASONS:]:
        yield f"and {counted(len(left) - _REASONS, 'more reason')}; see the job summary"
    if not results.header.planned:
        yield from (f"{name} was not tried: {why}" for name, why in results.header.unavailable.items())


def badge(results: Results) -> str:
    """The badge as a shields.io endpoint. Its percentage is that of the trials that were supported, rounded down."""
    counts = verdict_counts(results.trials)
    tried = results.header.planned - counts.get("unsupported", 0)
    ran = tried - counts.get("not run", 0)
    passed = counts.get("pass", 0)
    failing = sum(counts.get(verdict, 0) for verdict in _FAILING) or bool(results.footer and results.footer.stale)
    if failing:
        colour = "red"
    elif not results.all_run or not tried:
        colour = "lightgrey"
    else:
        colour = "brightgreen" if passed == tried else "green"
    message = f"{_percent(passed, tried)} pass" if ran and results.complete else "incomplete"
    shown = {"schemaVersion": 1, "label": "loss conformance", "message": message, "color": colour}
    return json.dumps({**shown, "isError": colour == "red"}) + "\n"


def _percent(passed: int, tried: int) -> str:
    """Hundredths of a percent, rounded down: 100 % is only what is complete."""
    hundredths = 10_000 * passed // tried
    return f"{hundredths // 100}.{hundredths % 100:02} %" if hundredths % 100 else f"{hundredths // 100} %"


def _outcome(results: Results) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in verdict_counts(results.trials).items())
    said = [shortfall(results), f"{counted(len(results.trials), 'trial')}: {counts}." if counts else ""]
    if results.footer is not None:
        status = results.footer.exit_status
        said.append(f"Exit status {status}: {EXIT_MEANING.get(status, 'unusable input')}.")
    return " ".join(filter(None, said))


def _table(results: Results) -> Iterator[str]:
    cells = by_target(results.trials)
    verdicts = list(verdict_counts(results.trials))
    yield _line("target", *verdicts, "worst error/bound of those that pass", "versions")
    yield _line("---", *("---:" for _ in verdicts), "---:", "---")
    for target in results.header.targets:
        cell = cells[target]
        worst = "" if cell.worst_ratio is None else f"{cell.worst_ratio:.3g}"
        facts = ", ".join(f"{name} {value}" for name, value in results.environments.get(target, {}).items())
        yield _line(code(target), *(str(cell.counts[verdict]) for verdict in verdicts), worst, line(facts))
    yield "\n"


def _lists(results: Results) -> Iterator[str]:
    if results.footer is not None:
        yield from (f"- stale deviation, matches no trial: {code(entry)}\n" for entry in results.footer.stale)
        yield from (f"- deviation to look at again: {code(entry)}\n" for entry in results.footer.overdue)


def _failing(results: Results) -> list[list[Trial]]:
    """Failing trials by verdict, case and target, the worst first."""
    groups: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in worst_first([t for t in results.trials if t.verdict in _FAILING]):
        groups.setdefault((trial.verdict, trial.case, trial.target), []).append(trial)
    return list(groups.values())


def _row(group: list[Trial]) -> str:
    worst = group[0]
    others = f" and {len(group) - 1} more" if len(group) > 1 else ""
    got, expected = ("" if x is None else repr(x) for x in (worst.got, worst.expected))
    ratio = "" if worst.ratio is None else f"{worst.ratio:.3g}"
    why = f"{worst.verdict}: {worst.message}"[:500]
    return _line(f"{code(worst.id)}{others}", line(why), got, expected, ratio)


def _line(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |\n"


def _said(group: list[Trial]) -> str:
    """The failing trials of a case in a few lines."""
    worst = group[0]
    lines = [worst.id, worst.message]
    if worst.ratio is not None:
        lines.append(f"got {worst.got!r}, expected {worst.expected!r}, error over bound {worst.ratio:.3g}")
    if len(group) > 1:
        lines.append(f"and {len(group) - 1} more: {', '.join(f'{t.dtype} {t.output}' for t in group[1:])}")
    return "\n".join(filter(None, lines))


def command(kind: str, title: str, message: str) -> str:
    """A workflow command; in its properties, colons and commas are escaped, too."""
    return f"::{kind} title={_escaped(title).replace(':', '%3A').replace(',', '%2C')}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\n", "%0A")
