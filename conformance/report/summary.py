"""Figures that every report shows, computed from the trials of a result file."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from conformance.results.records import Trial

_BADNESS = ("crash", "timeout", "error", "mismatch", "fixed", "known", "not run", "unsupported", "pass")


@dataclass
class Cell:
    """The trials of one loss on one target: how many ended how, and the worst error over bound of those that ran."""

    counts: Counter[str] = field(default_factory=Counter)
    worst_ratio: float | None = None
    sharp: int = 0
    composed: int = 0
    flushed: int = 0

    def add(self, trial: Trial) -> None:
        self.counts[trial.verdict] += 1
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


def worst_first(trials: list[Trial]) -> list[Trial]:
    """Trials by how bad their verdict is, then by error over bound."""
    return sorted(trials, key=lambda t: (_BADNESS.index(t.verdict), -(t.ratio or 0.0), t.id))
