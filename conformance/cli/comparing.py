"""Commands that read several result files: merge, diff."""

from __future__ import annotations

import sys
from pathlib import Path

from conformance.cli.app import app
from conformance.errors import UsageError
from conformance.report.terminal import console, print_results
from conformance.results.file import Writer, read_results
from conformance.results.merge import merge


@app.command(name="merge")
def merge_command(*files: Path, results: Path) -> int:
    """Join result files into one: the parts of a run that was split, or runs of different targets.

    Exit status: that of a run that had tried it all; 2 when the files do not belong together.

    Parameters
    ----------
    files
        Result files of the same cases.
    results
        Where the joined result file is written.
    """
    if not files:
        raise UsageError("merge: name the result files to join")
    read = {path: read_results(path) for path in files}
    lines = merge(read, ["conformance", *sys.argv[1:]])
    with Writer(results) as writer:
        for line in lines:
            writer.write(line)
    merged = read_results(results)
    print_results(console(), merged)
    print(f"Results: {results}")
    assert merged.footer is not None
    return merged.footer.exit_status
