"""What the frameworks say, from all targets as it comes: side by side in their workers, or here one after the other."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from conformance.cache import Cache
from conformance.casefiles.case import Question
from conformance.targets.answer import Answer
from conformance.targets.conversation import NewWorker, answers, answers_here
from conformance.targets.early import in_order
from conformance.targets.interpreter import StartError
from conformance.targets.names import Target
from conformance.targets.process import Limits, Worker

Chosen = Mapping[Target, list[Question]]
"""The questions of each target."""
Events = Sequence["Started | Answered"]
"""What has come of one target together."""
_Arrived = queue.Queue["Events | BaseException | None"]
"""What the threads of the targets have to say; None when one of them has ended."""


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


@contextmanager
def asking(
    chosen: Chosen,
    limits: Limits,
    cache: Cache,
    *,
    jobs: int,
    in_process: bool = False,
    new_worker: NewWorker = Worker,
) -> Iterator[Iterator[Events]]:
    """What the frameworks say, as it comes; they are asked from now on. At most `jobs` targets run side by side, each
    in a process within its `limits` that `new_worker` starts; `in_process` runs them one by one in this process. The
    `cache` may hold what they are sent."""
    if in_process:
        yield _one_by_one(chosen, limits)
    else:
        with _side_by_side(chosen, jobs, limits, cache, new_worker) as events:
            yield events


@contextmanager
def _side_by_side(
    chosen: Chosen, jobs: int, limits: Limits, cache: Cache, new_worker: NewWorker
) -> Iterator[Iterator[Events]]:
    """What the workers say, from all targets as it comes, at most `jobs` of them at a time. They start at once.

    A single target that compiles is given to as many workers, since nothing else would keep the processors busy.
    """
    arrived: _Arrived = queue.Queue(maxsize=64)
    stop = threading.Event()
    workers: list[Worker] = []

    def begin(target: Target, limits: Limits) -> Worker:
        if stop.is_set():
            raise StartError("the run was stopped")
        worker = new_worker(target, limits)
        workers.append(worker)
        return worker

    def work(target: Target, asked: list[Question]) -> None:
        def began(facts: dict[str, str]) -> None:
            arrived.put([Started(target, facts)])

        try:
            for answered in answers(target, asked, limits, began, new_worker=begin, cache=cache):
                if stop.is_set():
                    return
                arrived.put([Answered(target, question, answer) for question, answer in answered])
        except BaseException as error:
            arrived.put(error)
        finally:
            arrived.put(None)

    with ThreadPoolExecutor(max_workers=max(jobs, 1)) as pool:
        parts = 0
        for target in in_order(chosen):
            shared = len(chosen) == 1 and target.compiles
            for part in by_shape(chosen[target], jobs) if shared else [chosen[target]]:
                pool.submit(work, target, part)
                parts += 1
        try:
            yield _events(arrived, parts)
        finally:
            stop.set()
            for worker in workers:
                worker.interpreter.kill()  # one that is at a question would be waited for
            _drain(arrived, pool)


def _events(arrived: _Arrived, parts: int) -> Iterator[Events]:
    while parts:
        events = arrived.get()
        if events is None:
            parts -= 1
        elif isinstance(events, BaseException):
            raise events
        else:
            yield events


def by_shape(asked: list[Question], parts: int) -> list[list[Question]]:
    """The questions in at most so many parts of about as many compilations, each shape in one of them."""
    kernels: dict[tuple[int, ...], set[tuple[str, str, str]]] = defaultdict(set)
    for question in asked:
        loss = question.case.loss
        kernels[question.case.inputs[loss.wrt].shape].add((loss.name, question.dtype, question.output))
    load = [0] * max(parts, 1)
    place = {}
    for shape in sorted(kernels, key=lambda shape: -len(kernels[shape])):
        place[shape] = load.index(min(load))
        load[place[shape]] += len(kernels[shape])
    shares: list[list[Question]] = [[] for _ in load]
    for question in asked:
        shares[place[question.case.inputs[question.case.loss.wrt].shape]].append(question)
    return [share for share in shares if share]


def _drain(arrived: _Arrived, pool: ThreadPoolExecutor) -> None:
    """Let workers that wait for room in the queue go, so that the pool can end."""
    pool.shutdown(wait=False, cancel_futures=True)
    for thread in pool._threads:
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):
                arrived.get_nowait()
            thread.join(0.01)


def _one_by_one(chosen: Chosen, limits: Limits) -> Iterator[Events]:
    """What the frameworks say in this process, one target after the other."""
    for target, asked in chosen.items():
        facts: list[dict[str, str]] = []
        for answered in answers_here(target, asked, limits, facts.append):
            yield [Started(target, facts.pop()) for _ in facts[:]]
            yield [Answered(target, question, answer) for question, answer in answered]
