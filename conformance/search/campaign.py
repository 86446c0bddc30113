"""A search over the targets of a plan, one after another, with what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from conformance.casefiles.case import Question
from conformance.plan import Plan
from conformance.search.findings import Finding, Known, findings_in, write
from conformance.search.hunt import Hunt
from conformance.search.probe import Tally
from conformance.search.scripts import Scripts
from conformance.search.session import Lost, Session
from conformance.targets.names import Target


@dataclass(frozen=True)
class Budget:
    """How long to search each target: in seconds, or in examples of each loss, which is what can be repeated."""

    seconds: float
    examples: int | None = None
    timeout: float = 60.0


@dataclass
class Outcome:
    """What a search on a target has come to; `failure` says why there was none."""

    target: str
    tally: Tally = field(default_factory=Tally)
    written: list[Path] = field(default_factory=list)
    failure: str = ""


class Watcher(Protocol):
    """Somebody who looks on."""

    def tick(self, target: str, loss: str, tally: Tally) -> None: ...
    def found(self, finding: Finding, path: Path) -> None: ...


def search(
    plan: Plan,
    budget: Budget,
    *,
    seed: int,
    folder: Path,
    watcher: Watcher,
    losses: Sequence[str] = (),
    laws_only: bool = False,
) -> list[Outcome]:
    """Search every target of the plan; findings are written below `folder` as they come, which also holds the
    database of examples that a later search goes on from."""
    outcomes = []
    for target, asked in plan.chosen.items():
        outcome = Outcome(str(target))
        outcomes.append(outcome)
        try:
            session = Session(target, budget.timeout)
        except Lost as error:
            outcome.failure = str(error)
            continue
        with closing(session), Scripts(target) as scripts:
            desk = Desk(outcome, watcher, scripts, folder, seed)
            known = Known()
            hunt = Hunt(
                session,
                known,
                seed,
                desk.found,
                partial(watcher.tick, str(target)),
                losses,
                laws_only,
                budget.seconds,
                budget.examples,
                folder / "examples",
                outcome.tally,
            )
            try:
                known.learn(session, _listed(plan, target, asked, session.facts))
                known.learn(session, findings_in(folder, str(target)))
                hunt.run()
            except Lost as error:
                outcome.failure = str(error)
    return outcomes


@dataclass(frozen=True)
class Desk:
    """Where findings are written down."""

    outcome: Outcome
    watcher: Watcher
    scripts: Scripts
    folder: Path
    seed: int

    def found(self, finding: Finding) -> None:
        path = write(self.folder, finding, self.seed)
        self.scripts.write(finding, path.with_suffix(".py"))
        self.outcome.written.append(path)
        self.watcher.found(finding, path)


def _listed(plan: Plan, target: Target, asked: Sequence[Question], facts: dict[str, str]) -> list[tuple[Question, str]]:
    """The trials of a target that are listed as known deviations, each with its entry's place."""
    listed = []
    for question in asked:
        entry = plan.deviations.find(question.trial_id(str(target)), facts)
        if entry is not None:
            listed.append((question, entry.where))
    return listed
