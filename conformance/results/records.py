"""The lines of a result file. All reports are made from these alone.

Floats that JSON lacks are written as the texts "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass
from typing import Any, Literal

SCHEMA_VERSION = 1
Verdict = Literal["pass", "mismatch", "known", "fixed", "unsupported", "error", "crash", "timeout", "not run"]
FAILING: tuple[Verdict, ...] = ("mismatch", "error", "crash", "timeout")
"""Verdicts that a known deviation may excuse."""


SLOW = "slow"
"""Tag of cases whose trials take more than a fraction of a second each; they are tried when asked for."""


@dataclass(kw_only=True)
class ConventionInfo:
    """What a convention asks, and the possible outcomes by name, as texts."""

    name: str
    topic: str = ""
    question: str = ""
    asked: str = ""
    output: Literal["value", "gradient"] = "value"
    inputs: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Declared:
    """What the documentation of a framework says of a convention, in our own words."""

    outcome: str
    says: str = ""
    link: str = ""


@dataclass(kw_only=True)
class CaseInfo:
    """What a report says of a case."""

    loss: str
    title: str = ""
    why: str = ""
    source: str = ""
    tags: list[str] = field(default_factory=list)
    where: str = ""
    convention: ConventionInfo | None = None
    digest: str = ""


@dataclass(kw_only=True, frozen=True)
class Choice:
    """What to try, as a command line or a table says it."""

    targets: list[str] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    adapter: list[str] = field(default_factory=list)
    select: list[str] = field(default_factory=list)
    dtype: list[str] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)


@dataclass(kw_only=True, frozen=True)
class Options(Choice):
    """What the run was asked to try, as its command line said it; a run that was cut off is finished by it."""

    python: list[str] = field(default_factory=list)
    shard: str = ""
    slow: bool = False


@dataclass(kw_only=True)
class Header:
    """The first line: what was planned, with what. `files` are the adapters and lists in use, by their digests.

    `options` is None where no command line can be given again: in a merged file, and in those of earlier versions.
    """

    kind: Literal["header"] = "header"
    schema_version: int = SCHEMA_VERSION
    suite_version: str
    cases_digest: str
    planned: int
    targets: list[str]
    command: list[str]
    started: str
    host: dict[str, str]
    options: Options | None = None
    files: dict[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    slow_left_out: int = 0
    cases: dict[str, CaseInfo] = field(default_factory=dict)


@dataclass(kw_only=True)
class Environment:
    """What a target said of itself once its framework was imported."""

    kind: Literal["environment"] = "environment"
    target: str
    facts: dict[str, str]


@dataclass(kw_only=True)
class Trial:
    """One judged trial. Errors are those of the worst element, the one with the largest error over bound.

    `inputs`, `options`, `got_all` and `expected_all` are there when the trial did not simply pass and the arrays are
    small. `device` is where the result was read back from, if the adapter can tell; `differing` counts the elements
    whose bits were others the second time, where the question was put twice.
    """

    kind: Literal["trial"] = "trial"
    id: str
    case: str
    loss: str
    target: str
    dtype: str
    output: Literal["value", "gradient"]
    verdict: Verdict
    message: str = ""
    composed: bool = False
    sharp: bool | None = None
    printed: bool | None = None
    convention: str | None = None
    outcome: str = ""
    declared: Declared | None = None
    elements: int = 0
    wrong: int = 0
    flushed: int = 0
    index: list[int] = field(default_factory=list)
    got: float | None = None
    expected: float | None = None
    absolute: float | None = None
    relative: float | None = None
    ulp: float | None = None
    bound: float | None = None
    ratio: float | None = None
    seconds: float = 0.0
    device: str = ""
    differing: int | None = None
    reason: str = ""
    issue: str = ""
    listed: str = ""
    inputs: dict[str, Any] | None = None
    options: dict[str, Any] | None = None
    got_all: Any = None
    expected_all: Any = None


@dataclass(kw_only=True)
class Footer:
    """The last line. A file without it was cut off. `overdue` are deviations whose review date has passed."""

    kind: Literal["footer"] = "footer"
    judged: int
    counts: dict[str, int]
    stale: list[str] = field(default_factory=list)
    overdue: list[str] = field(default_factory=list)
    seconds: float
    exit_status: int


Line = Header | Environment | Trial | Footer


def as_json(record: object) -> str:
    """A record as JSON, without those of its fields that are None."""
    return json_of(_fields(record))


def json_of(x: Any, indent: int | None = None) -> str:
    """Anything of records, dicts, lists, texts and numbers, as JSON."""
    from pydantic_core import to_json  # it takes a moment to import, in which frameworks can be

    return to_json(x, indent=indent, inf_nan_mode="strings").decode()


def as_plain(x: Any) -> Any:
    """Records, and what they hold, as dicts without what is None."""
    if isinstance(x, dict):
        return {key: as_plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [as_plain(value) for value in x]
    return as_plain(_fields(x)) if is_dataclass(x) else x


def _fields(record: object) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if value is not None}
