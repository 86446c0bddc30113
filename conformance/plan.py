"""What a run will try: the cases, the targets, the known deviations that apply, and the trials chosen of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from conformance.cache import Cache, user_cache
from conformance.casefiles.case import Case, Question, questions
from conformance.casefiles.load import builtin_files, digest, find_files, load_cases
from conformance.errors import UsageError
from conformance.judge.declared import Declarations, load_declarations
from conformance.judge.deviations import Deviations, Entry, load_deviations
from conformance.losses import DTYPES
from conformance.references import Key
from conformance.targets.names import Adapter, Target, find_adapters, full_location, parse_target

SLOW = "slow"
"""Tag of cases whose trials take more than a fraction of a second each; they are tried when asked for."""


@dataclass
class Plan:
    """Everything that is fixed before the first framework is imported.

    `chosen` are the questions of each target; `unavailable` says of adapters that were left out what they lack;
    `slow_left_out` counts the cases tagged slow that were not asked for.
    """

    cases: list[Case]
    digest: str
    adapters: dict[str, Adapter]
    chosen: dict[Target, list[Question]]
    unavailable: dict[str, str]
    deviations: Deviations
    declarations: Declarations
    cache: Cache
    slow_left_out: int = 0

    @cached_property
    def everything(self) -> list[Question]:
        """Every question that the cases allow, whatever was chosen."""
        return questions(self.cases)

    @property
    def planned(self) -> int:
        return sum(len(asked) for asked in self.chosen.values())

    def uses(self) -> Counter[Key]:
        """How often each question is asked, over all targets."""
        return Counter(question.key for asked in self.chosen.values() for question in asked)

    def stale_entries(self) -> list[Entry]:
        """Entries that match no trial that any adapter could be given, on whatever device and in whatever mode."""
        return self.deviations.stale(
            question.trial_id(f"{adapter.name}:{device}:{mode}")
            for adapter in self.adapters.values()
            for device in adapter.devices or self._used(adapter, "device")
            for mode in adapter.modes or self._used(adapter, "mode")
            for question in self.everything
        )

    def _used(self, adapter: Adapter, part: str) -> Iterable[str]:
        return {getattr(target, part) for target in self.chosen if target.adapter == adapter}


def make_plan(
    targets: Sequence[str] = (),
    *,
    case_paths: Sequence[Path] = (),
    adapter_files: Sequence[str] = (),
    select: Sequence[str] = (),
    dtypes: Sequence[str] = (),
    deviation_paths: Sequence[Path] = (),
    pythons: Mapping[str, str] | None = None,
    slow: bool = False,
    cached: bool = True,
) -> Plan:
    """The plan of a run. Without `targets`: every installed framework, or only the adapters given as files.
    `cached` allows parsed cases and references of earlier runs.

    The lists shipped beside the adapters speak of the shipped cases, so they apply only when those are run.
    """
    unknown = [dtype for dtype in dtypes if dtype not in DTYPES]
    if unknown:
        raise UsageError(f"unknown dtype {', '.join(unknown)}: the dtypes are {', '.join(DTYPES)}")
    adapters = find_adapters(adapter_files)
    files = find_files(case_paths) if case_paths else builtin_files()
    cache = user_cache() if cached else Cache()
    cases = load_cases(files, cache)
    named, unavailable = _choose_targets(targets, adapters, adapter_files, _checked(pythons or {}, adapters))
    shipped = {t.adapter.deviations for t in named if t.adapter.deviations} if not case_paths else set()
    entries = load_deviations([*sorted(shipped), *deviation_paths])
    lists = {t.adapter.name: t.adapter.declared for t in named if t.adapter.declared}
    declarations = load_declarations(lists, cases, complete=not case_paths)
    tried = [case for case in cases if slow or SLOW not in case.tags]
    asked = questions(tried, tuple(dtypes) or None)
    chosen = {t: [q for q in asked if _selected(q, str(t), select)] for t in named}
    return Plan(
        cases,
        digest(files),
        adapters,
        chosen,
        unavailable,
        Deviations(entries),
        declarations,
        cache,
        len(cases) - len(tried),
    )


def _choose_targets(
    names: Sequence[str], adapters: dict[str, Adapter], adapter_files: Sequence[str], pythons: Mapping[str, str]
) -> tuple[list[Target], dict[str, str]]:
    """The targets of the run, and why some were left out. What is named must be there; the default takes what is."""
    if names:
        chosen = [parse_target(name, adapters, pythons.get(name.split(":")[0], "")) for name in names]
        return list(dict.fromkeys(chosen)), {}
    unavailable = {}
    targets = []
    for adapter in adapters.values():
        if adapter_files and adapter.location not in map(full_location, adapter_files):
            continue
        missing = [] if adapter.name in pythons else adapter.missing()
        if missing:
            unavailable[adapter.name] = f"{', '.join(missing)} is not installed"
        else:
            targets.append(parse_target(adapter.name, adapters, pythons.get(adapter.name, "")))
    return targets, unavailable


def interpreters(options: Sequence[str]) -> dict[str, str]:
    """`ADAPTER=PATH` options as a mapping from adapter to interpreter."""
    for text in options:
        if "=" not in text:
            raise UsageError(f"--python {text}: write ADAPTER=PATH")
    return dict(text.split("=", 1) for text in options)


def _checked(pythons: Mapping[str, str], adapters: dict[str, Adapter]) -> Mapping[str, str]:
    for name, path in pythons.items():
        if name not in adapters:
            raise UsageError(f"--python {name}={path}: the adapters are {', '.join(sorted(adapters))}")
        if not Path(path).is_file():
            raise UsageError(f"--python {name}={path}: no such interpreter {path}")
    return pythons


def _selected(question: Question, target: str, globs: Sequence[str]) -> bool:
    """Whether a trial id, or the id of its case, matches one of the globs; brackets have no special meaning."""
    return not globs or any(
        _glob(glob).fullmatch(question.trial_id(target)) or _glob(glob).fullmatch(question.case.id) for glob in globs
    )


def _glob(glob: str) -> re.Pattern[str]:
    return re.compile(re.escape(glob).replace(r"\*", ".*").replace(r"\?", "."))
