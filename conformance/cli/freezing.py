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
        Write nothing; say which files are not what comes out, with exit status 1 if any.
    """
    from conformance.freeze import freeze, frozen

    files = find_files(paths) if paths else builtin_files()
    changed = [path for path in files if frozen(path) != path.read_text()] if check else freeze(files)
    for path in changed:
        print(f"{path}: {'differs from what ball arithmetic gives' if check else 'written'}")
    return MISMATCH if check and changed else 0
