"""Known deviations: a list of trials that fail for a known reason, each entry no wider than what fails.

    deviations:
      - trials: [cross_entropy/offset_*[optax:*-float32*]]
        outcome: mismatch
        at_most: 1.0e+4            # ceiling on error over bound; none for results of another class
        passes: sometimes          # only where it depends on the processor: passing is then no surprise
        when: {optax: "<0.3"}      # version ranges, and platform, device or mode by value
        reason: The loss is computed as logsumexp(x) - x_y, which is not shift-invariant.
        issue: https://github.com/google-deepmind/optax/issues/...
        review: 2027-06-01

In `trials`, `*` and `?` are the only special characters, as trial ids hold brackets. A listed trial that passes is
`fixed`, and an entry that matches no trial is stale: both fail the run, so that a list never hides the next defect.
"""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from conformance.errors import DeviationError, Problem

_CONDITIONS = ("platform", "device", "mode")


class Entry(BaseModel):
    """One entry of a list; `where`, the file and line it stands at, is no key of the list."""

    model_config = ConfigDict(extra="forbid")
    trials: list[str] = Field(min_length=1)
    outcome: Literal["mismatch", "error", "crash", "timeout"] = "mismatch"
    at_most: float | None = Field(None, gt=0)
    passes: Literal["never", "sometimes"] = "never"
    when: dict[str, str] = Field(default_factory=dict)
    reason: str = Field(min_length=1)
    issue: str = ""
    review: dt.date | None = None
    where: str = ""

    @field_validator("when")
    @classmethod
    def _known_conditions(cls, when: dict[str, str]) -> dict[str, str]:
        for name, value in when.items():
            if name not in _CONDITIONS:
                try:
                    SpecifierSet(value)
                except InvalidSpecifier:
                    raise ValueError(f"{value!r} is no version range for {name}, such as '>=2.1,<3'") from None
        return when

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        parts = [re.escape(t).replace(r"\*", ".*").replace(r"\?", ".") for t in self.trials]
        return re.compile("|".join(parts))

    def applies(self, trial: str, facts: Mapping[str, str]) -> bool:
        """Whether the entry speaks of this trial, in an environment with these `facts`."""
        return self.pattern.fullmatch(trial) is not None and all(
            _holds(name, value, facts) for name, value in self.when.items()
        )


def _holds(name: str, value: str, facts: Mapping[str, str]) -> bool:
    if name == "platform":
        return sys.platform == value
    if name in _CONDITIONS:
        return facts.get(name) == value
    try:
        return name in facts and SpecifierSet(value).contains(Version(facts[name]), prereleases=True)
    except InvalidVersion:
        return False


@dataclass
class Deviations:
    """The entries of all lists of a run, and which of them have matched a trial."""

    entries: list[Entry]
    matched: set[int] = field(default_factory=set)

    def find(self, trial: str, facts: Mapping[str, str]) -> Entry | None:
        """The first entry that applies to a trial; remembers that it has matched."""
        for i, entry in enumerate(self.entries):
            if entry.applies(trial, facts):
                self.matched.add(i)
                return entry
        return None

    def stale(self, trials: Iterable[str]) -> list[Entry]:
        """Entries that match no trial of the whole plan, whatever their conditions."""
        left = {i: e for i, e in enumerate(self.entries) if i not in self.matched}
        for trial in trials if left else ():
            for i in [i for i, e in left.items() if e.pattern.fullmatch(trial)]:
                del left[i]
        return list(left.values())


def load_deviations(paths: Iterable[Path]) -> list[Entry]:
    """The entries of all lists. Raises `DeviationError` naming everything that is wrong in any of them."""
    problems: list[Problem] = []
    entries: list[Entry] = []
    for path in paths:
        entries += _load_list(path, problems)
    if problems:
        raise DeviationError(problems)
    return entries


def _load_list(path: Path, problems: list[Problem]) -> list[Entry]:
    try:
        document = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError, ValueError) as error:
        problems.append(Problem(str(path), None, "", f"cannot be read: {' '.join(str(error).split())}"))
        return []
    listed = document.get("deviations") if isinstance(document, dict) else None
    if not isinstance(listed, list) or set(document) != {"deviations"}:
        problems.append(Problem(str(path), 1, "", "a list of deviations is a mapping with the one key deviations"))
        return []
    marks: Any = listed
    entries = []
    for i, item in enumerate(listed):
        line = marks.lc.item(i)[0] + 1
        if isinstance(item, dict) and "where" in item:
            problems.append(Problem(str(path), line, f"deviations.{i}.where", "Extra inputs are not permitted"))
            continue
        try:
            given: dict[str, Any] = dict(item) if isinstance(item, dict) else item
            entries.append(Entry.model_validate(given).model_copy(update={"where": f"{path}:{line}"}))
        except ValidationError as error:
            for detail in error.errors():
                inside = ".".join(str(part) for part in ("deviations", i, *detail["loc"]))
                problems.append(Problem(str(path), line, inside, detail["msg"].removeprefix("Value error, ")))
    return entries
