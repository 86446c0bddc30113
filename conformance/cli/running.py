"""Commands that try frameworks or show what came of it: run, report, explain."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, validators

from conformance.cli.app import AdapterFiles, CasePaths, app
from conformance.errors import UsageError
from conformance.plan import Plan, interpreters, plan_of
from conformance.report.terminal import Progress, console, print_results, waiting
from conformance.results.file import Results, Writer, collect, read_results
from conformance.results.records import Footer, Line
from conformance.resume import resumed_plan
from conformance.run import run
from conformance.settings import Settings, find_settings
from conformance.targets.early import Early
from conformance.targets.process import Limits


@app.command(name="run")
def run_command(
    *targets: str,
    cases: CasePaths = None,
    adapter: AdapterFiles = None,
    select: Annotated[list[str] | None, Parameter(negative="")] = None,
    dtype: Annotated[list[str] | None, Parameter(negative="")] = None,
    deviations: Annotated[list[Path] | None, Parameter(negative="")] = None,
    python: Annotated[list[str] | None, Parameter(negative="")] = None,
    slow: Annotated[bool | None, Parameter(negative="")] = None,
    shard: str = "",
    results: Path | None = None,
    resume: Path | None = None,
    update_deviations: Annotated[bool, Parameter(negative="")] = False,
    jobs: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    timeout: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None,
    memory: Annotated[float | None, Parameter(validator=validators.Number(gte=0))] = None,
    restarts: Annotated[int | None, Parameter(validator=validators.Number(gte=0))] = None,
    twice: bool | None = None,
    cache: bool | None = None,
    in_process: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Try the cases on targets and judge every trial.

    Defaults come from [tool.conformance] in the nearest pyproject.toml, with the names of the options as keys.
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
        How many targets run at once; a single one that compiles is given as many processes.
    timeout
        Seconds that one trial may take.
    memory
        GiB of data that a worker may hold, 0 for no limit; by default what the machine has, and no limit on a GPU.
    restarts
        How often a target's worker is started anew after it died.
    twice
        Put every question twice and report results whose bits differ; by default on every device but the CPU.
    in_process
        Run the frameworks in this process, for a debugger: a crash ends everything, and nothing times out.
    cache
        Keep parsed cases and references in the user's cache folder ($CONFORMANCE_CACHE names another), and use them.
    """
    if resume and results:
        raise UsageError(f"--resume {resume} goes on in that file; leave out --results {results}")
    given: dict[str, Any] = {
        "targets": list(targets),
        "cases": [str(path) for path in cases or ()],
        "adapter": adapter,
        "select": select,
        "dtype": dtype,
        "deviations": [str(path) for path in deviations or ()],
        "python": interpreters(python or ()),
        "slow": slow,
        "results": None if results is None else str(results),
        "jobs": jobs,
        "timeout": timeout,
        "memory": memory,
        "restarts": restarts,
        "twice": twice,
        "cache": cache,
    }
    chosen = find_settings(Path.cwd()).replaced(**given)
    planned = partial(plan_of, cached=chosen.cache)
    before = read_results(resume) if resume else None
    limits = Limits(chosen.timeout, chosen.memory, chosen.restarts, chosen.twice)
    with Early(chosen.jobs, limits) as early:
        with waiting(console(stderr=True), "reading the cases"):
            if resume and before:  # what was tried is in the file, whatever the project's table says by now
                plan = resumed_plan(resume, before, Settings().replaced(**given).options(shard), planned)
            else:
                plan = planned(chosen.options(shard), begin=None if in_process else early.begin)
        if update_deviations and plan.options.cases and not plan.options.deviations:
            raise UsageError(
                "--update-deviations: with cases of your own, name a list of your own with --deviations FILE"
            )
        file = resume or Path(chosen.results)
        trying = partial(run, jobs=chosen.jobs, limits=limits, in_process=in_process, new_worker=early.take)
        finished = before is not None and before.footer is not None and len(before.judged) == plan.planned
        read = before if before and finished else _try(plan, file, before, trying)
    print_results(console(), read)
    for line in _updated(plan, read) if update_deviations else ():
        print(line)
    if plan.planned == 0 and plan.options.select:
        example = "cross_entropy/worked_example[torch:cpu:eager-float32]"
        print(f"nothing matches {', '.join(plan.options.select)}; trial ids look like {example}")
    print(f"Results: {file}")
    assert read.footer is not None
    return read.footer.exit_status


def _updated(plan: Plan, results: Results) -> Iterator[str]:
    from conformance.relist import update_deviations

    return update_deviations(plan, results)


def _try(plan: Plan, results: Path, before: Results | None, trying: Callable[..., Footer]) -> Results:
    """Run the plan, or what `before` left of it, into the result file, with a bar in the terminal."""
    lines: list[Line] = []
    done = len(before.judged) if before else 0
    bar = Progress(console(stderr=True), plan.planned, done)
    with Writer(results, resume=before is not None) as writer, bar as progress:

        def write(new: Sequence[Line]) -> None:
            writer.write(*new)
            lines.extend(new)
            progress.saw(new)

        command = ["conformance", *sys.argv[1:]]
        gc.freeze()  # the plan stays to the end: no need to look for garbage in it again and again
        try:
            trying(plan, write, command=command, before=before)
        except KeyboardInterrupt:
            said = f"what was judged is in {results}; finish it with `conformance run --resume {results}`"
            print(f"conformance: {said}", file=sys.stderr)
            raise
        finally:
            gc.unfreeze()
    return read_results(results) if before else collect(results, lines)


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
        from conformance.report.html import write_html

        write_html(read, html)
        print(f"Report: {html}")
    if markdown or badge or github:
        from conformance.report import github as job
        from conformance.report.write import write_text

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
    from conformance.explain import explain_case

    explain_case(console(), case, cases or [], adapter or [])
    return 0
