"""The command that writes golden numbers: freeze."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from conformance.casefiles.load import builtin_files, find_files
from conformance.cli.app import app
from conformance.results.status import MISMATCH


@app.command(name="freeze")
def freeze_command(*paths: Path, check: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Write the golden numbers of ball arithmetic into case files.

    Parameters
    ----------
    paths
        Case files in YAML, or folders of them; by default the shipped ones.
    check
        Write nothing; say which lines are not what comes out, with exit status 1 if any.
    """
    from conformance.freeze import differing, freeze

    files = find_files(paths) if paths else builtin_files()
    if not check:
        for path in freeze(files):
            print(f"{path}: written")
        return 0
    found = {path: lines for path in files if (lines := differing(path))}
    for path, lines in found.items():
        print(f"{path}: differs from what ball arithmetic gives", *lines, sep="\n  ")
    return MISMATCH if found else 0
