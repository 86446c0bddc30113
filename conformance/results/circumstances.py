"""What two runs were made under: whether a difference between their results can be laid to the framework."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.results.file import Results

_MACHINE = ("processor", "platform")
_TARGET_MACHINE = ("cpu", "gpu", "kind", "device", "cuda", "threads")
"""Facts that adapters state of the machine; the rest are versions and flags."""


def other_cases(old: Results, new: Results) -> frozenset[str]:
    """Cases that say something else in the two files. Earlier versions of the suite did not record it."""
    before, after = old.header.cases, new.header.cases
    return frozenset(
        case
        for case in before.keys() & after.keys()
        if before[case].digest and after[case].digest and before[case].digest != after[case].digest
    )


def other_machine(old: Results, new: Results) -> frozenset[str]:
    """Targets that ran on another machine, as far as the files say."""
    if any(old.header.host.get(name) != new.header.host.get(name) for name in _MACHINE):
        return frozenset(new.header.targets)
    return frozenset(
        target
        for target, facts in new.environments.items()
        if target in old.environments
        and any(facts.get(name) != old.environments[target].get(name) for name in _TARGET_MACHINE)
    )


def incomplete(old: Results, new: Results) -> Iterator[str]:
    for name, results in (("OLD", old), ("NEW", new)):
        if not results.all_run:
            ran, planned = len(results.judged), results.header.planned
            yield f"{name} is incomplete: {ran} of {planned} planned trials"


def environment_notes(old: Results, new: Results) -> Iterator[str]:
    """What differs between the runs; that of frameworks is what a diff is for, but it is said."""
    if old.header.suite_version != new.header.suite_version:
        yield f"suite {old.header.suite_version} -> {new.header.suite_version}"
    if old.header.cases_digest != new.header.cases_digest:
        yield "the cases are not the same"
    for name in _MACHINE:
        before, after = old.header.host.get(name, "unknown"), new.header.host.get(name, "unknown")
        if before != after:
            yield f"{name} {before} -> {after}: small changes of error are inconclusive"
    for target, facts in new.environments.items():
        for name in sorted({*facts, *old.environments.get(target, facts)}):
            before, after = old.environments.get(target, facts).get(name, "none"), facts.get(name, "none")
            if before != after:
                yield f"{target}: {name} {before} -> {after}"
