"""The search on one target: draw, ask, judge, shrink what fails in a new way, and go on until the time is over.

Hypothesis draws in rounds, one loss after another. Within a round only failures that nothing known explains count, and
while one is shrunk only failures that explain it do, so that it does not slip into another defect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import Phase, core, find, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.errors import Flaky, NoSuchExample, Unsatisfiable

from conformance.casefiles.case import Question
from conformance.judge.verdict import Judgement
from conformance.losses import LOSSES
from conformance.search.failures import Failure, failure
from conformance.search.findings import Entry, Finding, Known, build
from conformance.search.laws import LAWS
from conformance.search.probe import Probe, Tally
from conformance.search.session import Session
from conformance.search.strategies import entries
from conformance.targets.contract import Offer, offer_of
from conformance.targets.names import Target
from conformance.targets.worker import load_class

ROUND = 100
"""Examples drawn of a loss before the next one has its turn."""
_FRESH = 20
"""Examples after which hypothesis starts afresh: going on, it would rather vary what it has drawn."""
_TRIES, _DEATHS = 250, 5
"""How many smaller examples are tried for one finding, and how often a worker may die of them."""

Drawn = tuple[Entry, str]
"""A case, and the law that is tried on it."""


class TimeIsUp(BaseException):  # hypothesis must not take it for a failure
    """The search has used up its time."""


@dataclass
class Hunt:
    """A search on one target. `found` is told every new finding as it comes; `tick` is told every example."""

    session: Session
    known: Known
    seed: int
    found: Callable[[Finding], None]
    tick: Callable[[str, Tally], None]
    losses: Sequence[str] = ()
    laws_only: bool = False
    seconds: float = float("inf")
    examples: int | None = None
    database: Path | None = None
    tally: Tally = field(default_factory=Tally)

    def run(self) -> Tally:
        """Search until the time is over, or until every loss has had its examples."""
        self._end = time.monotonic() + self.seconds
        self.probe = Probe(self.session, self.laws_only, self.tally)
        offers = offered(self.session.target)
        losses = [name for name in self.losses or LOSSES if name in offers]
        left = dict.fromkeys(losses, float("inf") if self.examples is None else self.examples)
        number = 0
        try:
            while any(left.values()):
                for loss in losses:
                    share = int(min(left[loss], ROUND))
                    if share:
                        left[loss] -= self._round(loss, offers[loss], share, number)
                number += 1
        except TimeIsUp:
            pass
        return self.tally

    def _round(self, loss: str, offer: Offer, share: int, number: int) -> int:
        """Draw about `share` examples of a loss; returns how many."""
        random = Random(f"{self.seed}/{self.session.target}/{loss}/{number}")  # noqa: S311 - no secret
        before = self.tally.examples
        while (used := self.tally.examples - before) < share:
            attempt = Attempt(self, loss)
            limits = self._settings(min(share - used, _FRESH))
            key = f"{self.session.target}/{loss}".encode()
            try:
                with _seeded(random.getrandbits(64)):
                    find(self._strategy(loss, offer), attempt, settings=limits, database_key=key)
            except (NoSuchExample, Unsatisfiable, Flaky):
                pass
            finally:
                attempt.report()
            if self.tally.examples == before + used:
                break
        return max(self.tally.examples - before, share)

    def _strategy(self, loss: str, offer: Offer) -> st.SearchStrategy[Drawn]:
        compiles = self.session.target.compiles
        laws = st.sampled_from(list(LAWS)) if self.laws_only else st.sampled_from(["", "", "", *LAWS])
        return st.tuples(entries(loss, offer, compiles=compiles), laws)

    def _settings(self, examples: int) -> settings:
        database = None if self.database is None else DirectoryBasedExampleDatabase(self.database)
        phases = (Phase.reuse, Phase.generate, Phase.shrink)
        usual = settings.get_profile("default")  # the one that hypothesis takes in CI would draw without the seed
        return settings(usual, max_examples=examples, database=database, deadline=None, phases=phases)

    def check_time(self) -> None:
        if time.monotonic() > self._end:
            raise TimeIsUp


class Attempt:
    """One hunt for one finding: a condition for hypothesis, which keeps the smallest example that met it.

    What an example is shrunk to must explain it, so that it is known from then on.
    """

    def __init__(self, hunt: Hunt, loss: str) -> None:
        self.hunt, self.loss = hunt, loss
        self.first: Failure | None = None
        self.finding: Finding | None = None
        self._smallest = ""
        self._tries = self._deaths = 0

    def __call__(self, drawn: Drawn) -> bool:
        """Whether the example fails in the way that is looked for: at first, in any way that is not known."""
        self.hunt.check_time()
        if self.first is None:
            self.hunt.tally.examples += 1
            self.hunt.tick(self.loss, self.hunt.tally)
        elif repr(drawn) == self._smallest:
            return True
        else:
            self._tries += 1
            if self._tries > _TRIES or self._deaths > _DEATHS:
                return False
        if not self._fails(*drawn):
            return False
        self._smallest = repr(drawn)
        return True

    def _fails(self, entry: Entry, law: str) -> bool:
        case = build(self.loss, entry)
        if case is None:
            return False
        (dtype,) = case.dtypes
        for output in case.outputs:
            question = Question(case, dtype, output)
            for culprit, judgement, by_law in self.hunt.probe.failures(question, law):
                self._deaths += judgement.verdict in ("crash", "timeout")
                if self._wanted(culprit, judgement, by_law):
                    return True
        return False

    def _wanted(self, question: Question, judgement: Judgement, law: str) -> bool:
        failed = failure(question, judgement)
        where = self.hunt.known.explanation(failed)
        if where:
            self.hunt.tally.recognised[where] += self.first is None
            return False
        first = self.first or failed
        if not failed.explains(first):
            return False
        self.first = first
        self.finding = Finding(str(self.hunt.session.target), question, judgement, failed, law)
        return True

    def report(self) -> None:
        """Tell of the finding, and let it be known from now on."""
        if self.finding is None:
            return
        known = self.hunt.known
        listed = known.smaller_form(self.finding.failure)
        known.add(self.finding.failure, listed or "found by this search")
        if listed:
            self.hunt.tally.recognised[listed] += 1
        else:
            self.hunt.found(self.finding)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let hypothesis draw from a seed, as its pytest option does; `find(random=...)` would switch the database off."""
    before = core.global_force_seed
    core.global_force_seed = seed  # type: ignore[assignment]
    try:
        yield
    finally:
        core.global_force_seed = before


def offered(target: Target) -> dict[str, Offer]:
    """The losses and options that a target's adapter has, read off its signatures."""
    cls: Any = load_class(target.adapter.location)
    offers = {loss: offer_of(cls, loss) for loss in LOSSES if callable(getattr(cls, loss, None))}
    return {loss: found for loss, found in offers.items() if found is not None}
