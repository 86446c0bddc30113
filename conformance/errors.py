"""Errors that are the user's to fix; the command line prints them without a traceback and exits with status 2.

ConformanceError
├── CaseError        a case file cannot be read or says something impossible; lists every problem of every file
├── TargetError      an unknown target, device or mode, or an adapter that does not keep the contract
├── DeviationError   a list of known deviations cannot be read
├── SettingsError    the table [tool.conformance] of a pyproject.toml cannot be used
├── DeclarationError a list of declared conventions cannot be read, or does not fit the cases
├── ResultError      a result file cannot be read or written
├── ResultsError     result files that do not belong together
└── UsageError       anything else on the command line that has no meaning
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class ConformanceError(Exception):
    """Base of all errors that end a run with exit status 2."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file: where (file, line, path inside it) and what."""

    file: str
    line: int | None
    path: str
    message: str

    @classmethod
    def at(cls, where: str, path: str, message: str) -> Problem:
        """One at `where`, a file and a line as `FILE:LINE`."""
        file, _, line = where.rpartition(":")
        return cls(file, int(line), path, message)

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ProblemsError(ConformanceError):
    """An error that lists every problem found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        heading = f"{count} problem{'s' if count != 1 else ''} found:"
        super().__init__("\n".join([heading, *(f"  {problem}" for problem in self.problems)]))


class CaseError(ProblemsError):
    """A case file cannot be read, or says something impossible."""


class DeviationError(ProblemsError):
    """A list of known deviations cannot be read."""


class SettingsError(ProblemsError):
    """The table [tool.conformance] of a pyproject.toml cannot be used."""


class DeclarationError(ProblemsError):
    """A list of declared conventions cannot be read, or does not fit the cases."""


class TargetError(ConformanceError):
    """An unknown target, device or mode, or an adapter that does not keep the contract."""


class ResultError(ConformanceError):
    """A result file cannot be read or written."""


class ResultsError(ProblemsError):
    """Result files that do not belong together; lists everything in which they differ."""


class UsageError(ConformanceError):
    """A command line that has no meaning."""
