"""Commands that look for inputs on which a framework fails, and show one as a script: search, repro."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from conformance.cli.app import AdapterFiles, CasePaths, app
from conformance.errors import UsageError
from conformance.losses import LOSSES
from conformance.plan import make_plan
from conformance.report.terminal import console
from conformance.repro import Recorder, named, reproduce
from conformance.results.status import INCOMPLETE, MISMATCH
from conformance.targets.tried import check_tried, choose_targets

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}


@app.command(name="search")
def search_command(
    *targets: str,
    time: str = "60s",
    examples: Annotated[int | None, Parameter(validator=validators.Number(gt=0))] = None,
    seed: int = 0,
    loss: Annotated[list[str] | None, Parameter(negative="")] = None,
    laws_only: Annotated[bool, Parameter(negative="")] = False,
    findings: Path = Path("conformance-findings"),
    cases: CasePaths = None,
    adapter: AdapterFiles = None,
    deviations: Annotated[list[Path] | None, Parameter(negative="")] = None,
    python: Annotated[list[str] | None, Parameter(negative="")] = None,
    timeout: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 60.0,
) -> int:
    """Draw inputs by regime, judge them like cases and by laws that need no reference, and shrink what fails.

    Every new finding is written as a case file with a script beside it. Failures with the signature of a listed
    deviation, or of a finding that is there already, are counted and not repeated.

    Exit status: 0, 1 (new findings), 2 (unusable input) or 3 (a target that could not be started).

    Parameters
    ----------
    targets
        What to search, each as ADAPTER[:DEVICE[:MODE]]; by default every installed framework on the CPU.
    time
        How long to search each target, such as 90s or 5m.
    examples
        Draw this many examples of each loss instead; the same seed then draws the same ones.
    seed
        Where the drawing starts.
    loss
        Only this loss. Repeatable.
    laws_only
        Try the laws alone.
    findings
        The folder for findings, and for the examples that a later search goes on from.
    deviations
        A list of known deviations of your own, beside those shipped with the adapters. Repeatable.
    python
        The interpreter that an adapter's framework lives in, as ADAPTER=PATH. Repeatable.
    timeout
        Seconds that one answer may take.
    """
    try:
        from conformance.report.searching import Watching, print_outcomes
        from conformance.search.campaign import Budget, search
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise UsageError("search needs hypothesis: pip install 'loss-conformance[search]'") from error
    unknown = [name for name in loss or () if name not in LOSSES]
    if unknown:
        raise UsageError(f"unknown loss {', '.join(unknown)}: the losses are {', '.join(LOSSES)}")
    budget = Budget(_seconds(time) if examples is None else float("inf"), examples, timeout)
    tried = choose_targets(targets, adapter or (), python or ())
    check_tried(tried, adapter or ())
    plan = make_plan(
        targets,
        case_paths=cases or (),
        adapter_files=adapter or (),
        deviation_paths=deviations or (),
        pythons=python or (),
        slow=True,  # what is listed is tried first, however long it takes
        tried=tried,
    )
    with Watching(console(), console(stderr=True), budget, len(plan.chosen)) as watching:
        options = {"seed": seed, "folder": findings, "watcher": watching, "losses": loss or (), "laws_only": laws_only}
        outcomes = search(plan, budget, **options)  # type: ignore[arg-type]
    print_outcomes(console(), outcomes, plan.unavailable)
    if any(outcome.failure for outcome in outcomes):
        return INCOMPLETE
    return MISMATCH if any(outcome.written for outcome in outcomes) else 0


@app.command
def repro(
    trial: str,
    *,
    cases: CasePaths = None,
    adapter: AdapterFiles = None,
    python: Annotated[list[str] | None, Parameter(negative="")] = None,
) -> int:
    """Print a trial as a script in the framework's own API, ready for an issue; nothing of the suite is needed to run
    it.

    Parameters
    ----------
    trial
        Id of the trial, such as softmax/ties[torch:cpu:eager-float32-gradient].
    python
        The interpreter that an adapter's framework lives in, as ADAPTER=PATH. Repeatable.
    """
    wanted = named(trial, cases or (), adapter or (), python or ())
    with Recorder(wanted.target) as recorder:
        print(reproduce(wanted.question, recorder), end="")
    return 0


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|)", text.strip())
    if not found or float(found[1]) == 0:
        raise UsageError(f"--time {text}: write a number of seconds, or 90s, 5m, 1h")
    return float(found[1]) * _UNITS[found[2]]
