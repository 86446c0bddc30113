"""Run a plan: targets side by side, judging while they compute, every line written as it comes."""

from __future__ import annotations

import datetime as dt
import os
import platform
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance import __version__
from conformance.casefiles.case import Question
from conformance.judge.reference import Reference, graded, reference
from conformance.judge.verdict import Judgement, judge
from conformance.plan import Plan
from conformance.results.describe import case_info, shown
from conformance.results.file import Results
from conformance.results.records import Declared, Environment, Footer, Header, Line, Trial
from conformance.results.status import exit_status
from conformance.resume import check_environment
from conformance.targets.names import Target
from conformance.targets.process import Answer, answers


@dataclass
class References:
    """References by question, each computed once and dropped when the last target has been judged by it."""

    uses: Counter[tuple[str, str, str]]
    _kept: dict[tuple[str, str, str], Reference] = field(default_factory=dict)

    def get(self, question: Question, target: Target) -> Reference | None:
        """The reference for a question, with the sharp grade of the target's framework."""
        if question.case.raises or question.case.convention:
            return None
        key = question.key
        found = self._kept.get(key) or reference(question)
        self.uses[key] -= 1
        if self.uses[key] > 0:
            self._kept[key] = found
        else:
            self._kept.pop(key, None)
        return graded(found, question, target.adapter.accuracy)


def header(plan: Plan, command: list[str]) -> Header:
    infos = {case.id: case_info(case) for case in plan.cases}
    return Header(
        suite_version=__version__,
        cases_digest=plan.digest,
        planned=plan.planned,
        targets=[str(target) for target in plan.chosen],
        command=command,
        started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        host={
            "platform": platform.platform(),
            "python": platform.python_version(),
            "processor": _processor(),
            "cores": str(os.cpu_count()),
        },
        options=plan.options,
        files=plan.files,
        unavailable=plan.unavailable,
        slow_left_out=plan.slow_left_out,
        cases=infos,
    )


def run(
    plan: Plan,
    write: Callable[[Line], None],
    *,
    command: list[str],
    jobs: int = 2,
    timeout: float = 60.0,
    before: Results | None = None,
) -> Footer:
    """Try everything in the plan, giving `write` each line of the result file as it comes; the footer is returned.

    With the results of `before`, a run of the same plan that was cut off, only what it left is tried. Raises
    `ResultError` when a target is not what it was then.
    """
    start = time.perf_counter()
    judged = before.judged if before else {}
    environments = before.environments if before else {}
    if before is None:
        write(header(plan, command))
    left = plan.without(judged)
    references = References(Counter(q.key for asked in left.chosen.values() for q in asked))
    facts: dict[Target, dict[str, str]] = {}
    counts: Counter[str] = Counter(trial.verdict for trial in judged.values())
    for event in _events(left, jobs, timeout):
        if isinstance(event, Started):
            check_environment(str(event.target), event.facts, environments)
            facts[event.target] = event.facts
            write(Environment(target=str(event.target), facts=event.facts))
            continue
        trial = judge_trial(plan, event, references, facts.get(event.target, {}))
        counts[trial.verdict] += 1
        write(trial)
    stale = [f"{entry.where}: {', '.join(entry.trials)}" for entry in plan.stale_entries()]
    footer = Footer(
        judged=counts.total(),
        counts=dict(counts),
        stale=stale,
        overdue=plan.overdue(),
        seconds=round(time.perf_counter() - start + (before.footer.seconds if before and before.footer else 0), 3),
        exit_status=exit_status(plan.planned, counts, stale),
    )
    write(footer)
    return footer


@dataclass(frozen=True)
class Started:
    """A target's framework has been imported."""

    target: Target
    facts: dict[str, str]


@dataclass(frozen=True)
class Answered:
    target: Target
    question: Question
    answer: Answer


def judge_trial(plan: Plan, event: Answered, references: References, facts: dict[str, str]) -> Trial:
    """The record of one answer."""
    question = event.question
    identity = question.trial_id(str(event.target))
    known_facts = {**facts, "device": event.target.device, "mode": event.target.mode}
    ref = references.get(question, event.target)
    declared = plan.declarations.find(event.target.adapter.name, question.case, known_facts)
    judgement = judge(question, event.answer, ref, plan.deviations.find(identity, known_facts), declared)
    return _record(identity, event, judgement, ref)


def _record(identity: str, event: Answered, judgement: Judgement, ref: Reference | None) -> Trial:
    question, answer, comparison = event.question, event.answer, judgement.comparison
    measured: dict[str, Any] = {}
    if comparison is not None:
        names = ("elements", "wrong", "flushed", "got", "expected", "absolute", "relative", "ulp", "bound", "ratio")
        measured = {name: getattr(comparison, name) for name in names}
        measured |= {"sharp": comparison.sharp, "index": list(comparison.index)}
    if judgement.verdict not in ("pass", "unsupported"):
        measured["inputs"] = {name: shown(x) for name, x in question.exact[0].items()}
        measured["options"] = {k: shown(x) if isinstance(x, np.ndarray) else x for k, x in question.exact[1].items()}
        if question.exact[2] is not None:
            measured["inputs"]["upstream gradient"] = shown(question.exact[2])
        measured["got_all"] = None if answer.array is None else shown(answer.array.astype(np.float64))
        measured["expected_all"] = None if ref is None else shown(ref.value)
    entry, said = judgement.entry, judgement.declared
    return Trial(
        id=identity,
        case=question.case.id,
        loss=question.case.loss.name,
        target=str(event.target),
        dtype=question.dtype,
        output=question.output,  # type: ignore[arg-type]
        verdict=judgement.verdict,  # type: ignore[arg-type]
        message=judgement.message,
        composed=answer.composed,
        printed=judgement.printed,
        convention=question.case.convention.name if question.case.convention else None,
        outcome=judgement.outcome,
        declared=None if said is None else Declared(outcome=said.outcome, says=said.says, link=said.link),
        seconds=round(answer.seconds, 6),
        reason=entry.reason if entry else "",
        issue=entry.issue if entry else "",
        listed=entry.where if entry else "",
        **measured,
    )


def _events(plan: Plan, jobs: int, timeout: float) -> Iterator[Started | Answered]:
    """What the workers say, from all targets as it comes, at most `jobs` of them at a time."""
    arrived: queue.Queue[Started | Answered | BaseException | None] = queue.Queue(maxsize=1024)
    stop = threading.Event()

    def work(target: Target, asked: list[Question]) -> None:
        try:
            for question, answer in answers(target, asked, timeout, lambda f: arrived.put(Started(target, f))):
                if stop.is_set():
                    return
                arrived.put(Answered(target, question, answer))
        except BaseException as error:
            arrived.put(error)
        finally:
            arrived.put(None)

    with ThreadPoolExecutor(max_workers=max(jobs, 1)) as pool:
        for target, asked in plan.chosen.items():
            pool.submit(work, target, asked)
        left = len(plan.chosen)
        try:
            while left:
                event = arrived.get()
                if event is None:
                    left -= 1
                elif isinstance(event, BaseException):
                    raise event
                else:
                    yield event
        finally:
            stop.set()
            _drain(arrived, pool)


def _drain(arrived: queue.Queue[Any], pool: ThreadPoolExecutor) -> None:
    """Let workers that wait for room in the queue go, so that the pool can end."""
    pool.shutdown(wait=False, cancel_futures=True)
    while any(thread.is_alive() for thread in pool._threads):
        try:
            arrived.get(timeout=0.05)
        except queue.Empty:
            continue


def _processor() -> str:
    """The processor's model, which platform.processor() does not say on Linux."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a device file, read line by line
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
