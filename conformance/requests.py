"""The questions of a target on their way to its worker: what it is sent of cases, made once and kept between runs."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from conformance.cache import Cache
from conformance.casefiles.case import Case, Question
from conformance.targets.answer import given
from conformance.targets.worker import PackedRequest

Asked = tuple[Question, PackedRequest]
_LARGE = 2**20
"""Bytes from which nothing is kept: to read so much takes as long as to make it."""
_AHEAD = 32 * 2**20
"""Bytes of requests that are made ready, or go out together, at most, unless a single one has more."""


class Requests:
    """One target's questions with their requests, in their order. They may be made up on the way: none is taken before
    it is wanted, but for one to see whether there is any, and for those that are made `ready`."""

    def __init__(self, questions: Iterable[Question], cache: Cache) -> None:
        self._questions = iter(questions)
        self._ready: deque[Asked] = deque()
        self._cache = cache
        self._last: tuple[Case | None, str, bytes] = (None, "", b"")

    def __bool__(self) -> bool:
        """Whether there are any left."""
        return bool(self._ready) or self._make() > 0

    def make_ready(self, until: Callable[[], bool]) -> None:
        """Make requests `until` there is something else to do: later the judging would be held up."""
        size = sum(len(request[1]) for _, request in self._ready)
        while size <= _AHEAD and not until() and (made := self._make()):
            size += made

    def take(self, count: int) -> list[Asked]:
        """The next ones, as many as go into one message, and at most `count`."""
        taken: list[Asked] = []
        size = 0
        while len(taken) < count and size <= _AHEAD and self:
            taken.append(self._ready.popleft())
            size += len(taken[-1][1][1])
        return taken

    def give_back(self, asked: Iterable[Asked]) -> None:
        """Put some that were taken in front of the others."""
        self._ready.extendleft(reversed([*asked]))

    def rest(self) -> Iterator[Question]:
        """The questions that are left, without requests."""
        while self._ready:
            yield self._ready.popleft()[0]
        yield from self._questions

    def _make(self) -> int:
        """Make the next one ready; its bytes, or 0 where there is none."""
        question = next(self._questions, None)
        if question is None:
            return 0
        case, dtype, _ = self._last
        if (case, dtype) != (question.case, question.dtype):  # value and gradient come one after the other
            self._last = question.case, question.dtype, self._given(question.case, question.dtype)
        self._ready.append((question, (question.output, self._last[2])))
        return len(self._last[2])

    def _given(self, case: Case, dtype: str) -> bytes:
        key = case.kept_as(dtype, *case.outputs, "given")
        found = self._cache.get(key)
        if found is not None:
            return bytes(found)
        made = pickle.dumps(given(case, dtype), protocol=4)
        if len(made) < _LARGE:
            self._cache.put(key, made)
        return made
