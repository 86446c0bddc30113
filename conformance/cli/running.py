"""Commands that try frameworks or show what came of it: run, report, explain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from conformance import relist
from conformance.cli.app import AdapterFiles, CasePaths, app
from conformance.errors import UsageError
from conformance.explain import explain_case
from conformance.plan import Plan, plan_of
from conformance.report import github as job
from conformance.report.html import write_html
from conformance.report.terminal import Progress, console, print_results
from conformance.report.write import write_text
from conformance.results.file import Results, Writer, read_results
from conformance.results.records import Line, Options
from conformance.resume import resumed_plan
from conformance.run import run


@app.command(name="run")
def run_command(
    *targets: str,
    cases: CasePaths = None,
    adapter: AdapterFiles = None,
    select: Annotated[list[str] | None, Parameter(negative="")] = None,
    dtype: Annotated[list[str] | None, Parameter(negative="")] = None,
    deviations: Annotated[list[Path] | None, Parameter(negative="")] = None,
    python: Annotated[list[str] | None, Parameter(negative="")] = None,
    slow: Annotated[bool, Parameter(negative="")] = False,
    shard: str = "",
    results: Path | None = None,
    resume: Path | None = None,
    update_deviations: Annotated[bool, Parameter(negative="")] = False,
    jobs: int = 2,
    timeout: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 60.0,
) -> int:
    """Try the cases on targets and judge every trial.

    Exit status: 0, 1 (a failure), 2 (unusable input) or 3 (nothing ran, or less than planned).

    Parameters
    ----------
    targets
        What to try, each as ADAPTER[:DEVICE[:MODE]]; by default every installed framework on the CPU.
    select
        Only trials whose id, or whose case's id, matches this glob. Repeatable.
    dtype
        Only this dtype. Repeatable.
    deviations
        A list of known deviations of your own, beside those shipped with the adapters. Repeatable.
    python
        The interpreter that an adapter's framework lives in, as ADAPTER=PATH. Repeatable.
    shard
        Only the part I of N parts, as I/N. A case is always in the same part; `conformance merge` joins them.
    results
        Where the result file is written; by default conformance-results.jsonl.
    slow
        Try the cases tagged slow too.
    resume
        Finish the run that wrote this result file. What to try is taken from the file; what is judged stays.
    update_deviations
        Afterwards take what passes or is gone out of the lists of deviations, and put new failures in, without a
        reason: that is for you to write. The status is that of the run.
    jobs
        How many targets run at once.
    timeout
        Seconds that one trial may take.
    """
    given = Options(
        targets=list(targets),
        cases=[str(path) for path in cases or ()],
        adapter=adapter or [],
        select=select or [],
        dtype=dtype or [],
        deviations=[str(path) for path in deviations or ()],
        python=python or [],
        shard=shard,
        slow=slow,
    )
    if resume and results:
        raise UsageError(f"--resume {resume} goes on in that file; leave out --results {results}")
    before = read_results(resume) if resume else None
    plan = resumed_plan(resume, before, given, plan_of) if resume and before else plan_of(given)
    if update_deviations and plan.options.cases and not plan.options.deviations:
        raise UsageError("--update-deviations: with cases of your own, name a list of your own with --deviations FILE")
    results = resume or results or Path("conformance-results.jsonl")
    finished = before is not None and before.footer is not None and len(before.judged) == plan.planned
    if not finished:
        _try(plan, results, before, jobs, timeout)
    read = read_results(results)
    print_results(console(), read)
    for line in relist.update_deviations(plan, read) if update_deviations else ():
        print(line)
    if plan.planned == 0 and select:
        example = "cross_entropy/worked_example[torch:cpu:eager-float32]"
        print(f"nothing matches {', '.join(select)}; trial ids look like {example}")
    print(f"Results: {results}")
    assert read.footer is not None
    return read.footer.exit_status


def _try(plan: Plan, results: Path, before: Results | None, jobs: int, timeout: float) -> None:
    """Run the plan, or what `before` left of it, into the result file, with a bar in the terminal."""
    done = len(before.judged) if before else 0
    bar = Progress(console(stderr=True), plan.planned, done)
    with Writer(results, resume=before is not None) as writer, bar as progress:

        def write(line: Line) -> None:
            writer.write(line)
            progress.saw(line)

        command = ["conformance", *sys.argv[1:]]
        try:
            run(plan, write, command=command, jobs=jobs, timeout=timeout, before=before)
        except KeyboardInterrupt:
            print(f"conformance: finish it with `conformance run --resume {results}`", file=sys.stderr)
            raise


@app.command
def report(
    results: Path,
    *,
    html: Path | None = None,
    markdown: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    badge: Path | None = None,
    github: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show a result file in the terminal, or write it as what is asked for.

    Parameters
    ----------
    results
        The result file of a run.
    html
        Where to write one self-contained HTML file.
    markdown
        Where to write a job summary in Markdown; - is standard output.
    badge
        Where to write a badge as a shields.io endpoint.
    github
        Print the worst failures as annotations of a GitHub workflow.
    """
    read = read_results(results)
    if html is not None:
        write_html(read, html)
        print(f"Report: {html}")
    if markdown is not None:
        write_text(job.summary(read), markdown)
    if badge is not None:
        write_text(job.badge(read), badge)
    if github:
        print(job.commands(read), end="")
    if not (html or markdown or badge or github):
        print_results(console(), read)
    return 0


@app.command
def explain(case: str, *, cases: CasePaths = None, adapter: AdapterFiles = None) -> int:
    """Derive a case's value step by step, then show what each installed framework gives.

    Parameters
    ----------
    case
        Id of the case, such as cross_entropy/worked_example.
    """
    explain_case(console(), case, cases or [], adapter or [])
    return 0
