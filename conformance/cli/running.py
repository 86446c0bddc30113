"""The command that tries frameworks: run. What comes after the plan is in `judging`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from conformance.cli.app import AdapterFiles, CasePaths, app
from conformance.errors import UsageError
from conformance.report.progress import waiting
from conformance.settings import Settings, find_settings, interpreters
from conformance.targets.early import Early
from conformance.targets.process import Limits

if TYPE_CHECKING:
    from conformance.results.records import Options
    from conformance.targets.tried import Tried


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
    limits = Limits(chosen.timeout, chosen.memory, chosen.restarts, chosen.twice)
    options = chosen.options(shard)
    with Early(chosen.jobs, limits, spare=not in_process) as early:
        tried = None if resume else _tried(options, adapter or (), None if in_process else early)
        from conformance.plan import plan_of  # all this while workers start
        from conformance.results.file import Writer, read_results
        from conformance.resume import resumed_plan
        from conformance.targets.stream import asking

        before = read_results(resume) if resume else None
        with waiting("reading the cases"):
            if resume and before:  # what was tried is in the file, whatever the project's table says by now
                again = partial(plan_of, cached=chosen.cache)
                plan = resumed_plan(resume, before, Settings().replaced(**given).options(shard), again)
            else:
                plan = plan_of(options, cached=chosen.cache, tried=tried)
        if update_deviations and plan.options.cases and not plan.options.deviations:
            raise UsageError(
                "--update-deviations: with cases of your own, name a list of your own with --deviations FILE"
            )
        left = plan.without(before.judged) if before else plan
        file = resume or Path(chosen.results)
        start = partial(asking, jobs=chosen.jobs, in_process=in_process, new_worker=early.take)
        with Writer(file, resume=before is not None) as writer, start(left.chosen, limits, plan.cache) as arrived:
            from conformance.cli.judging import judge_into, show  # and this while they work

            read = judge_into(writer, left, arrived, before)
    return show(plan, read, file, update_deviations=update_deviations)


def _tried(options: Options, adapters: Sequence[str], early: Early | None) -> Tried:
    """The targets that are asked for, whose workers begin, unless `select` may leave some of them without a question.
    `adapters` are those of the command line, which are to be among them."""
    from conformance.targets.tried import check_tried, choose_targets  # numpy is imported while a first worker starts

    tried = choose_targets(options.targets, options.adapter, options.python)
    check_tried(tried, adapters)
    if early and not options.select:
        early.begin(tried.targets)
    return tried
