"""What workers are sent of cases, made once and kept between runs."""

from __future__ import annotations

import pickle

from conformance.cache import Cache
from conformance.casefiles.case import Case, Question
from conformance.targets.answer import given
from conformance.targets.worker import PackedRequest

_LARGE = 2**20
"""Bytes from which nothing is kept: to read so much takes as long as to make it."""


class Requests:
    """The requests of one target's questions, in their order."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._last: tuple[Case | None, str, bytes] = (None, "", b"")

    def get(self, question: Question) -> PackedRequest:
        """The request; those for value and gradient, which come one after the other, share what is given."""
        case, dtype, _ = self._last
        if (case, dtype) != (question.case, question.dtype):
            self._last = question.case, question.dtype, self._given(question.case, question.dtype)
        return question.output, self._last[2]

    def _given(self, case: Case, dtype: str) -> bytes:
        key = case.kept_as(dtype, *case.outputs, "given")
        found = self._cache.get(key)
        if found is not None:
            return bytes(found)
        made = pickle.dumps(given(case, dtype), protocol=4)
        if len(made) < _LARGE:
            self._cache.put(key, made)
        return made
