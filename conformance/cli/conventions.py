"""The command that shows the conventions catalogue: conventions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from conformance.catalogue import observed, recorded
from conformance.cli.app import AdapterFiles, CasePaths, app
from conformance.report.conventions import catalogue, columns
from conformance.report.conventions_text import as_json, markdown, print_pages, print_table
from conformance.report.terminal import console
from conformance.results.records import FAILING
from conformance.results.status import MISMATCH


@app.command
def conventions(
    *names: str,
    results: Path | None = None,
    output: Annotated[Literal["text", "markdown", "json"], Parameter(name="--format")] = "text",
    cases: CasePaths = None,
    adapter: AdapterFiles = None,
    jobs: int = 2,
) -> int:
    """Show which library does what, where libraries differ on purpose.

    Exit status: 0, 1 (an outcome that no name fits, or one that breaks a library's own documentation), 2 or 3.

    Parameters
    ----------
    names
        Targets, as ADAPTER[:DEVICE[:MODE]]; and names of conventions, or ids of their cases, to show in full.
    results
        Show what this result file holds instead of running.
    output
        How to show it.
    jobs
        How many targets run at once.
    """
    targets: list[str] = []
    if results:
        read, wanted, targets = recorded(results, names)
    else:
        read, wanted = observed(names, case_paths=cases or (), adapter_files=adapter or (), jobs=jobs)
    shown = columns(read, targets)
    topics = catalogue(read, shown, wanted)
    if output == "markdown":
        print(markdown(read, topics, shown), end="")
    elif output == "json":
        print(as_json(topics, shown))
    elif wanted:
        print_pages(console(), topics, shown)
    else:
        print_table(console(), topics, shown)
    failing = any(t.convention and t.verdict in FAILING and t.target in shown for t in read.trials)
    return MISMATCH if failing else 0
