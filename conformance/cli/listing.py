"""Commands that list what there is."""

from __future__ import annotations

from typing import Literal

from conformance.casefiles.load import builtin_files, find_files, load_cases
from conformance.cli.app import AdapterFiles, CasePaths, listing
from conformance.losses import LOSSES
from conformance.targets.names import find_adapters


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
def list_schema(of: Literal["cases", "deviations"] = "cases", /) -> int:
    """Print the JSON Schema of case files, or of lists of known deviations, for editors."""
    if of == "cases":
        from conformance.casefiles.schema import json_schema_text as text
    else:
        from conformance.judge.deviations import list_schema_text as text
    print(text(), end="")
    return 0
