"""Figures that every report shows, computed from the trials of a result file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from conformance.results.file import Results
from conformance.results.records import Trial

_BADNESS = ("crash", "timeout", "error", "mismatch", "fixed", "known", "not run", "unsupported", "pass")
_NAMED = 30
EXIT_MEANING = {
    0: "everything passes, is unsupported, or is a listed deviation",
    1: "something failed, or a list of deviations no longer fits",
    3: "nothing ran, or fewer trials than planned",
}


@dataclass
class Cell:
    """The trials of one loss on one target: how many ended how, and the worst error over bound of those that ran."""

    counts: Counter[str] = field(default_factory=Counter)
    worst_ratio: float | None = None
    compared: int = 0
    sharp: int = 0
    composed: int = 0
    flushed: int = 0

    def add(self, trial: Trial) -> None:
        self.counts[trial.verdict] += 1
        self.compared += trial.sharp is not None
        self.sharp += bool(trial.sharp)
        self.composed += trial.composed
        self.flushed += bool(trial.flushed)
        if trial.ratio is not None and trial.verdict == "pass":
            self.worst_ratio = max(self.worst_ratio or 0.0, trial.ratio)

    @property
    def planned(self) -> int:
        return self.counts.total()

    @property
    def passed(self) -> int:
        return self.counts["pass"]

    @property
    def verdict(self) -> str:
        """The worst verdict in the cell; unsupported only when nothing ran."""
        present = [verdict for verdict in _BADNESS if self.counts[verdict]]
        ran = [verdict for verdict in present if verdict != "unsupported"]
        return (ran or present or ["not run"])[0]


def rest(cases: Iterable[tuple[str, str]]) -> str:
    """What a list of cases on targets leaves out: by name while one can read them, else how many of which loss."""
    left = sorted(set(cases))
    kinds = [f"{case.partition('/')[0]} on {target}" for case, target in left]
    return f"... and {len(left)} more: {in_short([f'{case} on {target}' for case, target in left], kinds)}"


def in_short(names: Sequence[str], kinds: Sequence[str]) -> str:
    """The names while one can read them, else how many there are of each kind."""
    if len(names) <= _NAMED:
        return ", ".join(names)
    return ", ".join(f"{count} of {kind}" for kind, count in Counter(kinds).most_common())


def matrix(trials: list[Trial]) -> dict[str, dict[str, Cell]]:
    """Cells by loss, then by target."""
    table: dict[str, dict[str, Cell]] = defaultdict(lambda: defaultdict(Cell))
    for trial in trials:
        table[trial.loss][trial.target].add(trial)
    return table


def by_target(trials: list[Trial]) -> dict[str, Cell]:
    table: dict[str, Cell] = defaultdict(Cell)
    for trial in trials:
        table[trial.target].add(trial)
    return table


def unsteady(trials: list[Trial]) -> dict[str, list[Trial]]:
    """By target, the trials that were tried twice and did not give the same bits."""
    table: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.differing:
            table[trial.target].append(trial)
    return table


def worst_first(trials: list[Trial]) -> list[Trial]:
    """Trials by how bad their verdict is, then by error over bound."""
    return sorted(trials, key=lambda t: (_BADNESS.index(t.verdict), -(t.ratio or 0.0), t.id))


def counted(count: int, thing: str) -> str:
    """How many there are of a thing, in words."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def slow_left_out(results: Results) -> str:
    """How many cases were left out for being slow."""
    count = results.header.slow_left_out
    return f"{counted(count, 'slow case')} {'was' if count == 1 else 'were'} left out"


def not_run(trials: Iterable[Trial]) -> Counter[tuple[str, str]]:
    """How many of the trials were not run, by target and reason."""
    return Counter((trial.target, trial.message) for trial in trials if trial.verdict == "not run")


def shortfall(results: Results) -> str:
    """Why a result file does not hold a result of all that was planned, in a sentence; empty when it does."""
    judged, footer = len(results.trials), results.footer
    planned = counted(results.header.planned, "planned trial")
    if footer is None:
        within = " Its last line was cut off, too, and is left out." if results.cut else ""
        return f"CUT OFF: the run was stopped after {judged} of {planned}.{within}"
    if footer.judged != judged:
        return f"DAMAGED: the file holds {counted(judged, 'trial')}, but its last line counts {footer.judged}."
    if judged != results.header.planned:
        return f"INCOMPLETE: the run ended with {judged} of {planned} judged."
    if not judged:
        return f"NOTHING RUN: {_nothing_planned(results)}."
    if not results.judged:
        return f"NOTHING RUN: none of {planned} was run."
    left = judged - len(results.judged)
    return f"INCOMPLETE: {left} of {planned} {'was' if left == 1 else 'were'} not run." if left else ""


def _nothing_planned(results: Results) -> str:
    """Why a run had nothing to do. Without a target the globs are not to blame."""
    options = results.header.options
    if options is not None and options.select and results.header.targets:
        return f"nothing matches {', '.join(options.select)}"
    return "no trial was planned"


def verdict_counts(trials: list[Trial]) -> dict[str, int]:
    """How many trials ended how, pass first and then the worst first; verdicts that nobody got are left out."""
    counts: Counter[str] = Counter(trial.verdict for trial in trials)
    return {verdict: counts[verdict] for verdict in ("pass", *_BADNESS[:-1]) if counts[verdict]}
