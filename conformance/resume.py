"""Finish a run that was cut off: the same plan again, and proof that it is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from conformance import __version__
from conformance.errors import ResultError
from conformance.plan import Plan
from conformance.results.file import Results
from conformance.results.records import Options


def resumed_plan(path: Path, results: Results, given: Options, plan: Callable[[Options], Plan]) -> Plan:
    """The plan of the run that wrote the results of `path`, made anew by `plan`.

    `given` are the options of this command line; they may be left out, and must not differ. Raises `ResultError`
    naming everything that is no longer as it was.
    """
    header = results.header
    if header.options is None:
        why = "it does not say what was asked for, as a merged file, one of an earlier version or a choice by pytest"
        raise ResultError(f"cannot resume {path}: {why}; start a new run")
    faults = [
        f"{_flag(name)} is {_shown(value)} here and {_shown(getattr(header.options, name))} in the file"
        for name, value in vars(given).items()
        if value and value != getattr(header.options, name)
    ]
    if header.suite_version != __version__:
        faults.append(f"it was written by version {header.suite_version} of the suite; this is {__version__}")
    _refuse(path, faults)
    again = plan(header.options)
    if again.digest != header.cases_digest:
        faults.append("the cases have changed since")
    targets = [str(target) for target in again.chosen]
    if targets != header.targets:
        faults.append(f"the targets are {_shown(targets)} here and {_shown(header.targets)} in the file")
    faults += [f"{name} has changed since" for name, digest in again.files.items() if header.files.get(name) != digest]
    _refuse(path, faults)
    return again


def check_environment(target: str, facts: Mapping[str, str], before: Mapping[str, Mapping[str, str]]) -> None:
    """Raise `ResultError` when a target is not what it was when the first part of its trials was judged."""
    facts = {name: fact for name, fact in facts.items() if name != "second try"}
    earlier = {name: fact for name, fact in before.get(target, facts).items() if name != "second try"}
    changed = [
        f"{name} is {facts.get(name, 'missing')} here and {earlier.get(name, 'missing')} in the file"
        for name in sorted({*facts, *earlier})
        if facts.get(name) != earlier.get(name)
    ]
    if changed:
        raise ResultError(f"cannot resume: {target} is not what it was: {'; '.join(changed)}; start a new run")


def _refuse(path: Path, faults: list[str]) -> None:
    if faults:
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise ResultError(f"cannot resume {path}; start a new run, or take back what differs:\n{listed}")


def _flag(name: str) -> str:
    return "the list of targets" if name == "targets" else f"--{name}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "given" if value else "not given"
    return (" ".join(value) if isinstance(value, list) else value) or "not given"
