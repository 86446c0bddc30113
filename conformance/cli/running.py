"""Commands that try frameworks or show what came of it: run, report, explain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from conformance.cli.app import AdapterFiles, CasePaths, app
from conformance.plan import interpreters, make_plan
from conformance.report.terminal import Progress, console, print_results
from conformance.results.file import Writer, read_results
from conformance.run import run
from conformance.settings import find_settings
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
    results: Path | None = None,
    slow: Annotated[bool | None, Parameter(negative="")] = None,
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
    results
        Where the result file is written.
    slow
        Try the cases tagged slow too.
    jobs
        How many targets run at once.
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
    chosen = find_settings(Path.cwd()).replaced(
        targets=list(targets),
        cases=cases,
        adapter=adapter,
        select=select,
        dtype=dtype,
        deviations=deviations,
        python=interpreters(python or ()),
        results=results,
        slow=slow,
        jobs=jobs,
        timeout=timeout,
        memory=memory,
        restarts=restarts,
        twice=twice,
        cache=cache,
    )
    plan = make_plan(
        chosen.targets,
        case_paths=[Path(path) for path in chosen.cases],
        adapter_files=chosen.adapter,
        select=chosen.select,
        dtypes=chosen.dtype,
        deviation_paths=[Path(path) for path in chosen.deviations],
        pythons=chosen.python,
        slow=chosen.slow,
        cached=chosen.cache,
    )
    limits = Limits(chosen.timeout, chosen.memory, chosen.restarts, chosen.twice)
    results = Path(chosen.results)
    screen = console()
    with Writer(results) as writer, Progress(console(stderr=True), plan.planned) as progress:

        def write(line: object) -> None:
            writer.write(line)  # type: ignore[arg-type]
            progress.saw(line)

        footer = run(
            plan, write, command=["conformance", *sys.argv[1:]], jobs=chosen.jobs, limits=limits, in_process=in_process
        )
    print_results(screen, read_results(results))
    if plan.planned == 0 and chosen.select:
        example = "cross_entropy/worked_example[torch:cpu:eager-float32]"
        print(f"nothing matches {', '.join(chosen.select)}; trial ids look like {example}")
    screen.print(f"Results: {results}", soft_wrap=True, highlight=False, markup=False)
    return footer.exit_status


@app.command
def report(results: Path, *, html: Path | None = None) -> int:
    """Show a result file, and write it as one self-contained HTML file.

    Parameters
    ----------
    results
        The result file of a run.
    html
        Where to write the HTML report.
    """
    read = read_results(results)
    if html is None:
        print_results(console(), read)
    else:
        from conformance.report.html import write_html

        write_html(read, html)
        print(f"Report: {html}")
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
