"""What stands behind the pytest plugin: the plan, one conversation per target, and the result file."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conformance.casefiles.case import Question
from conformance.judge.verdict import FAILING
from conformance.plan import Plan, plan_of
from conformance.references import References
from conformance.results.file import Writer, parse_line
from conformance.results.records import Environment, Footer, Options, Trial
from conformance.results.status import exit_status
from conformance.run import header, judge_trial
from conformance.targets.answer import Answer
from conformance.targets.conversation import answers
from conformance.targets.names import Target
from conformance.targets.process import Limits
from conformance.targets.stream import Answered


def plan_from(options: dict[str, Any]) -> Plan:
    """The plan of a session, whose options are named as those of `conformance run`."""
    return plan_of(Options(**{name if name != "target" else "targets": value for name, value in options.items()}))


class Conversation:
    """One target, asked one question at a time, in whatever order the items run."""

    def __init__(self, target: Target, timeout: float) -> None:
        self.facts: dict[str, str] = {}
        self._next: Question | None = None
        self._answers = answers(target, self._questions(), Limits(timeout), self.facts.update, window=1)

    def ask(self, question: Question) -> Answer:
        self._next = question
        return next(self._answers)[0][1]

    def close(self) -> None:
        self._answers.close()  # type: ignore[attr-defined]

    def _questions(self) -> Iterator[Question]:
        while self._next is not None:
            yield self._next


class Session:
    """The trials of a pytest session and the targets they run on."""

    def __init__(self, options: dict[str, Any], timeout: float) -> None:
        self.plan = plan_from(options)
        self.references = References(self.plan.uses(), self.plan.cache)
        self._timeout = timeout
        self._conversations: dict[Target, Conversation] = {}

    def items(self) -> list[Item]:
        return [Item(self, target, q) for target, asked in self.plan.chosen.items() for q in asked]

    def conversation(self, target: Target) -> Conversation:
        if target not in self._conversations:
            self._conversations[target] = Conversation(target, self._timeout)
        return self._conversations[target]

    def close(self) -> None:
        for conversation in self._conversations.values():
            conversation.close()
        self.plan.cache.save()


@dataclass(eq=False)
class Item:
    """One trial as the parameter of a test."""

    session: Session
    target: Target
    question: Question
    record: Trial | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        return self.question.trial_id(str(self.target))

    def check(self) -> None:
        """Run the trial: pass, skip what is unsupported, xfail what is known, fail with the figures otherwise."""
        __tracebackhide__ = True
        conversation = self.session.conversation(self.target)
        event = Answered(self.target, self.question, conversation.ask(self.question))
        trial = judge_trial(self.session.plan, event, self.session.references, conversation.facts)
        self.record = trial
        if trial.verdict == "unsupported":
            pytest.skip(f"unsupported: {trial.message}")
        if trial.verdict == "known":
            pytest.xfail(f"known deviation: {trial.reason}")
        if trial.verdict in (*FAILING, "fixed", "not run"):
            pytest.fail(_failure(trial), pytrace=False)

    def lines(self) -> list[str]:
        """The record, and what the target said of itself, as lines of a result file."""
        assert self.record is not None
        facts = self.session.conversation(self.target).facts
        environment = [Environment(target=str(self.target), facts=facts).model_dump_json()] if facts else []
        return [*environment, self.record.model_dump_json(exclude_none=True)]


def _failure(trial: Trial) -> str:
    text = f"{trial.verdict}: {trial.message}\n{trial.id}"
    if trial.ratio is not None:
        text += f"\nworst at {tuple(trial.index)}: got {trial.got!r}, expected {trial.expected!r}"
        text += f"\nerror {trial.absolute:.3g} = {trial.ulp:.3g} ulp, bound {trial.bound:.3g}, ratio {trial.ratio:.3g}"
    if trial.inputs is not None:
        text += f"\ninputs {trial.inputs}\noptions {trial.options}"
    return f"{text}\nrerun: conformance run {trial.target} --select '{trial.id}'"


class Recorder:
    """Writes the result file of a pytest session, in the one process that sees all reports."""

    def __init__(self, options: dict[str, Any], path: Path) -> None:
        self._plan = plan_from(options)
        self._start = time.perf_counter()
        self._seen: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._writer = Writer(path)
        self._writer.write(header(self._plan, ["pytest", *sys.argv[1:]]))

    def write(self, lines: list[str]) -> None:
        for text in lines:
            line = parse_line(text)
            if isinstance(line, Environment):
                if line.target in self._seen:
                    continue
                self._seen.add(line.target)
            elif isinstance(line, Trial):
                self._counts[line.verdict] += 1
            self._writer.write(line)

    def close(self, status: int) -> None:
        stale = [f"{e.where}: {', '.join(e.trials)}" for e in self._plan.stale_entries()]
        ours = exit_status(self._plan.planned, self._counts, stale)
        self._writer.write(
            Footer(
                judged=self._counts.total(),
                counts=dict(self._counts),
                stale=stale,
                overdue=self._plan.overdue(),
                seconds=round(time.perf_counter() - self._start, 3),
                exit_status=ours or min(status, 1),
            )
        )
        self._writer.close()
