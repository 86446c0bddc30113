"""What a framework says, as text that a terminal does not obey and that UTF-8 can hold.

Standard library only, as the worker imports it.
"""

from __future__ import annotations

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but tabs and ends of lines."""


def printable(text: str) -> str:
    """`text` with control characters and lone surrogates as escapes."""
    text = text.encode(errors="backslashreplace").decode()
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
