"""From a validated model to a `Case`, with the checks that need more than one key: shapes, ranges, printed values."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.casefiles.build_convention import Fault, build_convention, shape_faults
from conformance.casefiles.case import Case, half_last_digit
from conformance.casefiles.schema import CommonCase
from conformance.casefiles.values import array
from conformance.losses import Array, Loss

_CLASS_TARGET = ("cross_entropy", "nll_loss")
_CLASS_WEIGHT = _CLASS_TARGET
_PROBABILITIES = ("binary_cross_entropy", "entropy", "self_information")


def build_case(loss: Loss, model: CommonCase, where: str) -> tuple[Case | None, list[Fault]]:
    """The case, or None and what is impossible about it."""
    given = model.model_dump()
    inputs = {name: given[name] for name in loss.inputs}
    options = {
        name: _float_array(x) if isinstance(x, np.ndarray) else x
        for name, x in given["options"].items()
        if name in model.options.model_fields_set and x is not None  # type: ignore[attr-defined]
    }
    if "reduction" in loss.options and not model.bare:
        options.setdefault("reduction", loss.options["reduction"].default)
    faults = _set_dtypes(loss, inputs, model.target_dtype)
    ignored = "ignore_index" in loss.options and np.any(inputs["target"] == loss.options["ignore_index"].default)
    if ignored and not model.bare:
        # Rows that are ignored by default ask for the option, so that an adapter without it is not asked.
        options.setdefault("ignore_index", loss.options["ignore_index"].default)
    convention, misused = build_convention(loss, model)
    unusual = _input_faults(loss, inputs, options, lenient=_may_be_wrong(model))
    printed, unprintable = _published(model.printed)
    faults += misused + _layout_faults(loss, model) + unprintable
    if convention is None:  # what would be a mistake elsewhere may be the very point of a convention
        faults += unusual
    if faults:
        return None, faults
    case = Case(
        name=model.id,
        loss=loss,
        inputs=inputs,
        options=options,
        title=model.title,
        why=model.why,
        source=model.source,
        printed=_plain(model.printed),
        expected=model.expected,
        golden=model.golden,
        steps={name: _plain(step) for name, step in model.steps.items()},
        convention=convention,
        dtypes=tuple(dict.fromkeys(model.dtypes)),
        grad=model.grad,
        cotangent=None if model.cotangent is None else _float_array(model.cotangent),
        layout=model.layout,
        tags=tuple(model.tags),
        where=where,
    )
    faults = _shape_faults(case, printed) if not case.raises and not unusual and not model.bare else []
    return (None if faults else case), faults


def _may_be_wrong(model: CommonCase) -> bool:
    """A case that expects an error, or observes a convention, may hold what would be a mistake elsewhere."""
    return model.convention is not None or isinstance(model.expected, str)


def _set_dtypes(loss: Loss, inputs: dict[str, Array], target_dtype: str | None) -> list[Fault]:
    faults: list[Fault] = []
    for name, x in inputs.items():
        if name == "target" and loss.name in _CLASS_TARGET and x.dtype.kind == "i":
            inputs[name] = x.astype(target_dtype or "int64")
            changed = x[inputs[name] != x]
            if changed.size:
                faults.append(([name], f"label {changed.flat[0]} does not fit {target_dtype}"))
        else:
            inputs[name] = _float_array(x)
    return faults


def _float_array(x: Array) -> Array:
    return np.asarray(x, dtype=np.float64)


def _input_faults(loss: Loss, inputs: dict[str, Array], options: dict[str, Any], lenient: bool) -> list[Fault]:
    first = inputs[loss.wrt]
    if loss.name in _CLASS_TARGET:
        faults = _class_faults(loss, first, inputs["target"], options, lenient)
    else:
        axis = options.get("axis", loss.options["axis"].default) if "axis" in loss.options else None
        faults = _axis_faults(first, axis)
        if axis is not None and not faults and first.shape[axis] == 0:
            faults.append(([loss.wrt], f"shape {first.shape} has no classes"))
        faults += _same_shape_faults(loss, inputs)
        for name in ("weight", "pos_weight"):
            if name in options and not _broadcasts(options[name].shape, first.shape):
                message = f"shape {options[name].shape} does not broadcast to {loss.wrt}'s {first.shape}"
                faults.append((["options", name], message))
    if not lenient:
        outside = [name for name, x in options.items() if isinstance(x, float) and not 0 <= x <= 1]
        faults += [(["options", name], f"{options[name]:g} lies outside [0, 1]") for name in outside]
    if loss.name in _PROBABILITIES and not lenient and np.any((first < 0) | (first > 1)):
        faults.append(([loss.wrt], "a probability lies outside [0, 1]"))
    return faults


def _same_shape_faults(loss: Loss, inputs: dict[str, Array]) -> list[Fault]:
    first = inputs[loss.wrt]
    return [
        ([name], f"shape {x.shape} differs from {loss.wrt}'s {first.shape}")
        for name, x in inputs.items()
        if x.shape != first.shape
    ]


def _axis_faults(first: Array, axis: int | None) -> list[Fault]:
    if first.ndim == 0 and axis is not None:
        return [(["options", "axis"], "the input has no axes")]
    if axis is not None and not -first.ndim <= axis < first.ndim:
        return [(["options", "axis"], f"axis {axis} is out of range for an input of {first.ndim} axes")]
    return []


def _class_faults(loss: Loss, logits: Array, target: Array, options: dict[str, Any], lenient: bool) -> list[Fault]:
    if logits.ndim == 0:
        return [([loss.wrt], "a class axis is needed; a single number has none")]
    faults = _axis_faults(logits, options.get("axis"))
    if faults:
        return faults
    axis = (options.get("axis", 1) if logits.ndim > 1 else 0) % logits.ndim
    classes = logits.shape[axis]
    if classes == 0:
        return [([loss.wrt], f"shape {logits.shape} has no classes")]
    rows = logits.shape[:axis] + logits.shape[axis + 1 :]
    if target.dtype.kind == "f":
        if loss.name == "nll_loss":
            return [(["target"], "class indices are needed here, all of them integers")]
        if target.shape != logits.shape:
            faults.append((["target"], f"probability target of shape {target.shape}, but logits of {logits.shape}"))
    elif target.shape != rows:
        hint = "; write 1.0 instead of 1 for probabilities" if target.shape == logits.shape else ""
        faults.append((["target"], f"class indices of shape {target.shape}, but {rows} are needed{hint}"))
    elif not lenient:
        bad = target[((target < 0) | (target >= classes)) & (target != options.get("ignore_index", -100))]
        if bad.size:
            message = f"label {bad.flat[0]} is out of range for {classes} classes"
            faults.append((["target"], f"{message}; say `expected: error` if that is the point"))
    weight = options.get("weight")
    if weight is not None and weight.shape != (classes,):
        faults.append((["options", "weight"], f"shape {weight.shape}, but there are {classes} classes"))
    return faults


def _layout_faults(loss: Loss, model: CommonCase) -> list[Fault]:
    """Layouts of what a trial of the case is not given as an array."""
    given = model.options.model_fields_set  # type: ignore[attr-defined]
    options = [name for name in given if isinstance(getattr(model.options, name), np.ndarray)]  # type: ignore[attr-defined]
    there = [*loss.inputs, *sorted(options), *(["cotangent"] if model.grad else [])]
    unknown = [name for name in model.layout if name not in there]
    return [(["layout", name], f"no such array; {loss.name} is given {', '.join(there)} here") for name in unknown]


def _published(printed: Any) -> tuple[Array | None, list[Fault]]:
    """The published digits as numbers, and what is wrong with them."""
    if printed is None:
        return None, []
    try:
        numbers = array(printed)
        np.vectorize(half_last_digit, otypes=[float])(printed)
    except ValueError as error:
        return None, [(["printed"], str(error))]
    return numbers, []


def _shape_faults(case: Case, printed: Array | None) -> list[Fault]:
    """What must come out and has another shape than the value."""
    faults = shape_faults(case) if case.convention else []
    results = {"expected": case.expected, "printed": printed, "cotangent": case.cotangent}
    return faults + [
        ([path], f"shape {x.shape}, but the value has {case.output_shape}")
        for path, x in results.items()
        if x is not None and x.shape != case.output_shape
    ]


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def _plain(value: Any) -> Any:
    """Published numbers keep their digits: text stays text. The parser's own kind of float becomes a plain one."""
    if isinstance(value, list):
        return [_plain(x) for x in value]
    return float(value) if isinstance(value, float) else value
