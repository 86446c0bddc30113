"""Case files: find them, and load their cases, parsed now or in an earlier run."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import count
from pathlib import Path

from conformance.cache import Cache
from conformance.casefiles.case import Case
from conformance.errors import CaseError, Problem

SUFFIXES = (".yaml", ".yml", ".json")
_LARGE = 2**14
"""Bytes of an array from which it is kept by itself."""


def builtin_files() -> list[Path]:
    """The case files that come with the suite."""
    folder = files("conformance.cases")
    return sorted(Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Case files named by `paths`; a folder stands for every case file below it."""
    found: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES)
            if not inside:
                problems.append(Problem(str(path), None, "", f"no case file here; they end in {', '.join(SUFFIXES)}"))
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            problems.append(Problem(str(path), None, "", "no such file or folder"))
    if problems:
        raise CaseError(problems)
    return found


def load_cases(paths: Sequence[Path], cache: Cache | None = None) -> list[Case]:
    """The cases of all files, in order. Raises `CaseError` naming everything that is wrong in any of them."""
    problems: list[Problem] = []
    cases: list[Case] = []
    for path in paths:
        cases += _load_file(path, cache or Cache(), problems)
    seen: dict[str, str] = {}
    for case in cases:
        if case.id in seen:
            problems.append(Problem.at(case.where, "id", f"duplicate id {case.id!r}, first used at {seen[case.id]}"))
        seen.setdefault(case.id, case.where)
    if problems:
        raise CaseError(problems)
    return cases


def digest(paths: Iterable[Path]) -> str:
    """SHA-256 of the files' contents, so that two runs can tell whether they tried the same cases."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _load_file(path: Path, cache: Cache, problems: list[Problem]) -> list[Case]:
    """The cases of one file; those without a fault are kept as the pickled objects."""
    file = _shown(path)
    key = hashlib.sha256(f"{file}\0".encode() + (path.read_bytes() if path.is_file() else b"")).digest()
    if (kept := _kept(cache, key)) is not None:
        return kept
    from conformance.casefiles.read import read_file  # the parser is slow to import, and seldom needed

    earlier = len(problems)
    cases = read_file(path, file, problems)
    if len(problems) == earlier:
        for case in cases:
            _ = case.fingerprint  # it is kept in the case, and every run asks for it
            if "gradient" in case.outputs and case.cotangent is None:
                _ = case.output_shape  # the same; inputs that are the point of a convention may have none
        _keep(cache, key, cases)
    return cases


def _kept(cache: Cache, key: bytes) -> list[Case] | None:
    """The cases that an earlier run has kept; large arrays lie in the store, and cost nothing before their use."""
    found = cache.get(key)
    if found is None:
        return None
    arrays = (cache.get(_part(key, i)) for i in count())
    cases: list[Case] = pickle.loads(found, buffers=arrays)  # noqa: S301 - the user's own
    return cases


def _keep(cache: Cache, key: bytes, cases: list[Case]) -> None:
    arrays: list[memoryview] = []

    def stays(buffer: pickle.PickleBuffer) -> bool:
        """Whether an array is pickled with the rest: a small one is."""
        if (raw := buffer.raw()).nbytes < _LARGE:
            return True
        arrays.append(raw)
        return False

    cache.put(key, pickle.dumps(cases, protocol=5, buffer_callback=stays))
    for i, array in enumerate(arrays):
        cache.put(_part(key, i), array)


def _part(key: bytes, i: int) -> bytes:
    return key + i.to_bytes(4)


def _shown(path: Path) -> str:
    """`path` relative to the working directory when it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
