"""The HTML report: one self-contained file."""

from __future__ import annotations

from pathlib import Path

from conformance.results.file import Results


def write_html(results: Results, path: Path) -> None:
    raise NotImplementedError
