"""Commands that read several result files: merge, diff."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from conformance.cli.app import app
from conformance.errors import UsageError
from conformance.report import changes
from conformance.report.terminal import console, print_results
from conformance.report.write import write_text
from conformance.results.diff import REGRESSIONS, Diff, diff, names_of, renamed
from conformance.results.file import Writer, collect, read_all
from conformance.results.merge import merge
from conformance.results.records import as_plain, json_of
from conformance.results.status import INCOMPLETE, MISMATCH


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
    read = read_all(files)
    lines = merge(read, ["conformance", *sys.argv[1:]])
    with Writer(results) as writer:
        writer.write(*lines)
    merged = collect(results, lines)
    print_results(console(), merged)
    print(f"Results: {results}")
    assert merged.footer is not None
    return merged.footer.exit_status


@app.command(name="diff")
def diff_command(
    old: Path,
    new: Path,
    *,
    format: Literal["text", "markdown", "json", "github"] = "text",  # noqa: A002 - the name of the option
    output: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    factor: Annotated[float, Parameter(validator=validators.Number(gt=1))] = 2.0,
    rename: Annotated[list[str] | None, Parameter(negative="")] = None,
) -> int:
    """Say what changed from one run to another.

    Exit status: 0, 1 (a regression: a new failure, or a trial that is no longer run), 2 (unusable input) or 3 (no
    regression in what there is, but a run is incomplete).

    Parameters
    ----------
    old
        The result file to compare with.
    new
        The result file that may have changed.
    format
        How to write what changed; github prints annotations of a workflow.
    output
        Where to write it instead of to standard output.
    factor
        By how much an error must grow or shrink to be listed. Errors below half an ulp count as half an ulp.
    rename
        Compare a target of OLD with one of another name in NEW, as OLD=NEW, such as torch-fork=torch. Repeatable.
    """
    names, read = _names(rename or []), read_all([old, new])
    there = read[old].header.targets
    known = {name for target in there for name in names_of(target)}
    if unknown := [name for name in names if name not in known]:
        holds = f"it has {', '.join(there)}"
        raise UsageError("\n".join(f"--rename {n}={names[n]}: {old} has no target {n}; {holds}" for n in unknown))
    before, after = renamed(read[old], names), read[new]
    found = diff(before, after, factor)
    if before.trials and after.trials and not found.compared:
        has = [f"{path} has {', '.join(read[path].header.targets)}" for path in (old, new)]
        raise UsageError(f"no trial is in both files: {' and '.join(has)}; --rename OLD=NEW pairs targets")
    write_text(
        {"text": changes.text, "markdown": changes.markdown, "json": _json, "github": changes.commands}[format](found),
        output,
    )
    if found.of(*REGRESSIONS):
        return MISMATCH
    return 0 if found.complete else INCOMPLETE


def _json(found: Diff) -> str:
    return json_of(as_plain(found), indent=1) + "\n"


def _names(pairs: list[str]) -> dict[str, str]:
    names = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise UsageError(f"--rename {pair}: write OLD=NEW, such as torch-fork=torch")
        names[old] = new
    return names
