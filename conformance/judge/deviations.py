"""Known deviations: a list of trials that fail for a known reason, each entry no wider than what fails.

    deviations:
      - trials: ["cross_entropy/offset_*[optax:*-float32*]"]
        outcome: mismatch
        at_most: 1.0e+4            # ceiling on error over bound; none for results of another class
        passes: sometimes          # only where it depends on the processor: passing is then no surprise
        when: {optax: "<0.3"}      # version ranges, and platform, device or mode by value
        reason: The loss is computed as logsumexp(x) - x_y, which is not shift-invariant.
        issue: https://github.com/google-deepmind/optax/issues/...
        review: 2027-06-01

In `trials`, `*` and `?` are the only special characters, as trial ids hold brackets; within `[...]` YAML wants them
quoted. A listed trial that passes is `fixed`, and an entry that matches no trial is stale: both fail the run, so that a
list never hides the next defect.
An entry whose reason begins with TODO, as `--update-deviations` writes it, excuses nothing until somebody gives one.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from conformance.cache import Cache
from conformance.checked import model
from conformance.errors import DeviationError, Problem
from conformance.globs import any_glob
from conformance.judge.lists import Listed, load_lists

_ADAPTER = re.compile(r"\[([^:*?\[\]]+):")


@dataclass(kw_only=True)
class Entry(Listed):
    """One entry of a list."""

    trials: list[str] = field(
        metadata={"min_length": 1, "description": "Globs over trial ids; * and ? are the only special characters."}
    )
    outcome: Literal["mismatch", "error", "crash", "timeout"] = field(
        default="mismatch", metadata={"description": "How they fail."}
    )
    at_most: float | None = field(
        default=None, metadata={"gt": 0, "description": "Ceiling on error over bound; none by default."}
    )
    passes: Literal["never", "sometimes"] = field(
        default="never",
        metadata={"description": "sometimes, where it depends on the processor: passing is then no surprise."},
    )
    reason: str = field(
        metadata={"min_length": 1, "description": "Why they fail. One that begins with TODO excuses nothing."}
    )
    issue: str = field(default="", metadata={"description": "Where it is reported."})
    review: dt.date | None = field(default=None, metadata={"description": "When somebody should look at it again."})

    @property
    def unwritten(self) -> bool:
        """Whether the reason is still to be written by a person."""
        return self.reason.lstrip().upper().startswith("TODO")

    @property
    def adapters(self) -> set[str]:
        """The adapters it speaks of, where each of its globs names one in full; else nothing."""
        named = [_ADAPTER.search(glob) for glob in self.trials]
        return {found[1] for found in named if found} if all(named) else set()


def list_schema_text() -> str:
    """The JSON Schema of a list of deviations, as published."""
    from pydantic import ConfigDict, create_model  # a run needs no schema

    entry: Any = model(Entry)
    listed = create_model(
        "DeviationList",
        __config__=ConfigDict(extra="forbid", title="Known deviations of loss-conformance"),
        __doc__="Known deviations: trials that fail for a known reason.",
        deviations=(list[entry], ...),
    )
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **listed.model_json_schema()}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


@dataclass
class Deviations:
    """The entries of all lists of a run, and which of them have matched a trial."""

    entries: list[Entry]
    matched: set[int] = field(default_factory=set)

    @cached_property
    def _by_case(self) -> dict[str, list[tuple[int, re.Pattern[str]]]]:
        """For each case that globs name in full, as most do, their entries with what follows the case; under `""` the
        entries of other globs, with these. What follows is the same in many, and a pattern takes its time to make."""
        found = defaultdict(list)
        for i, entry in enumerate(self.entries):
            for glob in entry.trials:
                case, bracket, rest = glob.partition("[")
                named = bracket and not {*case} & {*"*?"}
                found[case if named else ""].append((i, _pattern(rest if named else glob)))
        return dict(found)

    def _matching(self, trial: str) -> list[int]:
        """The entries that speak of a trial, whatever their conditions."""
        case, _, rest = trial.partition("[")
        named, others = self._by_case.get(case), self._by_case.get("")
        if named is None and others is None:  # as of most trials
            return []
        found = {i for i, pattern in named or () if pattern.fullmatch(rest)}
        found |= {i for i, pattern in others or () if pattern.fullmatch(trial)}
        return sorted(found)

    def find(self, trial: str, facts: Mapping[str, str]) -> Entry | None:
        """The first entry that applies to a trial; remembers which have matched, whatever their conditions."""
        for i in self._matching(trial):
            self.matched.add(i)
            if self.entries[i].holds(facts):
                return self.entries[i]
        return None

    def speaking(self, trial: str) -> Entry | None:
        """The first entry that speaks of a trial, whatever its conditions."""
        return next((self.entries[i] for i in self._matching(trial)), None)

    def stale(self, trials: Iterable[str]) -> list[Entry]:
        """Entries that match no trial of the whole plan, whatever their conditions."""
        left = {*range(len(self.entries))} - self.matched
        names = iter(trials)
        while left and (trial := next(names, None)) is not None:
            left.difference_update(self._matching(trial))
        return [self.entries[i] for i in sorted(left)]

    def overdue(self, today: dt.date) -> list[Entry]:
        """Entries whose review date has passed."""
        return [entry for entry in self.entries if entry.review and entry.review < today]


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    return any_glob([glob])


def load_deviations(paths: Iterable[Path], store: Cache | None = None) -> list[Entry]:
    """The entries of all lists, which may be kept in the `store`. Raises `DeviationError` naming everything that is
    wrong in any of them."""
    problems: list[Problem] = []
    entries = load_lists(paths, "deviations", Entry, problems, store)
    if problems:
        raise DeviationError(problems)
    return entries
