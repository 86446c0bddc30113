"""What stands behind the pytest plugin: the plan, one conversation per target, and the result file."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from conformance.casefiles.case import Question
from conformance.plan import Plan
from conformance.references import References
from conformance.report.again import again
from conformance.report.quoting import quoted
from conformance.results.file import Writer, parse_line
from conformance.results.records import FAILING, Environment, Trial, as_json
from conformance.run import closing, header, judge_trials
from conformance.targets.conversation import Conversation
from conformance.targets.names import Target
from conformance.targets.process import Limits
from conformance.targets.stream import Answered


class Session:
    """The trials of a pytest session and the targets they run on."""

    def __init__(self, plan: Plan, limits: Limits, in_process: bool) -> None:
        self.plan = plan
        self.references = References(plan.uses(), plan.cache)
        self._limits, self._in_process = limits, in_process
        self._conversations: dict[Target, Conversation] = {}

    def items(self) -> list[Item]:
        return [Item(self, target, q) for target, asked in self.plan.chosen.items() for q in asked]

    def conversation(self, target: Target) -> Conversation:
        if target not in self._conversations:
            self._conversations[target] = Conversation(target, self._limits, in_process=self._in_process)
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
        (trial,) = judge_trials(self.session.plan, [event], self.session.references, conversation.facts)
        self.record = trial
        if trial.verdict == "unsupported":
            pytest.skip(f"unsupported: {trial.message}")
        if trial.verdict == "known":
            pytest.xfail(f"known deviation: {trial.reason}")
        if trial.verdict in (*FAILING, "fixed", "not run"):
            rerun = again(trial, self.question.case.tags, self.session.plan.options)
            pytest.fail(f"{_failure(trial)}\nrerun: {rerun}", pytrace=False)

    def lines(self) -> list[str]:
        """The record, and what the target said of itself, as lines of a result file."""
        assert self.record is not None
        facts = self.session.conversation(self.target).facts
        environment = [as_json(Environment(target=str(self.target), facts=facts))] if facts else []
        return [*environment, as_json(self.record)]


def _failure(trial: Trial) -> str:
    text = f"{trial.verdict}: {quoted(trial.message)}\n{trial.id}"
    if trial.ratio is not None:
        text += f"\nworst at {tuple(trial.index)}: got {trial.got!r}, expected {trial.expected!r}"
        text += f"\nerror {trial.absolute:.3g} = {trial.ulp:.3g} ulp, bound {trial.bound:.3g}, ratio {trial.ratio:.3g}"
    if trial.inputs is not None:
        text += f"\ninputs {trial.inputs}\noptions {trial.options}"
    return text


class Recorder:
    """Writes the result file of a pytest session, in the one process that sees all reports."""

    def __init__(self, plan: Plan, path: Path) -> None:
        self._plan = plan
        self._planned: int | None = None
        self._start = time.perf_counter()
        self._seen: set[str] = set()
        self._verdicts: dict[str, str] = {}
        self._writer = Writer(path)

    def start(self, selected: int) -> None:
        """Write the header of a session in which so many trials are selected. pytest may narrow the plan, as by -k;
        what was asked for can then not be said in options, so that no run can go on with it."""
        if self._planned is None:
            self._planned = selected
            options = self._plan.options if selected == self._plan.planned else None
            first = header(self._plan, ["pytest", *sys.argv[1:]])
            self._writer.write(replace(first, planned=selected, options=options))

    def write(self, lines: list[str]) -> None:
        for text in lines:
            line = parse_line(text)
            if isinstance(line, Environment):
                if line.target in self._seen:
                    continue
                self._seen.add(line.target)
            elif isinstance(line, Trial):
                self._verdicts[line.id] = line.verdict
            self._writer.write(line)

    def close(self, status: int) -> None:
        self.start(0)
        counts = Counter(self._verdicts.values())
        footer = closing(self._plan, self._planned or 0, counts, time.perf_counter() - self._start)
        ours = footer.exit_status or min(status, 1)
        self._writer.write(replace(footer, exit_status=ours))
        self._writer.close()
