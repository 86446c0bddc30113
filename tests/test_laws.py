"""The laws at work: wrong implementations that contradict themselves, told without a reference of what is right."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from conformance.adapters.numpy_reference import NumPy
from mutants import REGISTRY

from conformance.casefiles.case import Case, Question, questions
from conformance.judge.reference import reference
from conformance.losses import LOSSES
from conformance.search.equation import DoesNotApply, Measured
from conformance.search.laws import LAWS
from conformance.targets import worker
from conformance.targets.answer import request
from conformance.targets.wire import unpack

LOGITS = [[0.5, -1.0, 2.0], [0.25, 0.0, 1.0]]
INPUTS = {
    "softmax": {"logits": LOGITS},
    "log_softmax": {"logits": LOGITS},
    "logsumexp": {"logits": LOGITS},
    "hard": {"logits": LOGITS, "target": [2, 0]},
    "soft": {"logits": LOGITS, "target": [[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]]},
    "soft_margin_loss": {"logits": [0.5, -1.0], "target": [1.0, -1.0]},
}


def asked() -> Iterator[Question]:
    for name, inputs in INPUTS.items():
        loss = LOSSES["cross_entropy" if name in ("hard", "soft") else name]
        arrays = {key: np.asarray(x) for key, x in inputs.items()}
        for reduction in ("none", "mean") if "reduction" in loss.options else ("",):
            yield from questions(
                [Case(name, loss, arrays, {"reduction": reduction} if reduction else {})], ("float32",)
            )


def breaks(adapter: NumPy, name: str) -> bool:
    """Whether an adapter's answers break a law on some question."""

    def measured(question: Question) -> Measured:
        with np.errstate(all="ignore"):
            reply = worker.answer(adapter, request(question))
        bound = reference(question).bound
        if "array" not in reply or unpack(reply["array"]).shape != bound.shape:
            raise DoesNotApply
        return Measured(unpack(reply["array"]).astype(np.longdouble), bound)

    def broken_by(question: Question) -> bool:
        try:
            return not LAWS[name](measured, question).holds(question.dtype)
        except DoesNotApply:
            return False

    return any(broken_by(question) for question in asked())


class SmoothingTurnsTargetsAround(NumPy):
    """Takes another path as soon as the option is given, with the classes in another order."""

    def cross_entropy(self, logits, target, *, reduction="mean", label_smoothing=None):
        if label_smoothing is not None:
            logits = logits[..., ::-1]
        return super().cross_entropy(logits, target, reduction=reduction, label_smoothing=label_smoothing or 0.0)


CAUGHT = {
    "shift_invariance": "no_shift_by_the_maximum",
    "class_permutation": "labels_never_the_last_class",
    "row_independence": "normalised_over_the_whole_batch",
    "gradient_is_linear": "upstream_gradient_ignored",
    "padding": "zero_mass_times_infinity",
    "one_hot_equals_index": "mean_over_elements_with_probability_targets",
    "smoothing_zero_equals_none": SmoothingTurnsTargetsAround,
    "sum_equals_mean_times_count": "mean_over_one_less",
    "nll_of_log_softmax_equals_cross_entropy": "temperature_of_two",
    "divergence_plus_entropy_equals_cross_entropy": "entropy_in_bits",
    "signs_equal_zero_and_one": "margin_labels_taken_for_zero_and_one",
    "gradient_rows_sum_to_zero": "gradient_without_the_softmax",
}


@pytest.mark.parametrize("name", LAWS)
def test_a_law_tells_an_implementation_that_is_wrong_in_the_way_it_looks_for(name):
    wrong = CAUGHT[name]
    adapter = REGISTRY[wrong].adapter if isinstance(wrong, str) else wrong
    assert breaks(adapter("cpu", "eager"), name)


@pytest.mark.parametrize("name", LAWS)
def test_a_law_says_nothing_against_a_right_implementation(name):
    assert not breaks(NumPy("cpu", "eager"), name)
