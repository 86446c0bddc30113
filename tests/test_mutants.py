"""The mutants are many, distinct and wrong: a sample is killed here, all of them by `make mutants`."""

from __future__ import annotations

from functools import cache

import pytest
from conformance.adapters.numpy_reference import NumPy
from mutants import REGISTRY
from mutants.base import OUTPUTS, Defect
from mutants.corpus import kills, put, trials
from mutants.onnx_cases import notices, onnx_cases

from conformance.casefiles.load import builtin_files, load_cases
from conformance.losses import LOSSES
from conformance.plan import SLOW

SMALL = 200
"""Elements of a case that is tried here."""
SAMPLE = sorted(REGISTRY)[::8]


@cache
def cases():
    """Every case by loss, but the slow ones."""
    found = {loss: [] for loss in LOSSES}
    for case in load_cases(builtin_files()):
        if SLOW not in case.tags:
            found[case.loss.name].append(case)
    return found


@cache
def small_trials(loss):
    """The trials of the small cases of a loss, in two dtypes."""
    small = [case for case in cases()[loss] if sum(x.size for x in case.inputs.values()) <= SMALL]
    return trials(small, ("float16", "float32"))[loss]


@cache
def all_trials(loss):
    return trials(cases()[loss])[loss]


def test_there_are_enough_mutants_of_every_loss_and_output():
    assert len(REGISTRY) >= 120
    for loss in LOSSES:
        for output in OUTPUTS:
            breaking = [d for d in REGISTRY.values() if loss in d.losses and output in d.outputs]
            assert len(breaking) >= 10, (loss, output)


def test_what_is_not_mutated_is_not_killed():
    right = Defect("right", "", tuple(LOSSES), OUTPUTS, NumPy)
    assert not [kill for loss in LOSSES for kill in kills(right, loss, small_trials(loss))]


@pytest.mark.parametrize("name", SAMPLE)
def test_a_mutant_is_killed_in_every_loss_that_it_breaks(name):
    defect = REGISTRY[name]
    alive = [loss for loss in defect.losses if not kills(defect, loss, small_trials(loss), enough=1)]
    assert not [loss for loss in alive if not kills(defect, loss, all_trials(loss), enough=1)]


def test_a_mutant_keeps_the_adapter_contract():
    """A mutant that is killed for a broken signature says nothing about the cases."""
    statuses = {put(d.adapter("cpu", "eager"), small_trials(d.losses[0])[0]) for d in REGISTRY.values()}
    assert statuses <= {"pass", "mismatch", "error"}


def test_the_right_adapter_passes_onnx_cases():
    pytest.importorskip("onnx", reason="ONNX's cases come with the onnx package")
    theirs, right = onnx_cases(), NumPy("cpu", "eager")
    assert len(theirs) > 50
    assert not [case.name for case in theirs if notices(case, right)]
