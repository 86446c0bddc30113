"""What a framework said, shown in a terminal and in the log of a job, where neither obeys it."""

from __future__ import annotations

from conformance.printable import printable as escaped

_FURTHER = "\n    | "


def printable(said: str) -> str:
    """A text that a terminal shows, without the mark of a command of GitHub, which is one wherever it is in a line.

    Workers escape what they send; older result files hold it as it was.
    """
    return escaped(said).replace("##[", "## [")


def quoted(message: str) -> str:
    """A message whose further lines are behind a bar: GitHub obeys a line that begins with `::`, blanks or not."""
    shown = _FURTHER.join(printable(message).splitlines())
    return f"| {shown}" if shown.lstrip().startswith("::") else shown


def one_line(message: str) -> str:
    """A message of several lines in one."""
    return " / ".join(printable(message).splitlines())
