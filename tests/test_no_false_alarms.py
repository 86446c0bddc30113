"""Implementations that are right pass in every dtype, on the shipped cases and on random ones: no false alarms."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from right import IMPLEMENTATIONS
from right.regimes import random_case

from conformance.casefiles.case import questions
from conformance.casefiles.load import builtin_files, load_cases
from conformance.judge.reference import reference
from conformance.judge.verdict import judge
from conformance.losses import LOSSES
from conformance.plan import SLOW
from conformance.targets.answer import Answer, request
from conformance.targets.wire import unpack
from conformance.targets.worker import answer

RANDOM_CASES = 5
"""Of each loss, beside the shipped ones."""

LARGE = 3000
"""Elements above which an implementation that loops in Python (`loops = True`) is not asked."""


@cache
def corpus():
    """Every question that has one right answer and is not slow, as it is sent, with its reference."""
    rng = np.random.default_rng(20240611)
    shipped = [c for c in load_cases(builtin_files()) if not (c.convention or c.raises or SLOW in c.tags)]
    drawn = [random_case(rng, name, i) for name in LOSSES for i in range(RANDOM_CASES)]
    asked = [(question, request(question), reference(question)) for question in questions(shipped)]
    for question in questions(drawn):
        expected = reference(question)
        if np.all(np.isfinite(expected.value)):  # a drawn logit may lie beyond float16
            asked.append((question, request(question), expected))
    return asked


def ask(adapter, sent):
    with np.errstate(all="ignore"):
        reply = answer(adapter, sent)
    array = unpack(reply["array"]) if "array" in reply else None
    changed = tuple(reply.get("changed", ()))
    return Answer(reply["status"], array, reply.get("message", ""), reply.get("traceback", ""), changed)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS, ids=lambda c: c.__name__)
def test_a_right_implementation_passes(implementation):
    adapter = implementation("cpu", "eager")
    verdicts, alarms = Counter(), []
    for question, sent, expected in corpus():
        if adapter.loops and max(np.size(x) for x in question.case.inputs.values()) > LARGE:
            continue
        judged = judge(question, ask(adapter, sent), expected, None)
        verdicts[judged.verdict] += 1
        if judged.verdict not in ("pass", "unsupported"):
            found = judged.comparison
            ratio = f" (error over bound {found.ratio:.3g} at {found.index})" if found and found.ratio else ""
            alarms.append(f"{question.trial_id(implementation.__name__)}: {judged.message}{ratio}")
    assert not alarms, f"{len(alarms)} of {dict(verdicts)}\n" + "\n".join(alarms[:20])
    assert verdicts["pass"] > 2000


def test_every_loss_is_tried_in_many_ways():
    assert len(IMPLEMENTATIONS) >= 14
    for loss in LOSSES:
        assert sum(hasattr(c, loss) and hasattr(c, f"{loss}_gradient") for c in IMPLEMENTATIONS) >= 10
