"""Observe the conventions on targets, or find them in a result file, for the catalogue to show."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

from conformance.errors import UsageError
from conformance.plan import make_plan
from conformance.results.file import Results, collect, read_results
from conformance.results.records import Line
from conformance.run import run
from conformance.targets.names import find_adapters


def recorded(path: Path, words: Sequence[str]) -> tuple[Results, list[str], list[str]]:
    """A result file, and which of the words are names of conventions in it and which of targets."""
    results = read_results(path)
    adapters = {target.partition(":")[0] for target in results.header.targets}
    names, targets = _sort(words, adapters)
    known = {name for t in results.trials if t.convention for name in (t.convention, t.case)}
    _check(names, known, adapters)
    return results, names, targets


def observed(
    words: Sequence[str], *, case_paths: Sequence[Path] = (), adapter_files: Sequence[str] = (), jobs: int = 2
) -> tuple[Results, list[str]]:
    """A run of the conventions alone on the targets among the words, and the names of conventions among them.

    Nothing is written. Raises `UsageError` for a word that is neither.
    """
    adapters = find_adapters(adapter_files)
    names, targets = _sort(words, adapters)
    plan = make_plan(targets, case_paths=case_paths, adapter_files=adapter_files)
    known = {name for case in plan.cases if case.convention for name in (case.convention.name, case.id)}
    _check(names, known, adapters)
    for target, asked in plan.chosen.items():
        plan.chosen[target] = [
            question
            for question in asked
            if (convention := question.case.convention)
            and (not names or convention.name in names or question.case.id in names)
        ]
    lines: list[Line] = []
    run(plan, lines.extend, command=["conformance", "conventions", *words], jobs=jobs)
    return collect(Path(), lines), names


def _sort(words: Sequence[str], adapters: Collection[str]) -> tuple[list[str], list[str]]:
    """The words that name no target, and those that do."""
    targets = [word for word in words if word.partition(":")[0] in adapters]
    return [word for word in words if word not in targets], targets


def _check(names: Sequence[str], known: Collection[str], adapters: Collection[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        near = get_close_matches(unknown[0], known, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "`conformance conventions` lists the conventions"
        listed = ", ".join(sorted(adapters))
        raise UsageError(f"{', '.join(unknown)}: neither a convention nor a target; the targets are {listed}; {hint}")
