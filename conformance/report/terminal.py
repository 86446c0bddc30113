"""What a run says in a terminal: progress while it works, then a summary with every failure."""

from __future__ import annotations

import os
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from conformance.report.summary import EXIT_MEANING, by_target, worst_first
from conformance.results.file import Results
from conformance.results.records import Trial

_FAILING = ("crash", "timeout", "error", "mismatch", "fixed", "not run")
_SHOWN = 30


class Progress:
    """A bar while a run works; silent in CI and wherever the output is no terminal."""

    def __init__(self, console: Console, planned: int) -> None:
        quiet = not console.is_terminal or bool(os.environ.get("CI"))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = RichProgress(*columns, console=console, disable=quiet, transient=True)
        self._task = self._bar.add_task("starting", total=planned)

    def saw(self, line: object) -> None:
        if isinstance(line, Trial):
            self._bar.update(self._task, advance=1, description=f"{line.loss} on {line.target}")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._bar.stop()


def print_results(console: Console, results: Results) -> None:
    """A table by target, every failing trial worst first, and what the exit status means."""
    console.print(_table(results))
    for name, why in results.header.unavailable.items():
        console.print(f"{name}: not tried, {why}", highlight=False)
    failing = worst_first([t for t in results.trials if t.verdict in _FAILING])
    for trial in failing[:_SHOWN]:
        console.print(_failure(trial), soft_wrap=True)
    if len(failing) > _SHOWN:
        console.print(f"... and {len(failing) - _SHOWN} more; all of them are in the result file", highlight=False)
    if results.footer is None:
        judged, planned = len(results.trials), results.header.planned
        console.print(f"Incomplete: the run was cut off after {judged} of {planned} trials.", highlight=False)
        return
    for entry in results.footer.stale:
        console.print(f"stale deviation: {entry} matches no trial", soft_wrap=True, highlight=False, markup=False)
    status = results.footer.exit_status
    console.print(
        f"{results.footer.judged} of {results.header.planned} planned trials in {results.footer.seconds:.1f} s; "
        f"exit status {status}: {EXIT_MEANING.get(status, 'unusable input')}.",
        highlight=False,
        soft_wrap=True,
    )


def _table(results: Results) -> Table:
    table = Table(box=None, pad_edge=False)
    verdicts = ("mismatch", "error", "crash", "timeout", "fixed", "known", "unsupported", "not run")
    cells = by_target(results.trials)
    shown = [v for v in verdicts if any(cell.counts[v] for cell in cells.values())]
    for name in ("target", "planned", "passed", *shown, "sharp", "worst error/bound"):
        table.add_column(name, justify="left" if name == "target" else "right")
    for target in results.header.targets:
        cell = cells[target]
        worst = "" if cell.worst_ratio is None else f"{cell.worst_ratio:.3g}"
        counted = [str(cell.counts[verdict]) for verdict in shown]
        table.add_row(target, str(cell.planned), str(cell.passed), *counted, str(cell.sharp), worst)
    return table


def _failure(trial: Trial) -> Text:
    text = Text()
    text.append(f"{trial.verdict} ", style="bold red")
    text.append(trial.id)
    text.append(f"\n    {trial.message}" if trial.message else "")
    if trial.got is not None and trial.ratio is not None:
        place = f" at {tuple(trial.index)}" if trial.index else ""
        text.append(f"\n    worst{place}: got {trial.got!r}, expected {trial.expected!r}")
        text.append(f"\n    error {trial.absolute:.3g} = {trial.ulp:.3g} ulp, bound {trial.bound:.3g}")
        text.append(f", error/bound {trial.ratio:.3g}")
    return text
