"""What our own mathematics gave, kept between runs: parsed cases and references, never anything of a framework.

A key holds all that the kept value depends on: the code that computes it, the versions of the libraries below it, the
processor, and the content of the case. Whatever is wrong with the store, the run goes on without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sqlite3
import sys
import weakref
from functools import cache
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("numpy", "ml-dtypes", "python-flint")
_CODE = ("casefiles", "losses", "judge", "cache.py", "references.py")
"""What of the package the kept values come from."""
_KEPT_FILES = 1
"""Stores of other versions that are left in the folder; each may hold some 200 MB."""
_MAPPED = 2**30
"""Bytes of a store that are read through the page cache, without copying each page first."""
_PAGE = 2**16
"""Bytes of a page: a value that does not fit is followed from page to page, so that few large ones are read sooner."""
_AT_HAND = 128
"""Keys whose parts are held in memory: a target asks for the parts of a case one after the other."""


class Cache:
    """Values by key and part of it, in one file of the user's cache folder; without a `path` nothing is found and
    nothing kept."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._new: dict[tuple[bytes, str], bytes] = {}
        self._at_hand: dict[bytes, dict[str, bytes]] = {}
        self._store = None if path is None else _open(path)
        if self._store is not None:
            weakref.finalize(self, self._store.close)

    def get(self, key: bytes, part: str = "") -> bytes | None:
        if self._store is None:
            return None
        if key not in self._at_hand:
            try:
                rows = self._store.execute("SELECT part, value FROM kept WHERE key = ?", (key,)).fetchall()
            except sqlite3.Error:
                self._store = None
                return None
            if len(self._at_hand) == _AT_HAND:
                del self._at_hand[next(iter(self._at_hand))]  # the oldest
            self._at_hand[key] = dict(rows)
        return self._at_hand[key].get(part)

    def put(self, key: bytes, value: bytes, part: str = "") -> None:
        if self._store is not None:
            self._new[key, part] = value

    def save(self) -> None:
        """Write what is new; when another run is writing, it is left to that one."""
        if self._store is not None and self._new:
            with contextlib.suppress(sqlite3.Error), self._store:
                rows = [(key, part, value) for (key, part), value in self._new.items()]
                self._store.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", rows)
            self._new = {}


def user_cache() -> Cache:
    """The store of this version in `$CONFORMANCE_CACHE`, by default in the user's cache folder; none where that is
    empty or cannot be written."""
    chosen = os.environ.get("CONFORMANCE_CACHE")
    if chosen == "":
        return Cache()
    folder = Path(chosen) if chosen else _user_folder() / "loss-conformance"
    return Cache(folder / f"{suite_digest()[:24]}.sqlite")


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


def _open(path: Path) -> sqlite3.Connection | None:
    """The store, made anew when it cannot be read, or None where there can be none."""
    for _ in range(2):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not path.exists()
            store = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
        except (OSError, RuntimeError, sqlite3.Error):
            return None
        try:
            store.execute(f"PRAGMA page_size = {_PAGE}")
            store.execute(f"PRAGMA mmap_size = {_MAPPED}")
            store.execute("CREATE TABLE IF NOT EXISTS kept (key BLOB, part TEXT, value BLOB, PRIMARY KEY (key, part))")
        except sqlite3.DatabaseError as error:
            store.close()
            if isinstance(error, sqlite3.OperationalError):
                return None
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            continue
        if fresh:
            _forget_old(path)
        return store
    return None


def _forget_old(path: Path) -> None:
    with contextlib.suppress(OSError):
        stores = sorted(path.parent.glob("*.sqlite"), key=lambda p: p.stat().st_mtime)
        for old in stores[: -_KEPT_FILES - 1]:
            old.unlink()
