"""What a framework said, shown in a terminal and in the log of a job, where neither obeys it."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but tabs and ends of lines. Workers escape them by now; older result files hold them."""
_FURTHER = "\n    | "


def printable(text: str) -> str:
    """A text with control characters and lone surrogates as escapes, and without the mark of a command of GitHub.

    `##[` is one wherever it is in a line. Like `printable` of the workers, which needs numpy.
    """
    text = text.encode(errors="backslashreplace").decode().replace("##[", "## [")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def quoted(message: str) -> str:
    """A message whose further lines are behind a bar: GitHub obeys a line that begins with `::`, blanks or not."""
    text = _FURTHER.join(printable(message).splitlines())
    return f"| {text}" if text.lstrip().startswith("::") else text


def one_line(message: str) -> str:
    """A message of several lines in one."""
    return " / ".join(printable(message).splitlines())
