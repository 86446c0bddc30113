"""Markdown of GitHub's kind: texts made harmless, and a page that fits into a job summary."""

from __future__ import annotations

import re
from collections.abc import Iterable

from conformance.report.quoting import one_line

LIMIT = 900_000
"""Bytes; GitHub drops a job summary of more than 1 MiB."""
_CUT = "\n\n... cut here; the result file has the rest.\n"


def capped(parts: Iterable[str], limit: int = LIMIT) -> str:
    """The parts one behind the other, as many as fit into `limit` bytes; what is left out is said."""
    kept: list[str] = []
    room = limit - len(_CUT)
    for part in parts:
        room -= len(part.encode())
        if room < 0:
            return "".join([*kept, _CUT])
        kept.append(part)
    return "".join(kept)


def line(text: str) -> str:
    """A text within a line or the cell of a table, none of it markup."""
    escaped = re.sub(r"([\\`*_\[\]<>|~#@&$])", r"\\\1", one_line(text))
    return escaped.replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def code(text: str) -> str:
    """A text as code, also within the cell of a table."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"
