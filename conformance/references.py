"""References and grades by question, each computed once and kept between runs; what cases expect held against them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Mapping
from functools import cache

import numpy as np

from conformance.cache import Cache
from conformance.casefiles.case import Case, Question
from conformance.errors import CaseError, Problem
from conformance.judge.compare import compare
from conformance.judge.reference import Reference, grade, required
from conformance.losses import Accuracy, Array

Key = tuple[str, str, str]


class References:
    """What the questions of a run must be answered with. `uses` says how often each will be asked for; a reference is
    dropped when the last target has been judged by it."""

    def __init__(self, uses: Mapping[Key, int], cache: Cache) -> None:
        self._uses = dict(uses)
        self._cache = cache
        self._kept: dict[Key, tuple[Array, ...]] = {}

    def get(self, question: Question, accuracy: Accuracy) -> Reference | None:
        """The reference for a question, with the sharp grade of a framework of this accuracy; None where no value is
        expected."""
        if question.case.raises or question.case.convention:
            return None
        key = question.key
        value, bound, *rest = self._kept.get(key) or self._stored(question, "", lambda: _required(question))
        self._kept[key] = value, bound, *rest
        self.used(question)
        sharp = self._stored(question, _sharp(accuracy), lambda: (np.minimum(grade(question, accuracy), bound),))
        return Reference(value, rest[0] if rest else None, bound, *sharp)

    def used(self, question: Question) -> None:
        """One target has been judged by the reference for a question, or did not answer it."""
        key = question.key
        self._uses[key] = self._uses.get(key, 0) - 1
        if self._uses[key] <= 0:
            self._kept.pop(key, None)

    def _stored(self, question: Question, what: str, compute: Callable[[], tuple[Array, ...]]) -> tuple[Array, ...]:
        """The arrays that `compute` gives for a question, all of one shape, computed or found."""
        key = question.case.kept_as(question.dtype, question.output, what)
        found = self._cache.get(key)
        if found is not None:
            return _unpack(found)
        arrays = compute()
        self._cache.put(key, _pack(arrays))
        return arrays


def check_expected(cases: Iterable[Case], cache: Cache) -> None:
    """Raises `CaseError` naming every case whose `expected` is not the value for its inputs in float64: farther from
    it than a float64 result may be."""
    references, problems = References({}, cache), []
    for case in cases:
        question = Question(case, "float64", "value")
        reference = None if case.expected is None else references.get(question, ())
        if reference is not None and not (compared := compare(case.expected, reference, "float64")).ok:
            place = f" at {list(compared.index)}" if compared.index else ""
            said = f"{compared.got!r}{place}, where the value for these inputs is {compared.expected!r}"
            problems.append(Problem.at(case.where, "expected", f"{said}; digits of a publication go under printed"))
    if problems:
        raise CaseError(problems)


@cache
def _sharp(accuracy: Accuracy) -> str:
    """What the grade of a framework of this accuracy is kept under."""
    return f"sharp {hashlib.sha256(repr(accuracy).encode()).hexdigest()}"


def _required(question: Question) -> tuple[Array, ...]:
    """Value and bound; also the remainder, where there is one."""
    value, remainder, bound = required(question)
    return (value, bound) if remainder is None else (value, bound, remainder)


def _pack(arrays: tuple[Array, ...]) -> bytes:
    """Float64 arrays of one shape stacked, as bytes: the number of axes, the shape, the numbers."""
    stacked = np.stack(np.broadcast_arrays(*arrays)).astype(np.float64)
    return struct.pack(f"{stacked.ndim + 1}q", stacked.ndim, *stacked.shape) + stacked.tobytes()


def _unpack(data: bytes | memoryview) -> tuple[Array, ...]:
    (axes,) = struct.unpack_from("q", data)
    shape = struct.unpack_from(f"{axes}q", data, 8)
    return tuple(np.ndarray(shape, np.float64, data, 8 + 8 * axes))
