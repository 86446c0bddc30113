"""What `conformance run` does while the frameworks are at work, and after: write the result file, say what came of it.

A module of its own, as it is imported when they have been asked.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from conformance.plan import Plan
from conformance.report.progress import Progress
from conformance.report.terminal import console, print_results
from conformance.results.file import Results, Writer, collect, read_results
from conformance.results.records import Line
from conformance.run import judge_all
from conformance.targets.stream import Events


def judge_into(writer: Writer, plan: Plan, arrived: Iterable[Events], before: Results | None) -> Results:
    """Judge the answers of a run into the result file, with a bar in the terminal. The plan is what `before` left."""
    file = writer.path
    judged = len(before.judged) if before else 0
    if before and before.footer is not None and plan.planned == 0:
        return before
    lines: list[Line] = []
    bar = Progress(plan.planned + judged, judged)
    with bar as progress:

        def write(new: Sequence[Line]) -> None:
            writer.write(*new)
            lines.extend(new)
            progress.saw(new)

        gc.freeze()  # the plan stays to the end: no need to look for garbage in it again and again
        try:
            judge_all(plan, arrived, write, command=["conformance", *sys.argv[1:]], before=before)
        except KeyboardInterrupt:
            said = f"what was judged is in {file}; finish it with `conformance run --resume {file}`"
            print(f"conformance: {said}", file=sys.stderr)
            raise
        finally:
            gc.unfreeze()
    return read_results(file) if before else collect(file, lines)


def show(plan: Plan, results: Results, file: Path, *, update_deviations: bool) -> int:
    """Say what came of a run and bring its lists up to date if asked to; the exit status is returned."""
    print_results(console(), results)
    if update_deviations:
        from conformance.relist import update_deviations as updated

        for line in updated(plan, results):
            print(line)
    if plan.nothing:
        print(plan.nothing)
    print(f"Results: {file}")
    assert results.footer is not None
    return results.footer.exit_status
