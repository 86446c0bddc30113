"""What a search says in a terminal: progress while it works, each finding as it comes, and a summary."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from conformance.report.progress import quiet
from conformance.report.quoting import quoted
from conformance.report.summary import counted
from conformance.search.campaign import Budget, Outcome
from conformance.search.findings import Finding
from conformance.search.probe import Tally


class Watching:
    """Shows where a search is, in a terminal outside of CI, and prints every finding as it comes."""

    def __init__(self, out: Console, progress: Console, budget: Budget, targets: int) -> None:
        each = f"{budget.seconds:g} s" if budget.examples is None else f"{counted(budget.examples, 'example')} a loss"
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._out = out
        self._bar = Progress(*columns, console=progress, disable=quiet(), transient=True)
        self._task = self._bar.add_task(f"{counted(targets, 'target')}, {each} each", total=None)

    def tick(self, target: str, loss: str, tally: Tally) -> None:
        self._bar.update(self._task, description=f"{loss} on {target}, {counted(tally.examples, 'example')}")

    def found(self, finding: Finding, path: Path) -> None:
        text = f"new on {finding.target}: {quoted(finding.summary)}\n    {path}"
        self._out.print(text, highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> Watching:
        self._bar.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._bar.stop()


def print_outcomes(console: Console, outcomes: list[Outcome], unavailable: dict[str, str]) -> None:
    """A line by target, and which listed deviations were met."""
    table = Table(box=None, pad_edge=False)
    for name in ("target", "examples", "judged", "laws tried", "known again", "new findings"):
        table.add_column(name, justify="left" if name == "target" else "right")
    for outcome in outcomes:
        tally = outcome.tally
        counts = (tally.examples, tally.judged, tally.laws, tally.recognised.total(), len(outcome.written))
        table.add_row(outcome.target, *(str(count) for count in counts))
    console.print(table)
    for outcome in outcomes:
        for where, count in outcome.tally.recognised.most_common():
            console.print(f"{outcome.target}: {count} as {where}", highlight=False, markup=False, soft_wrap=True)
        if outcome.failure:
            console.print(f"{outcome.target}: {quoted(outcome.failure)}", highlight=False, markup=False, soft_wrap=True)
    for name, why in unavailable.items():
        console.print(f"{name}: not tried, {quoted(why)}", highlight=False, markup=False, soft_wrap=True)
