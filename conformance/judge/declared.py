"""Declared conventions: what a framework's documentation says of a case on which libraries differ on purpose.

    declared:
      - cases: [cross_entropy/all_rows_ignored, nll_loss/all_rows_ignored]
        outcome: nan               # by the name that the case has for it
        says: The mean divides by the number of rows that are not ignored.
        link: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
        when: {device: cpu}        # version ranges, and platform, device or mode by value

The list lies beside the adapter, as `<file>.conventions.yaml`. In `cases`, `*` and `?` are the only special characters.
A framework that shows another outcome than the declared one breaks its own word, which is a mismatch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from conformance.cache import Cache
from conformance.casefiles.case import Case
from conformance.errors import DeclarationError, Problem
from conformance.globs import any_glob
from conformance.judge.lists import Listed, load_lists


@dataclass(kw_only=True)
class Declaration(Listed):
    """One entry of a list of declared conventions."""

    cases: list[str] = field(metadata={"min_length": 1})
    outcome: str = field(metadata={"min_length": 1})
    says: str = field(metadata={"min_length": 1})
    link: str = field(metadata={"pattern": "^https://"})

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return any_glob(self.cases)


@dataclass(frozen=True)
class Declarations:
    """The declarations of every adapter, by its name."""

    by_adapter: Mapping[str, Sequence[Declaration]]

    def find(self, adapter: str, case: Case, facts: Mapping[str, str]) -> Declaration | None:
        """What the adapter declares of a convention case, in an environment with these `facts`."""
        if case.convention is None:
            return None
        for entry in self.by_adapter.get(adapter, ()):
            if entry.outcome in case.convention.outcomes and entry.pattern.fullmatch(case.id) and entry.holds(facts):
                return entry
        return None


def load_declarations(
    files: Mapping[str, Path], cases: Iterable[Case], *, complete: bool, store: Cache | None = None
) -> Declarations:
    """The lists of the adapters, which may be kept in the `store`. Raises `DeclarationError` naming everything that is
    wrong in any of them.

    Where `cases` are `complete`, which cases of one's own are not, an entry must match a convention and name one of its
    outcomes.
    """
    problems: list[Problem] = []
    found = {name: load_lists([path], "declared", Declaration, problems, store) for name, path in sorted(files.items())}
    if complete:
        asked = [case for case in cases if case.convention]
        problems += [problem for entries in found.values() for entry in entries for problem in _unfit(entry, asked)]
    if problems:
        raise DeclarationError(dict.fromkeys(problems))
    return Declarations(found)


def _unfit(entry: Declaration, cases: list[Case]) -> Iterable[Problem]:
    matched = [case for case in cases if entry.pattern.fullmatch(case.id)]
    if not matched:
        yield Problem.at(entry.where, "cases", f"no convention matches {', '.join(entry.cases)}")
    for case in matched:
        names = case.convention.outcomes if case.convention else {}
        if entry.outcome not in names:
            message = f"{case.id} has no outcome {entry.outcome!r}; it has {', '.join(names)}"
            yield Problem.at(entry.where, "outcome", message)
