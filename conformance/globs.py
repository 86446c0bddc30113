"""Globs over trial ids, in which `*` and `?` are the only special characters, as the ids hold brackets."""

from __future__ import annotations

import re
from collections.abc import Iterable


def any_glob(globs: Iterable[str]) -> re.Pattern[str]:
    """A pattern whose `fullmatch` finds what any of the globs does."""
    return re.compile("|".join(re.escape(glob).replace(r"\*", ".*").replace(r"\?", ".") for glob in globs))
