"""What a run will try: the cases, the targets, the known deviations that apply, and the trials chosen of them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from conformance.cache import Cache, user_cache
from conformance.casefiles.case import Case, Question, asked_of, trial_id
from conformance.casefiles.load import builtin_files, digest, find_files, load_cases
from conformance.choice import chosen_questions
from conformance.errors import UsageError
from conformance.judge.declared import Declarations, load_declarations
from conformance.judge.deviations import Deviations, Entry, load_deviations
from conformance.losses import DTYPES
from conformance.references import Key, check_expected
from conformance.results.records import SLOW, Options
from conformance.targets.names import DEVICE, MODE, Adapter, Target
from conformance.targets.tried import Tried, choose_targets


@dataclass
class Plan:
    """Everything that is fixed before the first framework is imported.

    `chosen` are the questions of each target; `unavailable` says of adapters that were left out what they lack;
    `options` are those it was made by, `files` the digests of the adapters and lists in use; `slow_left_out` counts the
    cases tagged slow that were not asked for.
    """

    cases: list[Case]
    digest: str
    adapters: dict[str, Adapter]
    chosen: dict[Target, list[Question]]
    unavailable: dict[str, str]
    deviations: Deviations
    declarations: Declarations
    cache: Cache
    options: Options
    files: dict[str, str]
    slow_left_out: int = 0

    @property
    def planned(self) -> int:
        return sum(len(asked) for asked in self.chosen.values())

    def uses(self) -> Counter[Key]:
        """How often each question is asked, over all targets."""
        return Counter(question.key for asked in self.chosen.values() for question in asked)

    def without(self, judged: Container[str]) -> Plan:
        """The plan without the trials that are judged already, by id."""
        left = {t: [q for q in asked if q.trial_id(str(t)) not in judged] for t, asked in self.chosen.items()}
        return replace(self, chosen=left)

    @property
    def nothing(self) -> str:
        """Why nothing is to be tried; empty where something is."""
        if self.planned:
            return ""
        if self.slow_left_out:
            return "nothing but slow cases is asked for; --slow tries them"
        if self.options.select:
            example = "cross_entropy/worked_example[torch:cpu:eager-float32]"
            return f"nothing matches {', '.join(self.options.select)}; trial ids look like {example}"
        return "nothing to be tried"

    @cached_property
    def stale_entries(self) -> list[Entry]:
        """Entries that match no trial that any adapter could be given; quicker to tell once trials have matched. Those
        of adapters that are not here, as of another one that shares the list, are left alone."""
        stale = self.deviations.stale(self.possible_trials())
        return [entry for entry in stale if not entry.adapters or entry.adapters & {*self.adapters}]

    def possible_trials(self) -> Iterator[str]:
        """The ids of all trials that any adapter could be given, on whatever device and in whatever mode; those of the
        adapters in this run first."""
        everything = list(asked_of(self.cases))
        used = {target.adapter.name for target in self.chosen}
        for adapter in sorted(self.adapters.values(), key=lambda adapter: adapter.name not in used):
            for device in adapter.devices or {DEVICE, *self._used(adapter, "device")}:
                for mode in adapter.modes or {MODE, *self._used(adapter, "mode")}:
                    for one in everything:
                        yield trial_id(*one, f"{adapter.name}:{device}:{mode}")

    def overdue(self) -> list[str]:
        """What a person should have looked at again by now, with the entry's place."""
        entries = self.deviations.overdue(dt.datetime.now(dt.UTC).date())
        return [f"{entry.where}: its review was due on {entry.review}" for entry in entries]

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
    pythons: Sequence[str] = (),
    shard: str = "",
    slow: bool = False,
    cached: bool = True,
    tried: Tried | None = None,
) -> Plan:
    """The plan of a run. Without `targets`: every installed framework, or only the adapters given as files.
    `cached` allows parsed cases and references of earlier runs. `tried` are the targets, where they have been chosen.

    The lists shipped beside the adapters speak of the shipped cases, so they apply only when those are run.
    """
    unknown = [dtype for dtype in dtypes if dtype not in DTYPES]
    if unknown:
        raise UsageError(f"unknown dtype {', '.join(unknown)}: the dtypes are {', '.join(DTYPES)}")
    tried = tried or choose_targets(targets, adapter_files, pythons)
    named = tried.targets
    files = find_files(case_paths) if case_paths else builtin_files()
    cache = user_cache() if cached else Cache()
    cases = load_cases(files, cache)
    if case_paths:  # those of the suite are proved by its tests
        check_expected(cases, cache)
    shipped = {t.adapter.deviations for t in named if t.adapter.deviations} if not case_paths else set()
    entries = load_deviations([*sorted(shipped), *deviation_paths], cache)
    lists = {t.adapter.name: t.adapter.declared for t in named if t.adapter.declared}
    declarations = load_declarations(lists, cases, complete=not case_paths, store=cache)
    choice = partial(chosen_questions, named, dtypes=tuple(dtypes), shard=shard, select=select)
    chosen = choice([case for case in cases if slow or SLOW not in case.tags])
    slow_ones = choice([case for case in cases if not slow and SLOW in case.tags])
    options = Options(
        targets=list(targets),
        cases=[str(path) for path in case_paths],
        adapter=list(adapter_files),
        select=list(select),
        dtype=list(dtypes),
        deviations=[str(path) for path in deviation_paths],
        python=list(pythons),
        shard=shard,
        slow=slow,
    )
    sources = [t.adapter.source for t in named]
    in_use = {str(path): digest([path]) for path in [*sources, *lists.values(), *shipped, *deviation_paths]}
    return Plan(
        cases,
        digest(files),
        tried.adapters,
        chosen,
        tried.unavailable,
        Deviations(entries),
        declarations,
        cache,
        options,
        in_use,
        len({question.case for asked in slow_ones.values() for question in asked}),
    )


def plan_of(options: Options, *, cached: bool = True, tried: Tried | None = None) -> Plan:
    """The plan that a run's options ask for, with the targets that they do, where these have been chosen."""
    return make_plan(
        options.targets,
        case_paths=[Path(path) for path in options.cases],
        adapter_files=options.adapter,
        select=options.select,
        dtypes=options.dtype,
        deviation_paths=[Path(path) for path in options.deviations],
        pythons=options.python,
        shard=options.shard,
        slow=options.slow,
        cached=cached,
        tried=tried,
    )
