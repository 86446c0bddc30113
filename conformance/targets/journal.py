"""What a worker has answered and not sent yet, where it outlives the process: a file that both sides have in memory.

Standard library only, as the worker imports it.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import BinaryIO

_CAPACITY = 2**20
_LENGTH = struct.Struct("Q")
"""The file begins with the length of what it holds."""


class Journal:
    """The worker's side. Bytes that do not fit in are to be sent without it; where the disk is full, none do."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self._file = _mapped(self._descriptor)
        self._end = _LENGTH.size

    def __bool__(self) -> bool:
        return self._end > _LENGTH.size

    def fits(self, data: bytes) -> bool:
        return self._end + len(data) <= len(self._file)

    def add(self, data: bytes) -> None:
        """Raises OSError where somebody has closed the files of this process: then nobody will hear of anything."""
        os.get_inheritable(self._descriptor)  # the cheapest question that a closed descriptor does not answer
        self._file[self._end : self._end + len(data)] = data
        self._holds(self._end + len(data))

    def content(self) -> bytes:
        return self._file[_LENGTH.size : self._end]

    def clear(self) -> None:
        self._holds(_LENGTH.size)

    def _holds(self, end: int) -> None:
        """Said after it is true, as the process may end in between."""
        self._end = end
        _LENGTH.pack_into(self._file, 0, end - _LENGTH.size)


def _mapped(descriptor: int) -> mmap.mmap:
    """An empty file in memory. To write a page that has no room on the disk is fatal, so the room is taken before;
    where there is none, what is returned holds a length and nothing else."""
    size = _LENGTH.size + _CAPACITY
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.ftruncate(descriptor, size)
        return mmap.mmap(descriptor, size)
    except OSError:
        return mmap.mmap(-1, _LENGTH.size)


def left_in(file: BinaryIO) -> bytes:
    """What a process that has died left there."""
    file.seek(0)
    data = file.read()
    return data[_LENGTH.size :][: _LENGTH.unpack_from(data)[0]] if len(data) >= _LENGTH.size else b""
