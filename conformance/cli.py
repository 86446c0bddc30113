"""The command line. Commands gather their arguments and hand over; nothing is computed or drawn here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, validators

from conformance import __version__
from conformance.casefiles.load import builtin_files, find_files, load_cases
from conformance.casefiles.schema import json_schema_text
from conformance.errors import ConformanceError
from conformance.explain import explain_case
from conformance.freeze import freeze, frozen
from conformance.losses import LOSSES
from conformance.plan import make_plan
from conformance.report.html import write_html
from conformance.report.terminal import Progress, console, print_results
from conformance.results.file import Writer, read_results
from conformance.run import MISMATCH, UNUSABLE, run
from conformance.targets.names import find_adapters

INTERRUPTED = 130

app = App(
    name="conformance",
    version=__version__,
    help="Are a framework's cross-entropy losses right, in value and gradient?",
)
listing = App(name="list", help="List what there is: cases, targets, losses, or the JSON Schema of case files.")
app.command(listing)

CasePaths = Annotated[
    list[Path] | None,
    Parameter(name="--cases", negative="", help="Case file or folder to use instead of the shipped cases. Repeatable."),
]
AdapterFiles = Annotated[
    list[str] | None,
    Parameter(name="--adapter", negative="", help="An adapter of yours, as FILE.py:CLASS. Repeatable."),
]


@app.command(name="run")
def run_command(
    *targets: str,
    cases: CasePaths = None,
    adapter: AdapterFiles = None,
    select: Annotated[list[str] | None, Parameter(negative="")] = None,
    dtype: Annotated[list[str] | None, Parameter(negative="")] = None,
    deviations: Annotated[list[Path] | None, Parameter(negative="")] = None,
    python: Annotated[list[str] | None, Parameter(negative="")] = None,
    results: Path = Path("conformance-results.jsonl"),
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
    results
        Where the result file is written.
    jobs
        How many targets run at once.
    timeout
        Seconds that one trial may take.
    """
    plan = make_plan(
        targets,
        case_paths=cases or (),
        adapter_files=adapter or (),
        select=select or (),
        dtypes=dtype or (),
        deviation_paths=deviations or (),
        pythons=python or (),
    )
    screen = console()
    with Writer(results) as writer, Progress(console(stderr=True), plan.planned) as progress:

        def write(line: object) -> None:
            writer.write(line)  # type: ignore[arg-type]
            progress.saw(line)

        footer = run(plan, write, command=["conformance", *sys.argv[1:]], jobs=jobs, timeout=timeout)
    print_results(screen, read_results(results))
    if plan.planned == 0 and select:
        example = "cross_entropy/worked_example[torch:cpu:eager-float32]"
        print(f"nothing matches {', '.join(select)}; trial ids look like {example}")
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
    explain_case(console(), case, cases or [], adapter or [])
    return 0


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
    files = find_files(paths) if paths else builtin_files()
    changed = [path for path in files if frozen(path) != path.read_text()] if check else freeze(files)
    for path in changed:
        print(f"{path}: {'differs from what ball arithmetic gives' if check else 'written'}")
    return MISMATCH if check and changed else 0


@listing.command(name="cases")
def list_cases(*, cases: CasePaths = None) -> int:
    """List the cases: id and title."""
    for case in load_cases(find_files(cases) if cases else builtin_files()):
        print(f"{case.id}  {case.title}".rstrip())
    return 0


@listing.command(name="targets")
def list_targets(*, adapter: AdapterFiles = None) -> int:
    """List the adapters with their devices and modes, and what is not installed."""
    for found in find_adapters(adapter or ()).values():
        devices, modes = ", ".join(found.devices) or "any device", ", ".join(found.modes) or "any mode"
        missing = found.missing()
        note = f"  (not installed: {', '.join(missing)})" if missing else ""
        print(f"{found.name}  {devices}  {modes}{note}")
    return 0


@listing.command(name="losses")
def list_losses() -> int:
    """List the losses with their inputs and options."""
    for loss in LOSSES.values():
        options = ", ".join(f"{p.name}={p.default!r}" for p in loss.options.values())
        print(f"{loss.name}({', '.join(loss.inputs)}{'; ' + options if options else ''})")
    return 0


@listing.command(name="schema")
def list_schema() -> int:
    """Print the JSON Schema of case files, for editors."""
    print(json_schema_text(), end="")
    return 0


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its status; what is the user's to fix is said without a traceback."""
    try:
        status = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, ConformanceError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        status = UNUSABLE
    except KeyboardInterrupt:
        print("conformance: interrupted; what was judged is in the result file", file=sys.stderr)
        status = INTERRUPTED
    sys.exit(status if isinstance(status, int) else 0)
