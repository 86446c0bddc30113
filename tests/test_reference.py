"""The float64 reference lies within its own stated error of the exact value, and the exact value is the textbook's."""

from __future__ import annotations

import zlib

import mpmath
import numpy as np
import pytest
from right.regimes import random_case
from right.textbook import exactly, textbook

from conformance.casefiles.case import Question, questions
from conformance.casefiles.load import builtin_files, load_cases
from conformance.judge.exact import exact
from conformance.judge.reference import reference
from conformance.losses import DTYPES, LOSSES, bounds

VALUES_PER_LOSS = 7200
TEXTBOOK_CASES = 22
LARGE = 3000
"""Elements above which a case is compared with balls in float64 only, as each narrower dtype would take as long."""
each_loss = pytest.mark.parametrize("name", LOSSES)


def generator(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def misses(question):
    """Elements where the float64 reference is further from the ball than its bound says, and how many there were.

    In a narrower dtype it must also be as close as the judge takes it to be: 2**-20 of that dtype's bound.
    """
    loss, (inputs, options, cotangent) = question.case.loss, question.exact
    derived = bounds(loss, "float64", inputs, options, cotangent)
    high, low = exact(loss, inputs, options, cotangent)
    finite = np.isfinite(high) & np.isfinite(derived.value)
    with np.errstate(invalid="ignore"):
        error = np.where(finite, np.abs((derived.value - high) - low), 0.0)
    allowed = derived.bound
    if question.dtype != "float64":
        narrow = reference(question)
        assert np.array_equal(narrow.value, derived.value, equal_nan=True)
        allowed = np.minimum(allowed, 2.0**-20 * narrow.bound)
    return int((error > allowed).sum()), int(finite.sum())


@pytest.mark.parametrize("dtype", DTYPES)
def test_shipped_cases(dtype):
    cases = [case for case in load_cases(builtin_files()) if not case.convention and not case.raises]
    compared = 0
    for question in questions(cases, (dtype,)):
        if dtype != "float64" and max(x.size for x in question.inputs.values()) > LARGE:
            continue
        wrong, count = misses(question)
        assert wrong == 0, question.key
        compared += count
    assert compared > 10_000


@each_loss
def test_random_values(name):
    """Fourteen losses together: more than 100,000 values and gradients."""
    rng, compared = generator(name), 0
    while compared < VALUES_PER_LOSS:
        case = random_case(rng, name, smallest=1e-30)
        for output in ("value", "gradient"):
            wrong, count = misses(Question(case, "float64", output))
            assert wrong == 0, (case.name, output, case.options, case.inputs)
            compared += count


@each_loss
def test_the_textbook_agrees(name):
    """A random element of the value and of the gradient, the latter by central differences of the definition."""
    rng = generator(name + " by definition")
    for _ in range(TEXTBOOK_CASES):
        question = Question(random_case(rng, name, smallest=1e-30), "float64", "gradient")
        loss, (inputs, options, cotangent) = question.case.loss, question.exact
        widest = max(float(np.ptp(np.append(x, 0.0))) for key, x in inputs.items() if x.dtype.kind == "f")
        with mpmath.workdps(160 + 2 * int(min(widest, 700))):
            numbers = {key: exactly(x) if x.dtype.kind == "f" else x for key, x in inputs.items()}
            expected = textbook(name, numbers, options)
            agree(exact(loss, inputs, options), expected, random_index(rng, expected.shape))
            at = random_index(rng, inputs[loss.wrt].shape)
            slope = derivative(name, numbers, options, exactly(cotangent), loss.wrt, at)
            agree(exact(loss, inputs, options, cotangent), slope, at)


def agree(pair, expected, at):
    found = mpmath.mpf(float(pair[0][at])) + mpmath.mpf(float(pair[1][at]))
    expected = expected[at] if isinstance(expected, np.ndarray) else expected
    assert abs(found - expected) <= abs(expected) * mpmath.mpf(2) ** -90 + mpmath.mpf(2) ** -1020


def derivative(name, numbers, options, cotangent, wrt, at):
    step = mpmath.mpf(10) ** -(mpmath.mp.dps // 3)
    ends = []
    for sign in (1, -1):
        moved = numbers[wrt].copy()
        moved[at] += sign * step
        ends.append(np.sum(cotangent * textbook(name, {**numbers, wrt: moved}, options)))
    return (ends[0] - ends[1]) / (2 * step)


def random_index(rng, shape):
    return tuple(int(rng.integers(n)) for n in shape)
