"""Statements of a script that is being written, and how they are put in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_WIDTH = 112
_LONGEST_NAME = 16


@dataclass
class Line:
    """A statement; `name` is what its result is called where it is used, empty for a result that is not kept.

    `loose` says that the text is an operation, which needs brackets inside of another.
    """

    name: str
    text: str
    block: list[Line] | None = None
    loose: bool = False


@dataclass
class Script:
    """Statements in order, with those inside of a block (a `with` or a `def`) below it."""

    lines: list[Line] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    tensors: set[str] = field(default_factory=set)
    _open: list[list[Line]] = field(default_factory=list)

    @property
    def here(self) -> list[Line]:
        return self._open[-1] if self._open else self.lines

    def fresh(self, stem: str) -> str:
        """A name that nothing has yet."""
        stem = stem if stem.isidentifier() and len(stem) <= _LONGEST_NAME else "result"
        numbered = (f"{stem}_{i}" for i in range(2, 1000))
        name = next(n for n in (stem, *numbered) if n not in self.taken)
        self.taken.add(name)
        return name

    def begin(self, header: str, name: str = "") -> None:
        block: list[Line] = []
        self.here.append(Line(name, header, block))
        self._open.append(block)

    def end(self) -> None:
        self._open.pop()

    def text(self) -> str:
        return "\n".join(_written(_inlined(self.lines)))


def _written(lines: list[Line], indent: str = "") -> Iterator[str]:
    for line in lines:
        if line.block is not None:
            yield f"{indent}{line.text}:"
            yield from _written(line.block or [Line("", "pass")], indent + "    ")
        else:
            yield f"{indent}{line.name} = {line.text}" if line.name else f"{indent}{line.text}"


def _inlined(lines: list[Line]) -> list[Line]:
    """A result that only the next statement uses, and once, is written there instead of getting a name."""
    kept: list[Line] = []
    for i, line in enumerate(lines):
        if line.block is not None:
            line = Line(line.name, line.text, _inlined(line.block))  # noqa: PLW2901 - the same, put in order
        while kept and _only_use(kept[-1], line, lines[i + 1 :]):
            line = _filled_in(kept.pop(), line)  # noqa: PLW2901
        kept.append(line)
    return kept


def _filled_in(before: Line, line: Line) -> Line:
    """`line` with the text of the statement before it instead of the name."""
    alone = re.search(rf"(^|[(=]|, |return ){re.escape(before.name)}($|[,)])", line.text)
    inside = f"({before.text})" if before.loose and not alone else before.text
    return Line(line.name, re.sub(_use(before.name), lambda _: inside, line.text), line.block, line.loose)


def _only_use(before: Line, line: Line, after: list[Line]) -> bool:
    if not before.name or before.block is not None or line.block is not None:
        return False
    later = " ".join(_everything(after))
    short = len(before.text + line.text) < _WIDTH or line.text == f"return {before.name}"
    return short and _uses(before.name, line.text) == 1 and not _uses(before.name, later)


def _everything(lines: list[Line]) -> Iterator[str]:
    for line in lines:
        yield line.text
        yield from _everything(line.block or [])


def _uses(name: str, text: str) -> int:
    return len(re.findall(_use(name), text))


def _use(name: str) -> str:
    """A name where it stands for itself, and is neither an attribute nor a keyword."""
    return rf"(?<![\w.]){re.escape(name)}\b(?!=[^=])"
