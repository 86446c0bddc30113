"""What changed between two result files, trial by trial."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from conformance.results.circumstances import environment_notes, incomplete, other_cases, other_machine
from conformance.results.file import Results
from conformance.results.records import FAILING, Trial

Kind = Literal[
    "new failure",
    "no longer run",
    "inconclusive",
    "changed outcome",
    "less accurate",
    "fixed",
    "more accurate",
    "missing",
    "new",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
REGRESSIONS = ("new failure", "no longer run")
_ROUNDING = 0.5
"""Ulps that correct rounding costs; below it no error is better than another."""
_NEAR = 10.0
"""Error over bound up to which another processor may explain a mismatch: its vector width changes the order of sums
and the exponential in use. The shipped deviations that pass on some processors reach 6."""


@dataclass(kw_only=True)
class Change:
    """One trial that is not what it was. `old` and `new` are its records; None where a file lacks it."""

    kind: Kind
    id: str
    case: str
    target: str
    why: str
    old: Trial | None = None
    new: Trial | None = None

    @property
    def trial(self) -> Trial:
        found = self.new or self.old
        assert found is not None
        return found


@dataclass(kw_only=True)
class Diff:
    """Everything that changed. `notes` say what differs between the runs, and what that makes inconclusive.

    `compared` counts the trials that both files hold.
    """

    compared: int
    complete: bool
    notes: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Change]:
        return [change for change in self.changes if change.kind in kinds]


@dataclass(frozen=True)
class Terms:
    """What two trials are compared under: `factor` is the change of error that counts."""

    factor: float
    other_machine: frozenset[str]
    other_cases: frozenset[str]
    other_suite: bool


def diff(old: Results, new: Results, factor: float = 2.0) -> Diff:
    """The changes from `old` to `new`, a kind after the other and the worst first. Targets are matched by name."""
    terms = Terms(
        factor, other_machine(old, new), other_cases(old, new), old.header.suite_version != new.header.suite_version
    )
    before, after = ({trial.id: trial for trial in results.trials} for results in (old, new))
    both = [(before[identity], after[identity]) for identity in before if identity in after]
    changes = [change for pair in both if (change := _compare(*pair, terms))]
    changes += _missing(before, after, new)
    changes += [_came(trial, old) for identity, trial in after.items() if identity not in before]
    changes.sort(key=lambda change: (KINDS.index(change.kind), -_growth(change), change.id))
    notes = [*incomplete(old, new), *environment_notes(old, new)]
    return Diff(compared=len(both), complete=old.all_run and new.all_run, notes=notes, changes=changes)


def names_of(target: str) -> list[str]:
    """What a target may be called: by all of its name, or by less of it from behind."""
    parts = target.split(":")
    return [":".join(parts[:count]) for count in range(len(parts), 0, -1)]


def renamed(results: Results, names: Mapping[str, str]) -> Results:
    """The results with targets under other names; `torch` stands for all of `torch:...`."""

    def other(target: str) -> str:
        for name in names_of(target):
            if name in names:
                return names[name] + target.removeprefix(name)
        return target

    def moved(trial: Trial) -> Trial:
        identity = trial.id.replace(f"[{trial.target}-", f"[{other(trial.target)}-")
        return replace(trial, id=identity, target=other(trial.target))

    header = replace(results.header, targets=[other(target) for target in results.header.targets])
    environments = {other(target): facts for target, facts in results.environments.items()}
    return Results(header, environments, [moved(trial) for trial in results.trials], results.footer, results.cut)


def _compare(old: Trial, new: Trial, terms: Terms) -> Change | None:
    """How a trial changed; None when it did not."""
    kind, why = _kind(old, new, terms)
    if kind is None:
        return None
    if new.case in terms.other_cases:
        return _change("inconclusive", old, new, f"the case has changed; {why}")
    if _other_bound(old, new, terms):
        return _change("inconclusive", old, new, f"the bound has changed; {why}")
    if new.target in terms.other_machine and _may_be_the_machine(kind, new):
        return _change("inconclusive", old, new, f"the machine is another; {why}")
    return _change(kind, old, new, why)


def _other_bound(old: Trial, new: Trial, terms: Terms) -> bool:
    """Whether the bound may be another. It is known for the worst element only, which need not be the same one."""
    if old.bound is None or new.bound is None:
        return False
    same = math.isclose(old.bound, new.bound, rel_tol=1e-6)
    return not same if old.index == new.index else terms.other_suite


def _kind(old: Trial, new: Trial, terms: Terms) -> tuple[Kind | None, str]:
    """What kind of change it is if nothing else has changed, and what changed."""
    if "not run" in (old.verdict, new.verdict):
        return _not_run(old, new)
    if old.verdict != new.verdict:
        return _other_verdict(old, new)
    if (old.outcome, _error_class(old)) != (new.outcome, _error_class(new)):
        before, after = (trial.outcome or _error_class(trial) or "a result" for trial in (old, new))
        return "changed outcome", f"{before} -> {after}"
    if None not in (old.differing, new.differing) and bool(old.differing) != bool(new.differing):
        before, after = ("not the same twice" if trial.differing else "the same twice" for trial in (old, new))
        return "changed outcome", f"{before} -> {after}"
    return _accuracy(old, new, terms.factor)


def _not_run(old: Trial, new: Trial) -> tuple[Kind | None, str]:
    if old.verdict == new.verdict:
        return None, ""
    if new.verdict == "not run":
        return "no longer run", f"{old.verdict} -> not run: {new.message}"
    return "inconclusive", f"not run -> {new.verdict}: nothing to compare with"


def _other_verdict(old: Trial, new: Trial) -> tuple[Kind, str]:
    """A failure is new when there was none, or when only now the process dies or hangs. What passed must stay."""
    said, died = f"{old.verdict} -> {new.verdict}", ("crash", "timeout")
    if new.verdict == "unsupported" and old.verdict not in FAILING:
        return "no longer run", f"{said}: {new.message}".rstrip(": ")
    if new.verdict in FAILING and (old.verdict not in FAILING or (new.verdict in died and old.verdict not in died)):
        return "new failure", f"{said}: {new.message}"
    if old.verdict in (*FAILING, "known") and new.verdict in ("pass", "fixed"):
        return "fixed", said
    return "changed outcome", f"{said}: {new.message}".rstrip(": ")


def _accuracy(old: Trial, new: Trial, factor: float) -> tuple[Kind | None, str]:
    before, after = _error(old), _error(new)
    if before is None or after is None or before == after:
        return None, ""
    why = f"{old.ulp:.3g} -> {new.ulp:.3g} ulp"
    if after > factor * before:
        return "less accurate", why
    return ("more accurate", why) if before > factor * after else (None, "")


def _error(trial: Trial) -> float | None:
    """The error of a trial in ulp, no less than what rounding costs; NaN counts as infinite."""
    if trial.ulp is None:
        return None
    return math.inf if math.isnan(trial.ulp) else max(trial.ulp, _ROUNDING)


def _error_class(trial: Trial) -> str:
    """The type of the exception that a message of an error, or of an expected refusal, begins with."""
    message = trial.message.removeprefix("refused, as expected: ")
    if trial.verdict not in ("error", "known") and message == trial.message:
        return ""
    name = message.partition(":")[0]
    return name if name.isidentifier() else ""


def _growth(change: Change) -> float:
    """How bad a change is among those of its kind: the error over bound that came of it."""
    ratio = change.trial.ratio
    return math.inf if ratio is None or math.isnan(ratio) else ratio


def _may_be_the_machine(kind: str, new: Trial) -> bool:
    """Whether another processor may account for a change: any in accuracy, and mismatches near the bound."""
    near = new.verdict in ("mismatch", "pass", "known", "fixed") and new.ratio is not None and new.ratio <= _NEAR
    return kind in ("less accurate", "more accurate") or (kind in ("new failure", "fixed", "changed outcome") and near)


def _missing(before: Mapping[str, Trial], after: Mapping[str, Trial], new: Results) -> Iterator[Change]:
    for identity, trial in before.items():
        unavailable = new.header.unavailable.get(trial.target.partition(":")[0])
        if identity in after:
            continue
        if unavailable:
            yield _change("no longer run", trial, None, unavailable)
        elif not new.complete:
            yield _change("inconclusive", trial, None, "the new run did not get as far")
        else:
            there = trial.case in new.header.cases
            yield _change("missing", trial, None, "it was not asked for" if there else "there is no such case any more")


def _came(trial: Trial, old: Results) -> Change:
    """A trial that the old run has not. Where it fails that is new, unless the run did not get as far."""
    ended = f"{trial.verdict}: {trial.message}" if trial.message else trial.verdict
    if trial.verdict not in FAILING:
        return _change("new", None, trial, ended)
    return _change("new failure" if old.complete else "inconclusive", None, trial, f"not tried before -> {ended}")


def _change(kind: Kind, old: Trial | None, new: Trial | None, why: str) -> Change:
    trial = new or old
    assert trial is not None
    return Change(kind=kind, id=trial.id, case=trial.case, target=trial.target, why=why, old=old, new=new)
