"""Bring lists of known deviations up to date with a run: what passes or is gone goes, new failures are put in.

No ceiling is raised and no reason is made up: a new entry excuses nothing until a person has written why.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from conformance.errors import DeviationError, Problem
from conformance.globs import any_glob
from conformance.judge.deviations import Entry
from conformance.listfile import rewritten
from conformance.plan import Plan
from conformance.results.file import Results
from conformance.results.records import FAILING, Trial
from conformance.yamlfile import rewrite

_NEW_LIST = "# Known deviations of loss-conformance, whose adapters/README.md has the format.\ndeviations: []\n"


def update_deviations(plan: Plan, results: Results) -> Iterator[str]:
    """Rewrite the lists in use by what a run found, saying in a line each what was done and what is left to do.

    With lists given by `--deviations`, these are rewritten and the last takes the new failures; otherwise those beside
    the adapters are. Lists that came with an installed package are left alone.
    """
    added = _by_list(plan, [t for t in results.trials if t.verdict in FAILING and not t.listed])
    lists = _lists(plan)
    possible = dict.fromkeys(plan.possible_trials())
    fixed = {trial.id for trial in results.trials if trial.verdict == "fixed"}
    for file in dict.fromkeys([*lists, *added]):
        path = Path(file)
        became = [_narrower(entry, fixed, possible) for entry in lists.get(file, [])]
        narrowed = {i: b for i, b in enumerate(became) if b != [[glob] for glob in lists[file][i].trials]}
        new = _entries(added.get(file, []), results)
        if not narrowed and not new:
            continue
        if not _is_ours(path, plan):
            yield f"{file}: left as it is; it came with an adapter. Keep a list of your own: --deviations FILE"
            continue
        _write(path, narrowed, new)
        gone = sum(not any(globs) for globs in narrowed.values())
        yield f"{file}: {len(new)} entries added, {len(narrowed) - gone} narrowed, {gone} removed"
    for trial in results.trials:
        if trial.verdict in FAILING and trial.listed:
            yield f"left to you: {trial.id}: {trial.message.splitlines()[-1] if trial.message else trial.verdict}"
    if any(added.values()):
        yield "New entries excuse nothing yet: put the reason in the place of TODO."


def _lists(plan: Plan) -> dict[str, list[Entry]]:
    """The entries of each list in use, in the order of their lines."""
    lists: dict[str, dict[int, Entry]] = defaultdict(dict)
    for entry in plan.deviations.entries:
        file, _, line = entry.where.rpartition(":")
        lists[file][int(line)] = entry
    return {file: [entry for _, entry in sorted(entries.items())] for file, entries in lists.items()}


def _is_ours(path: Path, plan: Plan) -> bool:
    """Whether a list may be rewritten: one that was named, or else one that no package has installed."""
    if plan.options.deviations:
        return str(path) in plan.options.deviations
    return not {"site-packages", "dist-packages"} & set(path.parts)


def _by_list(plan: Plan, failures: list[Trial]) -> dict[str, list[Trial]]:
    """New failures by the list that they belong into."""
    lists: dict[str, list[Trial]] = defaultdict(list)
    for trial in failures:
        adapter = plan.adapters[trial.target.partition(":")[0]]
        beside = adapter.deviations or adapter.source.with_suffix(".deviations.yaml")
        lists[plan.options.deviations[-1] if plan.options.deviations else str(beside)].append(trial)
    return lists


def _narrower(entry: Entry, fixed: Container[str], possible: Mapping[str, None]) -> list[list[str]]:
    """What each glob of an entry becomes: nothing where no trial is left, ids where some of its trials now pass.

    Trials that were not part of the run stay listed.
    """
    became = []
    for glob in entry.trials:
        pattern = any_glob([glob])
        ids = [i for i in possible if pattern.fullmatch(i)] if {"*", "?"} & set(glob) else [glob] * (glob in possible)
        left = [i for i in ids if i not in fixed]
        became.append([glob] if ids and len(left) == len(ids) else left)
    return became


def _entries(failures: list[Trial], results: Results) -> list[dict[str, Any]]:
    """New entries, one for each case, target and outcome, no wider than what failed."""
    groups: dict[tuple[str, str, str], list[Trial]] = defaultdict(list)
    for trial in failures:
        groups[trial.case, trial.target, trial.verdict].append(trial)
    return [
        {
            "trials": [trial.id for trial in group],
            "outcome": outcome,
            **_ceiling(group),
            "reason": f"TODO: say why. Seen{_seen(results.environments.get(target, {}))}: {_first_line(group[0])}",
        }
        for (_, target, outcome), group in groups.items()
    ]


def _ceiling(group: list[Trial]) -> dict[str, float]:
    """The largest error over bound, rounded up to two digits; none where a result was of another class."""
    ratios = [trial.ratio for trial in group]
    if any(ratio is None or not math.isfinite(ratio) or ratio <= 0 for ratio in ratios):
        return {}
    worst = max(ratio for ratio in ratios if ratio is not None)
    step = 10.0 ** (math.floor(math.log10(worst)) - 1)
    return {"at_most": float(f"{math.ceil(worst / step) * step:.6g}")}


def _seen(facts: Mapping[str, str]) -> str:
    return f" with {', '.join(f'{name} {value}' for name, value in facts.items())}" if facts else ""


def _first_line(trial: Trial) -> str:
    return trial.message.splitlines()[0] if trial.message else trial.verdict


def _write(path: Path, narrowed: Mapping[int, list[list[str]]], new: list[dict[str, Any]]) -> None:
    try:
        if not path.exists():
            path.write_text(_NEW_LIST, encoding="utf-8")
        rewrite(path, rewritten(path, narrowed, new))
    except OSError as error:
        problem = Problem(str(path), None, "", f"cannot be written: {error.strerror or error}")
        raise DeviationError([problem]) from error
