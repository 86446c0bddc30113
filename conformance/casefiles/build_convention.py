"""The convention that a case observes, with the checks of the keys that only such a case may have."""

from __future__ import annotations

from typing import Any

from conformance.casefiles.case import Case
from conformance.casefiles.convention import Convention
from conformance.casefiles.schema import CommonCase
from conformance.losses import Loss

Fault = tuple[list[Any], str]
"""Path inside the case, and what is wrong there."""

_KEYS = ("topic", "question", "output", "wrt", "input_dtypes", "bare")


def build_convention(loss: Loss, model: CommonCase) -> tuple[Convention | None, list[Fault]]:
    """The convention, or None for a case without one, and what is impossible about its keys."""
    if model.convention is None:
        return None, _stray_keys(model)
    convention = Convention(model.convention, model.outcomes, **{key: getattr(model, key) for key in _KEYS})
    return convention, _faults(loss, model)


def _stray_keys(model: CommonCase) -> list[Fault]:
    faults: list[Fault] = [([key], "only a convention has this key") for key in _KEYS if key in model.model_fields_set]
    return faults if not model.outcomes else [*faults, (["convention"], "convention and outcomes go together")]


def _faults(loss: Loss, model: CommonCase) -> list[Fault]:
    faults: list[Fault] = []
    arrays = (*loss.inputs, *(name for name in ("weight", "pos_weight") if name in loss.options))
    if not model.outcomes:
        faults.append((["convention"], "convention and outcomes go together"))
    if model.wrt and model.wrt not in loss.inputs:
        faults.append((["wrt"], f"unknown input; {loss.name} has {', '.join(loss.inputs)}"))
    if model.wrt and model.output != "gradient":
        faults.append((["wrt"], "only a gradient is taken with respect to an input; say output: gradient"))
    if model.output == "gradient" and model.cotangent is None:
        faults.append((["output"], "a convention about a gradient says its upstream gradient: cotangent"))
    if model.bare and model.options.model_fields_set:  # type: ignore[attr-defined]
        faults.append((["bare"], "a bare call passes no option"))
    faults += [
        (["input_dtypes", name], f"unknown input or option; {loss.name} has {', '.join(arrays)}")
        for name in model.input_dtypes
        if name not in arrays
    ]
    return faults + [
        (["outcomes", name, "changed"], f"unknown input {changed!r}; {loss.name} has {', '.join(arrays)}")
        for name, outcome in model.outcomes.items()
        for changed in outcome.changed
        if changed not in arrays
    ]


def shape_faults(case: Case) -> list[Fault]:
    """Outcomes of another shape than the formula gives; one that says its own shape, by `value`, may have any."""
    assert case.convention is not None
    gradient = case.convention.output == "gradient"
    shape = case.inputs[case.wrt].shape if gradient else case.output_shape
    return [
        (["outcomes", name], f"shape {outcome.value.shape}, but the {case.convention.output} has {shape}")
        for name, outcome in case.convention.outcomes.items()
        if outcome.value is not None and outcome.plain and outcome.value.shape != shape
    ]
