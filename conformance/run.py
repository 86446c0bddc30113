"""Run a plan: targets side by side, judging while they compute, every line written as it comes."""

from __future__ import annotations

import datetime as dt
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from conformance import __version__
from conformance.cache import processor
from conformance.judge.compare import Comparison
from conformance.judge.reference import Reference
from conformance.judge.verdict import Judgement, comparisons, judge, with_unmet
from conformance.plan import Plan
from conformance.references import References
from conformance.results.describe import case_info, shown
from conformance.results.file import Results
from conformance.results.records import FAILING, Declared, Environment, Footer, Header, Line, Trial
from conformance.results.status import exit_status
from conformance.resume import check_environment
from conformance.targets.names import Target
from conformance.targets.process import Limits
from conformance.targets.stream import Answered, Events, Started, asking


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
            "processor": processor(),
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
    write: Callable[[Sequence[Line]], None],
    *,
    command: list[str],
    jobs: int = 2,
) -> Footer:
    """Try everything in the plan, giving `write` the lines of the result file as they come; the footer is returned.

    At most `jobs` targets run side by side, each in a process of its own.
    """
    with asking(plan.chosen, Limits(), plan.cache, jobs=jobs) as events:
        return judge_all(plan, events, write, command=command)


def judge_all(
    plan: Plan,
    arrived: Iterable[Events],
    write: Callable[[Sequence[Line]], None],
    *,
    command: list[str],
    before: Results | None = None,
) -> Footer:
    """Judge the answers of a run as they arrive, giving `write` the lines of the result file; the footer is returned.

    With the results of `before`, a run that was cut off, the plan is what it left. Raises `ResultError` when a target
    is not what it was then.
    """
    start = time.perf_counter()
    environments = before.environments if before else {}
    judged = before.judged if before else {}
    counts: Counter[str] = Counter(trial.verdict for trial in judged.values())
    if before is None:
        write([header(plan, command)])  # while the frameworks are imported
    for lines in _judged(plan, arrived, environments):
        counts.update(line.verdict for line in lines if isinstance(line, Trial))
        write(lines)
    plan.cache.save()
    seconds = time.perf_counter() - start + (before.footer.seconds if before and before.footer else 0)
    footer = closing(plan, plan.planned + len(judged), counts, seconds)
    write([footer])
    return footer


def _judged(
    plan: Plan, arrived: Iterable[Events], environments: Mapping[str, Mapping[str, str]]
) -> Iterator[list[Environment | Trial]]:
    """The lines of the events. Raises `ResultError` when a target is not what it was in `environments`."""
    references = References(plan.uses(), plan.cache)
    facts: dict[Target, dict[str, str]] = {}
    for events in arrived:
        lines: list[Environment | Trial] = []
        for event in events:
            if isinstance(event, Started):
                check_environment(str(event.target), event.facts, environments)
                facts[event.target] = event.facts
                lines.append(Environment(target=str(event.target), facts=event.facts))
        answered = [event for event in events if isinstance(event, Answered)]
        if answered:
            lines += judge_trials(plan, answered, references, facts.get(answered[0].target, {}))
        yield lines


def closing(plan: Plan, planned: int, counts: Counter[str], seconds: float) -> Footer:
    """The last line of a result file, in which so many trials were to be judged."""
    stale = [f"{entry.where}: {', '.join(entry.trials)}" for entry in plan.stale_entries]
    return Footer(
        judged=counts.total(),
        counts=dict(counts),
        stale=stale,
        overdue=plan.overdue(),
        seconds=round(seconds, 3),
        exit_status=exit_status(planned, counts, stale),
    )


@np.errstate(all="ignore")  # frameworks return signalling NaNs, too
def judge_trials(
    plan: Plan, answered: Sequence[Answered], references: References, facts: Mapping[str, str]
) -> list[Trial]:
    """The records of answers of one target; `facts` are what it says of its environment."""
    expected = [_expected(event, references) for event in answered]
    compared = comparisons([(e.question, e.answer, ref) for e, ref in zip(answered, expected, strict=True)])
    conditions = answered[0].target.conditions(facts)
    return [
        _judge_trial(plan, event, ref, comparison, conditions)
        for event, ref, comparison in zip(answered, expected, compared, strict=True)
    ]


def _expected(event: Answered, references: References) -> Reference | None:
    """What an answer is judged by; what is unsupported needs nothing."""
    if event.answer.status == "unsupported":
        references.used(event.question)
        return None
    return references.get(event.question, event.target.adapter.accuracy)


def _judge_trial(
    plan: Plan, event: Answered, ref: Reference | None, comparison: Comparison | None, conditions: Mapping[str, str]
) -> Trial:
    question = event.question
    identity = question.trial_id(str(event.target))
    entry = plan.deviations.find(identity, conditions)
    declared = plan.declarations.find(event.target.adapter.name, question.case, conditions)
    device = event.target.device
    judgement = judge(question, event.answer, ref, entry, declared, device=device, comparison=comparison)
    if judgement.verdict in FAILING and entry is None and (unmet := plan.deviations.speaking(identity)):
        judgement = with_unmet(judgement, unmet)
    return _record(identity, event, judgement, ref)


def _record(identity: str, event: Answered, judgement: Judgement, ref: Reference | None) -> Trial:
    question, answer, comparison = event.question, event.answer, judgement.comparison
    measured: dict[str, Any] = {}
    if comparison is not None:
        measured = {**vars(comparison), "index": list(comparison.index)}
        del measured["ok"], measured["message"]
    if judgement.verdict not in ("pass", "unsupported"):
        measured["inputs"] = {name: shown(x) for name, x in question.exact[0].items()}
        measured["options"] = {k: shown(x) if isinstance(x, np.ndarray) else x for k, x in question.exact[1].items()}
        if question.exact[2] is not None:
            measured["inputs"]["upstream gradient"] = shown(question.exact[2])
        got = answer.array
        measured["got_all"] = None if got is None or got.dtype.kind == "c" else shown(got.astype(np.float64))
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
        device=answer.device,
        differing=answer.differing,
        reason=entry.reason if entry else "",
        issue=entry.issue if entry else "",
        listed=entry.where if entry else "",
        **measured,
    )
