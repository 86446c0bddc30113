"""Write a report to a file, or to standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from conformance.errors import ResultError


def write_text(text: str, path: Path | None) -> None:
    """Write `text`; None and `-` are standard output. Raises `ResultError` when `path` cannot be written."""
    if path is None or str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResultError(f"cannot write the report to {path}: {error.strerror or error}") from error
