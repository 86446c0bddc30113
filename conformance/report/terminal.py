"""What a run says in a terminal at its end: a summary with every failure."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.report.quoting import quoted
from conformance.report.summary import (
    EXIT_MEANING,
    by_target,
    counted,
    in_short,
    not_run,
    rest,
    slow_left_out,
    unsteady,
    worst_first,
)
from conformance.results.file import Results
from conformance.results.records import Trial

_FAILING = ("crash", "timeout", "error", "mismatch", "fixed")
_WITHOUT_FIGURES = ("crash", "timeout", "error")
_SHOWN = 30
_EXAMPLES = 3


def console(*, stderr: bool = False) -> Console:
    """A console for the output; where that is no terminal it is wide enough for the table."""
    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=160)


def print_results(console: Console, results: Results) -> None:
    """A table by target, every failing trial worst first, and what the exit status means."""
    console.print(_table(results))
    for name, why in results.header.unavailable.items():
        console.print(f"{name}: not tried, {quoted(why)}", highlight=False, markup=False, soft_wrap=True)
    for (target, why), count in not_run(results.trials).items():
        said = f"{target}: {counted(count, 'trial')} not run, {quoted(why)}"
        console.print(said, highlight=False, markup=False, soft_wrap=True)
    for target, differing in unsteady(results.trials).items():
        twice = sum(t.differing is not None for t in results.trials if t.target == target)
        losses = {trial.case: trial.loss for trial in differing}
        cases = in_short(list(losses), list(losses.values()))
        tried = f"{counted(twice, 'trial')} that {'was' if twice == 1 else 'were'} tried twice"
        said = f"{len(differing)} of the {tried} did not give the same bits: {cases}"
        console.print(f"{target}: {said}", highlight=False, markup=False, soft_wrap=True)
    _print_failures(console, results.trials)
    if results.footer is None:
        judged, planned = len(results.trials), counted(results.header.planned, "trial")
        console.print(f"Incomplete: the run was cut off after {judged} of {planned}.", highlight=False)
        if results.cut:
            console.print("The last line of the file was cut off, too, and is left out.", highlight=False)
        return
    if results.header.slow_left_out:
        console.print(f"{slow_left_out(results)}; --slow tries all cases.", highlight=False)
    for entry in results.footer.stale:
        console.print(f"stale deviation: {entry} matches no trial", soft_wrap=True, highlight=False, markup=False)
    for entry in results.footer.overdue:
        console.print(f"deviation to look at again: {entry}", soft_wrap=True, highlight=False, markup=False)
    status, planned = results.footer.exit_status, counted(results.header.planned, "planned trial")
    console.print(
        f"{len(results.judged)} of {planned} in {results.footer.seconds:.1f} s; "
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


def _print_failures(console: Console, trials: list[Trial]) -> None:
    """Failures by case, or by loss where they have the same words, worst first, each with the figures of its worst
    trial; what the rest is after that."""
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in worst_first([t for t in trials if t.verdict in _FAILING]):
        same = (trial.loss, trial.message) if trial.verdict in _WITHOUT_FIGURES else (trial.case,)
        groups.setdefault((trial.verdict, trial.target, *same), []).append(trial)
    listed = list(groups.values())
    for failing in listed[:_SHOWN]:
        console.print(_failure(failing), soft_wrap=True)
    if listed[_SHOWN:]:
        left = rest((trial.case, trial.target) for failing in listed[_SHOWN:] for trial in failing)
        console.print(left, highlight=False, markup=False, soft_wrap=True)


def _failure(failing: list[Trial]) -> Text:
    """The worst of the failing trials of a case, and in which dtypes and outputs the others are; of several cases,
    where they have the same words, which they are."""
    trial = failing[0]
    text = Text()
    text.append(f"{trial.verdict} ", style="bold red")
    text.append(trial.id)
    cases = sorted({t.case for t in failing} - {trial.case})
    if cases:
        named = ", ".join(cases[:_EXAMPLES]) + ", ..." * (len(cases) > _EXAMPLES)
        text.append(f"\n    and {len(failing) - 1} more like it, of {counted(len(cases), 'other case')}: {named}")
    elif len(failing) > 1:
        others = sorted({f"{t.dtype} {t.output}" for t in failing[1:]})
        text.append(f"\n    and {len(others)} more of this case: {', '.join(others)}")
    text.append(f"\n    {quoted(trial.message)}" if trial.message else "")
    if trial.got is not None and trial.ratio is not None:
        place = f" at {tuple(trial.index)}" if trial.index else ""
        text.append(f"\n    worst{place}: got {trial.got!r}, expected {trial.expected!r}")
        text.append(f"\n    error {trial.absolute:.3g} = {trial.ulp:.3g} ulp, bound {trial.bound:.3g}")
        text.append(f", error/bound {trial.ratio:.3g}")
    return text
