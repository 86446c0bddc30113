"""Commands that show what a run found, or what a case asks: report, explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from conformance.cli.app import AdapterFiles, CasePaths, app
from conformance.report.terminal import console, print_results
from conformance.results.file import read_results

_STANDARD_OUTPUT = Path("-")


def _no_option(_: object, path: Path | None) -> None:
    """Refuse an option as the name of a file: it is taken for one where `-` is, and the name was forgotten."""
    if str(path).startswith("-") and path != _STANDARD_OUTPUT:
        raise ValueError("It is an option; name a file before it, or - for standard output.")


ReportFile = Annotated[Path | None, Parameter(allow_leading_hyphen=True, validator=_no_option)]


@app.command
def report(
    results: Path,
    *,
    html: ReportFile = None,
    markdown: ReportFile = None,
    badge: ReportFile = None,
    github: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show a result file in the terminal, or write it as what is asked for; the file - is standard output.

    Parameters
    ----------
    results
        The result file of a run.
    html
        Where to write one self-contained HTML file.
    markdown
        Where to write a job summary in Markdown.
    badge
        Where to write a badge as a shields.io endpoint.
    github
        Print the worst failures as annotations of a GitHub workflow.
    """
    read = read_results(results)
    if html is not None:
        from conformance.report.html import write_html

        write_html(read, html)
        if html != _STANDARD_OUTPUT:
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
