"""The conventions catalogue of a result file: what was asked, and what each target was seen to do and says it does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from conformance.results.file import Results
from conformance.results.records import CaseInfo, ConventionInfo, Declared, Trial

UNSORTED = "Other"
"""The topic of a convention that names none."""


@dataclass
class Seen:
    """What one target showed of a case: the dtypes that had each outcome, and what its documentation says.

    A trial without an outcome is there under its verdict, as nothing was observed. `broken` says that the documentation
    is not kept, `composed` that a user must write this by hand, `note` what the framework said.
    """

    outcomes: dict[str, list[str]] = field(default_factory=dict)
    declared: Declared | None = None
    broken: bool = False
    composed: bool = False
    note: str = ""

    def add(self, trial: Trial) -> None:
        dtypes = self.outcomes.setdefault(trial.outcome or trial.verdict, [])
        if trial.dtype not in dtypes:
            dtypes.append(trial.dtype)
        self.declared = trial.declared or self.declared
        self.broken |= trial.declared is not None and trial.outcome != trial.declared.outcome
        self.composed |= trial.composed
        if (trial.verdict != "unsupported" and ": error (" in trial.message) or trial.outcome == "new":
            self.note = trial.message.partition(": ")[2]

    @property
    def observed(self) -> bool:
        """Whether any trial came to an outcome."""
        return any(name not in ("unsupported", "not run") for name in self.outcomes)

    def __str__(self) -> str:
        """The outcomes in words, with the dtypes where they differ; empty when nothing was observed."""
        if not self.observed:
            return ""
        several = len(self.outcomes) > 1
        return "; ".join(
            f"{name.replace('_', ' ')} ({', '.join(dtypes)})" if several else name.replace("_", " ")
            for name, dtypes in self.outcomes.items()
        )


@dataclass
class Point:
    """One case of a convention, with what each target showed."""

    case: str
    loss: str
    info: ConventionInfo
    about: CaseInfo
    seen: dict[str, Seen] = field(default_factory=lambda: defaultdict(Seen))


def catalogue(results: Results, targets: Collection[str] = (), names: Collection[str] = ()) -> dict[str, list[Point]]:
    """The points of each topic, by convention and loss; `targets` and `names` (of conventions or cases) narrow them."""
    points: dict[tuple[str, str], Point] = {}
    for trial in results.trials:
        chosen = not names or trial.convention in names or trial.case in names
        if trial.convention and chosen and (not targets or trial.target in targets):
            key = (trial.case, trial.output)
            if key not in points:
                points[key] = _point(results, trial)
            points[key].seen[trial.target].add(trial)
    ordered = sorted(points.values(), key=lambda p: (p.info.topic == UNSORTED, p.info.topic, p.info.name, p.case))
    topics: dict[str, list[Point]] = defaultdict(list)
    for point in ordered:
        topics[point.info.topic].append(point)
    return dict(topics)


def columns(results: Results, targets: Collection[str] = ()) -> list[str]:
    """The targets of a table, in the order of the run; `targets` may leave out device or mode."""
    wanted = tuple(f"{target}:" for target in targets)
    return [target for target in results.header.targets if not wanted or f"{target}:".startswith(wanted)]


def _point(results: Results, trial: Trial) -> Point:
    about = results.header.cases.get(trial.case) or CaseInfo(loss=trial.loss)
    name = trial.convention or ""
    info = about.convention or ConventionInfo(name=name, asked=trial.output, output=trial.output)
    return Point(trial.case, trial.loss, replace(info, topic=info.topic or UNSORTED), about)
