"""What a worker has answered outlives it, whole."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from conformance.targets import journal
from conformance.targets.journal import Journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


def left_in(path):
    with path.open("rb") as file:
        return journal.left_in(file)


def test_what_was_added_is_left(path):
    kept = Journal(str(path))
    assert (bool(kept), left_in(path)) == (False, b"")
    kept.add(b"one")
    kept.add(b"two")
    assert (bool(kept), kept.content(), left_in(path)) == (True, b"onetwo", b"onetwo")
    kept.clear()
    assert (bool(kept), left_in(path)) == (False, b"")
    kept.add(b"x")
    assert left_in(path) == b"x"


def test_a_process_that_is_killed_leaves_what_it_added(path):
    script = f"""
import os
from conformance.targets.journal import Journal
journal = Journal({str(path)!r})
journal.add(b"answered")
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert left_in(path) == b"answered"


def test_what_does_not_fit_is_said_before(path):
    kept = Journal(str(path))
    assert kept.fits(bytes(journal._CAPACITY))
    assert not kept.fits(bytes(journal._CAPACITY + 1))
    kept.add(bytes(journal._CAPACITY - 3))
    assert kept.fits(b"abc")
    assert not kept.fits(b"abcd")


def test_where_the_disk_is_full_nothing_fits(path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    kept = Journal(str(path))
    assert not kept
    assert not kept.fits(b"x")
    kept.clear()
    assert left_in(path) == b""


def test_a_process_whose_files_were_closed_hears_of_it(path):
    kept = Journal(str(path))
    os.close(kept._descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        kept.add(b"x")


@pytest.mark.parametrize("content", [b"", b"1234"])
def test_a_process_that_wrote_nothing_left_nothing(path, content):
    path.write_bytes(content)
    assert left_in(path) == b""
