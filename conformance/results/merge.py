"""Join result files: the parts of a run that was split, or runs of different targets, into one."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from packaging.version import InvalidVersion, Version

from conformance.errors import Problem, ResultsError
from conformance.globs import any_glob
from conformance.results.file import Results
from conformance.results.records import Environment, Footer, Header, Line, Trial, as_json
from conformance.results.status import exit_status

Named = Mapping[Path, Results]
Key = TypeVar("Key", bound=Hashable)


def merge(files: Named, command: list[str]) -> list[Line]:
    """The lines of one result file that holds the trials of all.

    Raises `ResultsError` naming everything in which the files do not belong together.
    """
    problems = [*_differing(files), *_edited(files), *_versions(files), *_missing_shards(files), *_disagreements(files)]
    if problems:
        raise ResultsError(problems)
    trials = list(_trials(files).values())
    environments = _environments(files)
    planned = len(trials) + _left(files)
    counts = Counter[str](trial.verdict for trial in trials)
    stale = _stale(files, trials)
    footers = [results.footer for results in files.values() if results.footer]
    footer = Footer(
        judged=len(trials),
        counts=dict(counts),
        stale=stale,
        overdue=sorted({entry for footer in footers for entry in footer.overdue}),
        seconds=round(sum(footer.seconds for footer in footers), 3),
        exit_status=exit_status(planned, counts, stale),
    )
    facts = [Environment(target=target, facts=facts) for target, facts in environments.items()]
    return [_header(files, planned, command), *facts, *trials, footer]


def _header(files: Named, planned: int, command: list[str]) -> Header:
    headers = [results.header for results in files.values()]
    targets = list(dict.fromkeys(target for header in headers for target in header.targets))
    tried = {target.partition(":")[0] for target in targets}
    unavailable = {name: why for header in headers for name, why in header.unavailable.items() if name not in tried}
    return Header(
        suite_version=headers[0].suite_version,
        cases_digest=headers[0].cases_digest,
        planned=planned,
        targets=targets,
        command=command,
        started=min(header.started for header in headers),
        host=_joined(header.host for header in headers),
        files={path: digest for header in headers for path, digest in header.files.items()},
        unavailable=unavailable,
        slow_left_out=max(header.slow_left_out for header in headers),
        cases={case: info for header in headers for case, info in header.cases.items()},
    )


def _joined(several: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Facts of several machines as one: what differs is joined."""
    values: dict[str, dict[str, None]] = defaultdict(dict)
    for facts in several:
        for name, value in facts.items():
            values[name][value] = None
    return {name: " / ".join(found) for name, found in values.items()}


def _trials(files: Named) -> dict[str, Trial]:
    """The trials of all files by id; one that was run comes before one that was not."""
    merged: dict[str, Trial] = {}
    for results in files.values():
        for trial in results.trials:
            if trial.id not in merged or merged[trial.id].verdict == "not run":
                merged[trial.id] = trial
    return merged


def _left(files: Named) -> int:
    """How many trials were planned and are in no file. Which ones they are is known of runs of the same plan only."""
    same: dict[str, list[Results]] = defaultdict(list)
    for path, results in files.items():
        options = results.header.options
        said = as_json(options) if options else str(path)
        same[", ".join([*results.header.targets, said])].append(results)
    return sum(
        max(runs[0].header.planned - len({trial.id for results in runs for trial in results.trials}), 0)
        for runs in same.values()
    )


def _environments(files: Named) -> dict[str, dict[str, str]]:
    targets = dict.fromkeys(target for results in files.values() for target in results.environments)
    return {
        target: _joined(r.environments[target] for r in files.values() if target in r.environments)
        for target in targets
    }


def _differing(files: Named) -> list[Problem]:
    """Files of other cases, or of another version of the suite, than the first."""
    first, *others = files
    compared = (("cases_digest", "the digest of the cases"), ("suite_version", "the version of the suite"))
    problems = []
    for name, what in compared:
        expected = getattr(files[first].header, name)
        for path in others:
            found = getattr(files[path].header, name)
            if found != expected:
                said = f"{what}, {found:.12}, differs from {expected:.12} in {first}"
                problems.append(Problem(str(path), None, "", said))
    return problems


def _edited(files: Named) -> list[Problem]:
    """Adapters and lists that were not the same as for an earlier file."""
    digests = ((path, name, digest) for path, r in files.items() for name, digest in r.header.files.items())
    return [
        Problem(str(path), None, "", f"{name} was another one in the run of {where}")
        for path, name, _, _, where in _unlike(digests)
    ]


def _versions(files: Named) -> list[Problem]:
    """Targets that ran with other versions than in an earlier file; other facts may differ between machines."""
    facts = (
        (path, (target, name), value)
        for path, results in files.items()
        for target, facts in results.environments.items()
        for name, value in facts.items()
    )
    return [
        Problem(str(path), None, "", f"{target} ran with {name} {value} here and {before} in {where}")
        for path, (target, name), value, before, where in _unlike(facts)
        if "." in value and _is_version(before) and _is_version(value)
    ]


def _unlike(said: Iterable[tuple[Path, Key, str]]) -> Iterator[tuple[Path, Key, str, str, Path]]:
    """What a file says otherwise than the first one that speaks of it: both values, and where that stands."""
    seen: dict[Key, tuple[str, Path]] = {}
    for path, key, value in said:
        before, where = seen.setdefault(key, (value, path))
        if before != value:
            yield path, key, value, before, where


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _missing_shards(files: Named) -> list[Problem]:
    """Parts that no file holds, of each run that was split; runs with other options are others."""
    found: dict[tuple[str, str, int], dict[int, Path]] = defaultdict(dict)
    for path, results in files.items():
        options = results.header.options
        if options and options.shard:
            index, _, count = options.shard.partition("/")
            asked = as_json(replace(options, shard=""))
            found[", ".join(results.header.targets), asked, int(count)][int(index)] = path
    return [
        Problem(str(min(parts.values())), None, "", f"part {index}/{count} of the same run on {targets} is missing")
        for (targets, _, count), parts in found.items()
        for index in range(1, count + 1)
        if index not in parts
    ]


def _disagreements(files: Named) -> list[Problem]:
    """Trials that are in two files with different verdicts."""
    verdicts = ((path, trial.id, trial.verdict) for path, r in files.items() for trial in r.judged.values())
    return [
        Problem(str(path), None, "", f"{trial} is {verdict} here and {before} in {where}")
        for path, trial, verdict, before, where in _unlike(verdicts)
    ]


def _stale(files: Named, trials: list[Trial]) -> list[str]:
    """Entries of lists that match no trial of any file."""
    entries = sorted({entry for r in files.values() if r.footer for entry in r.footer.stale})
    return [entry for entry in entries if not any(any_glob(_globs(entry)).fullmatch(trial.id) for trial in trials)]


def _globs(entry: str) -> list[str]:
    """The globs of `FILE:LINE: GLOB, GLOB`, as footers write stale entries."""
    return re.sub(r"^.*?:\d+: ", "", entry).split(", ")
