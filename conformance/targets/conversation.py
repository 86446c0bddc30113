"""Every question of a target with its answer, whatever the framework does."""

from __future__ import annotations

from bdb import BdbQuit
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import execnet

from conformance.cache import Cache
from conformance.casefiles.case import Question
from conformance.requests import Asked, Requests
from conformance.targets.answer import Answer, from_reply, known_answer, request
from conformance.targets.interpreter import StartError
from conformance.targets.names import Target
from conformance.targets.process import Limits, Worker
from conformance.targets.worker import answer, describe, facts_of, load_class

Answered = list[tuple[Question, Answer]]
NewWorker = Callable[[Target, Limits], Worker]
_Sent = deque[tuple[Asked, Answer | None]]
"""What a worker has been asked, in order; between it, with its answer, what it need not be asked."""
_BATCH = 256
_WINDOW = 4096
"""Questions sent ahead of the answers, so that neither side waits for the other: most may be settled without being
sent, and the judging may keep this side busy for a while."""
_FRUITLESS = 20
"""A process that died so often, one time after the other, without a single answer is given up."""

_SURVIVED = (Exception, SystemExit)
"""What a framework may raise in this process; Ctrl-C is for the user."""


def answers(
    target: Target,
    questions: Iterable[Question],
    limits: Limits,
    started: Callable[[dict[str, str]], None],
    *,
    window: int = _WINDOW,
    new_worker: NewWorker = Worker,
    cache: Cache | None = None,
) -> Iterator[Answered]:
    """Every question with its answer, in order, in lists as they come; `started` is told the environment.

    At most `window` questions are sent ahead of their answers. With one, none is taken before the last has its answer,
    so that they may be made up on the way. The `cache` may hold what a worker is sent of them.
    """
    requests = Requests(questions, cache or Cache())
    deaths = fruitless = 0
    while requests:
        if deaths > limits.restarts or fruitless >= _FRUITLESS:
            yield from _not_run(requests.rest(), f"the worker died {deaths} times" + _advice(deaths, limits))
            return
        try:
            worker = _start(target, limits, new_worker, requests.make_ready if window > 1 else None)
        except StartError as error:
            yield from _not_run(requests.rest(), f"could not be started: {error}")
            return
        started(worker.environment)
        sent: _Sent = deque()
        try:
            yield from _converse(worker, requests, sent, limits.seconds, window)
        finally:
            worker.close()
        deaths += 1
        fruitless = 0 if worker.answered else fruitless + 1
        requests.give_back([asked for asked, _ in sent])


def answers_here(
    target: Target, questions: Iterable[Question], limits: Limits, started: Callable[[dict[str, str]], None]
) -> Iterator[Answered]:
    """The same without a process of its own, for a debugger: nothing is survived, and nothing is cut short."""
    try:
        adapter = load_class(target.adapter.location)(target.device, target.mode)
        started(facts_of(adapter))
    except _SURVIVED as error:
        yield from _not_run(iter(questions), f"could not be started: {describe(error)}")
        return
    for question in questions:
        reply = answer(adapter, request(question), twice=bool(limits.twice), caught=_SURVIVED)
        if reply["status"] == "error" and reply["message"].startswith(BdbQuit.__name__):
            raise KeyboardInterrupt
        yield [(question, from_reply(reply))]


class Conversation:
    """One target, asked one question after another in whatever order they come up. `facts` is what the adapter said of
    its environment."""

    def __init__(self, target: Target, limits: Limits, *, in_process: bool = False) -> None:
        self.facts: dict[str, str] = {}
        self._next: Question | None = None
        asked = answers_here if in_process else partial(answers, window=1)
        self._answers = asked(target, self._questions(), limits, self.facts.update)

    def _questions(self) -> Iterator[Question]:
        while self._next is not None:
            yield self._next

    def ask(self, question: Question) -> Answer:
        """The answer, whatever the framework does."""
        self._next = question
        ((_, answer),) = next(answered for answered in self._answers if answered)
        return answer

    def close(self) -> None:
        """End the framework's process."""
        self._answers.close()  # type: ignore[attr-defined]


def _advice(deaths: int, limits: Limits) -> str:
    return "; --restarts allows more" if deaths > limits.restarts else " without an answer in between"


def _not_run(source: Iterator[Question], message: str) -> Iterator[Answered]:
    yield from ([(question, Answer("not run", message=message))] for question in source)


def _start(
    target: Target, limits: Limits, new_worker: NewWorker, meanwhile: Callable[[Callable[[], bool]], None] | None = None
) -> Worker:
    """A worker; `meanwhile` is done until it has imported its framework, which it is told. Some import only on the
    second try, so there is one; it is said in the environment."""
    try:
        worker = new_worker(target, limits)
        if meanwhile:
            meanwhile(worker.interpreter.has_spoken)
        return worker.ready()
    except StartError as error:
        if "did not start within" in str(error):
            raise
        worker = new_worker(target, limits).ready()
        worker.environment["second try"] = f"the first failed: {error}"
        return worker


def _converse(worker: Worker, requests: Requests, sent: _Sent, seconds: float, window: int) -> Iterator[Answered]:
    """Answers until the questions run out or the worker dies; `sent` then holds what it left unanswered."""
    while True:
        try:
            while len(sent) <= window - min(window, _BATCH) and (batch := requests.take(min(window, _BATCH))):
                _send(worker, batch, sent)
            if settled := _settled(sent):
                yield settled
                continue
            if not sent:
                return
            came = worker.receive(seconds)
        except TimeoutError:
            last = Answer("timeout", message=f"no answer within {seconds:g} s", detail=worker.last_words())
            worker.interpreter.kill()
        except (EOFError, OSError, execnet.RemoteError):
            last = Answer("crash", message=worker.interpreter.cause_of_death(), detail=worker.last_words())
        else:
            yield _paired(sent, came)
            if worker.leaving:
                return
            continue
        answered = _paired(sent, worker.left_behind())
        yield answered + (_paired(sent, [last]) if sent else [])
        return


def _send(worker: Worker, batch: list[Asked], sent: _Sent) -> None:
    """Ask a worker what of these its adapter does not rule out."""
    known = [(asked, known_answer(asked[0], worker.offers)) for asked in batch]
    sent.extend(known)
    if requests := [packed for (_, packed), settled in known if settled is None]:
        worker.send(requests)


def _paired(sent: _Sent, came: Iterable[Answer]) -> Answered:
    """What was sent first with the answers to it, and what behind each had its answer already."""
    paired = []
    for given in came:
        (question, _), _ = sent.popleft()
        paired += [(question, given), *_settled(sent)]
    return paired


def _settled(sent: _Sent) -> Answered:
    """What had its answer already, up to the first question that has none."""
    settled = []
    while sent and (known := sent[0][1]) is not None:
        (question, _), _ = sent.popleft()
        settled.append((question, known))
    return settled
