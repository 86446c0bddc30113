"""What is the same in every run, kept between them: cases, lists, requests, references; nothing of a framework.

A key holds all that the kept value depends on: the code that computes it, the versions of the libraries below it, the
processor, and the content of the case. Whatever is wrong with the store, the run goes on without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
import threading
from functools import cache
from importlib.metadata import version
from pathlib import Path

import lmdb

_LIBRARIES = ("numpy", "ml-dtypes", "python-flint")
_FILES = ("cache.py", "checked.py", "globs.py", "references.py", "requests.py", "yamlfile.py")
_CODE = ("casefiles", "losses", "judge", *_FILES, "targets/answer.py", "targets/wire.py")
"""What of the package the kept values come from."""
_KEPT_FILES = 1
"""Stores of other versions that are left in the folder; each may hold some 200 MB."""
_MOST = 2**34
"""Bytes that a store may grow to. So much of the address space is set aside for it, nothing of the disk."""
_LARGE = 4096
"""Bytes from which a value is read where it lies in the file, as it has pages there of its own, which never change:
nothing is replaced or deleted. Smaller ones share pages, which LMDB may use again, and are copied."""
SUFFIX = ".lmdb"


class Cache:
    """Values by key, in one file of the user's cache folder; without a `path` nothing is found and nothing kept.

    A key is at most 511 bytes, and says all that the value depends on beside the code; a digest may stand for it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._new: dict[bytes, bytes | memoryview] = {}
        self._store = None if path is None else _open(path)
        self._found: lmdb.Transaction | None = None
        self._reading = threading.Lock()  # a transaction is for one thread at a time
        if self._store is not None:
            with contextlib.suppress(lmdb.Error):  # as many runs as it has places for may read there already
                self._found = self._store.begin(buffers=True)

    def get(self, key: bytes) -> bytes | memoryview | None:
        """The value that an earlier run has kept; a large one is not read before it is looked at."""
        if self._found is None:
            return None
        try:
            with self._reading:
                value = self._found.get(key)
        except lmdb.Error:
            self._found = None
            return None
        return bytes(value) if value is not None and len(value) < _LARGE else value

    def put(self, key: bytes, value: bytes | memoryview) -> None:
        if self._store is not None:
            self._new[key] = value

    def save(self) -> None:
        """Write what is new."""
        if self._store is not None and self._new:
            with contextlib.suppress(lmdb.Error), self._store.begin(write=True) as writing:
                for key, value in self._new.items():
                    writing.put(key, value, overwrite=False)
            self._new = {}


def user_cache() -> Cache:
    """The store of this version in `$CONFORMANCE_CACHE`, by default in the user's cache folder; none where that is
    empty or cannot be written."""
    chosen = os.environ.get("CONFORMANCE_CACHE")
    if chosen == "":
        return Cache()
    folder = Path(chosen) if chosen else _user_folder() / "loss-conformance"
    return Cache(folder / f"{suite_digest()[:24]}{SUFFIX}")


@cache
def suite_digest() -> str:
    """SHA-256 of our code, of the versions of what it computes with, and of the processor's name."""
    total = hashlib.sha256("\0".join([sys.version, *map(_version, _LIBRARIES), processor()]).encode())
    root = Path(__file__).parent
    for part in _CODE:
        for path in sorted((root / part).rglob("*.py")) if (root / part).is_dir() else [root / part]:
            total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


@cache
def processor() -> str:
    """The processor's model, which platform.processor() does not say on Linux."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a device file, read line by line
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def _version(name: str) -> str:
    return f"{name} {version(name)}"


def _user_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@cache
def _open(path: Path) -> lmdb.Environment | None:
    """The store, made anew when it cannot be read, or None where there can be none.

    It stays open until the process ends: a file must not be opened twice, and what was found in it lies there.
    """
    with contextlib.suppress(OSError, RuntimeError, lmdb.Error):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists()
        try:
            store = _environment(path)
        except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError):
            path.unlink(missing_ok=True)
            store = _environment(path)
        if fresh:
            _forget_old(path)
        return store
    return None


def _environment(path: Path) -> lmdb.Environment:
    """The file's environment. Raises `lmdb.Error`, also where the file is shorter than it says itself: what lacks would
    be read as a bus error."""
    store = lmdb.open(str(path), subdir=False, map_size=_MOST, max_dbs=0)
    store.reader_check()  # runs that were killed have left their places
    if path.stat().st_size < (store.info()["last_pgno"] + 1) * store.stat()["psize"]:
        store.close()
        raise lmdb.CorruptedError("the file was cut off")
    return store


def _forget_old(path: Path) -> None:
    with contextlib.suppress(OSError):
        stores = sorted(path.parent.glob(f"*{SUFFIX}"), key=lambda p: p.stat().st_mtime)
        for old in stores[: -_KEPT_FILES - 1]:
            old.unlink()
            old.with_name(f"{old.name}-lock").unlink(missing_ok=True)
