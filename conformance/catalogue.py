"""Observe the conventions on targets, or find them in a result file, for the catalogue to show."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

from conformance.casefiles.load import builtin_files, find_files, load_cases
from conformance.errors import UsageError
from conformance.plan import make_plan
from conformance.results.file import Results, collect
from conformance.results.records import Line
from conformance.run import run
from conformance.targets.names import find_adapters


def adapter_names(results: Results | None, adapter_files: Sequence[str]) -> list[str]:
    """Names of the adapters, in a result file or installed."""
    if results is not None:
        return list(dict.fromkeys(target.partition(":")[0] for target in results.header.targets))
    return list(find_adapters(adapter_files))


def known_names(results: Results | None, case_paths: Sequence[Path]) -> set[str]:
    """Names of the conventions and ids of their cases, in a result file or in the case files."""
    if results is not None:
        return {name for t in results.trials if t.convention for name in (t.convention, t.case)}
    cases = load_cases(find_files(case_paths) if case_paths else builtin_files())
    return {name for case in cases if case.convention for name in (case.convention.name, case.id)}


def split_names(
    names: Sequence[str], conventions: Collection[str], adapters: Collection[str]
) -> tuple[list[str], list[str]]:
    """Names of conventions and names of targets. Raises `UsageError` naming those that are neither."""
    wanted = [name for name in names if name in conventions]
    targets = [name for name in names if name not in conventions and name.partition(":")[0] in adapters]
    unknown = [name for name in names if name not in {*wanted, *targets}]
    if unknown:
        near = get_close_matches(unknown[0], conventions, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "`conformance conventions` lists the conventions"
        raise UsageError(
            f"{', '.join(unknown)}: neither a convention nor a target; the targets are {', '.join(adapters)}; {hint}"
        )
    return wanted, targets


def observe_conventions(
    targets: Sequence[str],
    names: Collection[str],
    *,
    case_paths: Sequence[Path] = (),
    adapter_files: Sequence[str] = (),
    jobs: int = 2,
) -> Results:
    """A run of the conventions alone, of all or of those with the given names; nothing is written."""
    plan = make_plan(targets, case_paths=case_paths, adapter_files=adapter_files)
    for target, asked in plan.chosen.items():
        plan.chosen[target] = [
            question
            for question in asked
            if (convention := question.case.convention)
            and (not names or convention.name in names or question.case.id in names)
        ]
    lines: list[Line] = []
    run(plan, lines.append, command=["conformance", "conventions", *names], jobs=jobs)
    return collect(Path(), lines)
