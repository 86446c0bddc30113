"""The command line. Commands gather their arguments and hand over; nothing is computed or drawn here.

Each module registers its commands on the application when it is imported; only that of the given command is.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

from cyclopts import CycloptsError

from conformance.cli.app import app
from conformance.errors import ConformanceError
from conformance.results.status import UNUSABLE

__all__ = ["app", "main"]

MODULES = {
    "running": ("run",),
    "showing": ("report", "explain"),
    "comparing": ("diff", "merge"),
    "listing": ("list",),
    "searching": ("search", "repro"),
    "conventions": ("conventions",),
    "freezing": ("freeze",),
}
"""The commands of each module."""
INTERRUPTED, PIPE_CLOSED = 130, 141
"""Exit statuses as a shell gives them for SIGINT and SIGPIPE."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its status; what is the user's to fix is said without a traceback."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it is closed, and the next file that is opened would take its place
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    try:
        _load((sys.argv[1:] if arguments is None else arguments)[:1])
        status = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, ConformanceError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        status = UNUSABLE
    except KeyboardInterrupt:
        print("conformance: interrupted", file=sys.stderr)
        status = INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough; nothing is left to flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = PIPE_CLOSED
    if arguments is None:
        gc.freeze()  # the process ends here: what is left need not be looked through for garbage
    sys.exit(status if isinstance(status, int) else 0)


def _load(first: list[str]) -> None:
    """Import the module of the command that is the first word; all of them where that is none, as for --help."""
    if first == ["--version"]:
        return
    for module in [name for name, commands in MODULES.items() if {*first} & {*commands}] or MODULES:
        import_module(f"conformance.cli.{module}")
