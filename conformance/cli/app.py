"""The application that the commands join, and the options that several of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from conformance import __version__

app = App(
    name="conformance",
    version=__version__,
    help="Are a framework's cross-entropy losses right, in value and gradient?",
    suppress_keyboard_interrupt=False,
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
