"""What tests ask of processes that are not their own children."""

from __future__ import annotations

import os
import time
from pathlib import Path


def wait_for_the_end(process: int, seconds: float = 60) -> None:
    """Wait until a process has ended. Raises `AssertionError` when it has not by then."""
    end = time.monotonic() + seconds
    while _lives(process):
        assert time.monotonic() < end, f"process {process} goes on"
        time.sleep(0.01)


def _lives(process: int) -> bool:
    """Whether a process is there; one that has ended and that nobody has waited for is not."""
    try:
        os.kill(process, 0)
        stat = Path(f"/proc/{process}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
