"""Hypothesis strategies over losses, options, shapes, dtypes, layouts and regimes.

What they draw is a case as a case file would say it, so that a finding is written down as it is. Shapes come from a
short table, as XLA compiles every operation anew for each shape; a target that compiles gets its beginning only.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conformance.losses import LOSSES, Loss
from conformance.search import regimes
from conformance.targets.contract import Offer

Entry = dict[str, Any]

_ROWS = (((1, 2), 1), ((2, 3), 1), ((3,), 0), ((1, 1), 1), ((0, 3), 1), ((2, 3, 2), 1))
_MORE_ROWS = (((2, 2, 3), 2), ((5, 4), 1), ((1, 9), 1), ((2, 17), 1), ((3, 33), 1), ((2, 2, 2, 2), 3), ((130, 2), 1))
_LARGE = ((2, 1000), (4097, 3), (2, 65537), (70000, 2))
_FLAT = ((1,), (12,), (2, 3), (12,), (0,), (), (12,), (33,))
"""For losses of single elements, which are tried a dozen at a time; the last ones not where shapes are compiled."""
_LAYOUTS = ("transposed", "strided", "sliced", "reversed")
_SIZE_OF_BALLS = 10_000
"""float64 is judged in ball arithmetic, which larger inputs would spend the search's time on."""


@st.composite
def entries(draw: st.DrawFn, loss: str, offer: Offer, *, compiles: bool = False) -> Entry:
    """One case of a loss, with options that the target has, in one dtype."""
    formula = LOSSES[loss]
    dtype = draw(st.sampled_from(("float32", "float64", "bfloat16", "float16")))
    entry: Entry = {"id": "found", "dtypes": [dtype], "options": _reduction(draw, formula, offer)}
    if draw(st.integers(0, 39)) == 39 and not compiles:
        return _large(draw, formula, entry)
    if loss in ("cross_entropy", "nll_loss"):
        _class_inputs(draw, formula, entry, offer, compiles)
    else:
        _same_shape_inputs(draw, formula, entry, offer, compiles)
    if draw(st.integers(0, 5)) == 5:
        name = draw(st.sampled_from(formula.inputs))
        entry["layout"] = {name: draw(st.sampled_from(_LAYOUTS))}
    return entry


def _reduction(draw: st.DrawFn, loss: Loss, offer: Offer) -> Entry:
    if "reduction" not in loss.options:
        return {}
    if "reduction" not in offer:
        return {"reduction": "none"}
    known = ("none", "sum", "mean", *(("batchmean",) if loss.name == "kl_div" else ()))
    allowed = [r for r in known if not offer["reduction"] or r in offer["reduction"]]
    return {"reduction": draw(st.sampled_from(allowed))}


def _rows(draw: st.DrawFn, compiles: bool) -> tuple[tuple[int, ...], int]:
    return draw(st.sampled_from(_ROWS if compiles else (*_ROWS, *_MORE_ROWS)))


def _array(draw: st.DrawFn, shape: tuple[int, ...], pool: list[Any]) -> Any:
    """Nested lists over the pool; in a large array most elements are the same. Lists have no empty shape but (0,)."""
    if 0 in shape:
        return {"generator": "integers" if isinstance(pool[0], int) else "uniform", "shape": list(shape), "high": 1}
    elements = st.sampled_from(pool)
    kind = int if all(isinstance(x, int) for x in pool) else float
    fill = elements if shape and max(shape) > 12 else st.nothing()
    return draw(hnp.arrays(kind, shape, elements=elements, fill=fill)).tolist()


def _logits(draw: st.DrawFn, shape: tuple[int, ...], dtype: str, elementwise: bool = False) -> Any:
    if elementwise and draw(st.booleans()):
        return _array(draw, shape, regimes.mixed(dtype))
    regime = draw(st.sampled_from(regimes.LOGITS))
    offset = draw(st.sampled_from(regimes.offsets(dtype))) if regime == "offset" else 0.0
    pool = regimes.logits(regime, dtype, offset)
    return _array(draw, shape, [*pool, float("inf")] if elementwise and regime == "mask" else pool)


def _first(draw: st.DrawFn, loss: Loss, shape: tuple[int, ...], dtype: str) -> Any:
    """The input that is differentiated."""
    if loss.wrt == "logits":
        return _logits(draw, shape, dtype, elementwise="axis" not in loss.options)
    if loss.wrt == "log_probs":
        return _array(draw, shape, regimes.log_probabilities(draw(st.sampled_from(regimes.LOGITS)), dtype))
    return _array(draw, shape, regimes.probabilities(dtype))


def _class_inputs(draw: st.DrawFn, loss: Loss, entry: Entry, offer: Offer, compiles: bool) -> None:
    (dtype,) = entry["dtypes"]
    shape, axis = _rows(draw, compiles)
    options = entry["options"]
    if axis > 1:
        if "axis" in offer:
            options["axis"] = axis
        else:
            axis = 1
    classes, rows = shape[axis], shape[:axis] + shape[axis + 1 :]
    entry[loss.wrt] = _first(draw, loss, shape, dtype)
    if loss.name == "cross_entropy" and draw(st.integers(0, 2)) == 2:
        entry["target"] = _array(draw, shape, regimes.target_probabilities(dtype))
    else:
        _labels(draw, entry, rows, classes, offer)
    if "weight" in offer and draw(st.integers(0, 2)) == 2:
        options["weight"] = _array(draw, (classes,), regimes.weights(dtype))
    if "label_smoothing" in offer and draw(st.integers(0, 2)) == 2:
        options["label_smoothing"] = draw(st.sampled_from(regimes.SMOOTHINGS))
    _cotangent(draw, entry, rows)


def _labels(draw: st.DrawFn, entry: Entry, rows: tuple[int, ...], classes: int, offer: Offer) -> None:
    labels = list(range(classes))
    kind = draw(st.sampled_from((*("int64",) * 5, *regimes.LABEL_DTYPES[1:])))
    if kind != "int64":
        entry["target_dtype"] = kind
    if "ignore_index" in offer and draw(st.integers(0, 2)) == 2:
        ignored = [-100, -1, classes - 1, 255] if kind != "uint8" else [classes - 1, 255]
        index = draw(st.sampled_from([i for i in ignored if kind != "int8" or i < 128]))
        entry["options"]["ignore_index"] = index
        labels = [*labels, index]
    entry["target"] = _array(draw, rows, labels)


def _same_shape_inputs(draw: st.DrawFn, loss: Loss, entry: Entry, offer: Offer, compiles: bool) -> None:
    (dtype,) = entry["dtypes"]
    options, axis = entry["options"], None
    if "axis" in loss.options:
        shape, axis = _rows(draw, compiles)
        if "axis" in offer and draw(st.integers(0, 3)) == 3:
            options["axis"] = axis if shape[axis] else -1
    else:
        shape = draw(st.sampled_from(_flat_shapes(options.get("reduction"), loss, compiles)))
    entry[loss.wrt] = _first(draw, loss, shape, dtype)
    if loss.name == "kl_div" and "log_target" in offer and draw(st.integers(0, 2)) == 2:
        options["log_target"] = True
        entry["target"] = _array(draw, shape, regimes.log_probabilities("ordinary", dtype))
    elif "target" in loss.inputs:
        signs = loss.name == "soft_margin_loss"
        entry["target"] = _array(draw, shape, [1.0, -1.0] if signs else regimes.target_probabilities(dtype))
    for option in ("weight", "pos_weight"):
        if option in loss.options and option in offer and draw(st.integers(0, 2)) == 2:
            options[option] = _array(draw, shape[-1:], regimes.weights(dtype))
    value = None if loss.name in ("logsumexp", "entropy") else shape
    if value is None and shape[options.get("axis", -1)]:
        chosen = options.get("axis", -1) % len(shape)
        value = shape[:chosen] + shape[chosen + 1 :]
    if value is not None:
        _cotangent(draw, entry, value)


def _flat_shapes(reduction: str | None, loss: Loss, compiles: bool) -> list[tuple[int, ...]]:
    """Shapes for a loss without a class axis: no mean of nothing, no distribution without an axis, rows for a mean
    over the batch."""
    shapes = [*_FLAT[: 4 if compiles else None], *(((1, 3),) if loss.name == "kl_div" else ())]
    if reduction in ("mean", "batchmean"):
        shapes = [shape for shape in shapes if 0 not in shape]
    least = {"batchmean": 2}.get(reduction or "", int(loss.name == "kl_div"))
    return [shape for shape in shapes if len(shape) >= least]


def _cotangent(draw: st.DrawFn, entry: Entry, rows: tuple[int, ...]) -> None:
    if draw(st.integers(0, 2)) == 2:
        shape = rows if entry["options"].get("reduction", "none") == "none" else ()
        entry["cotangent"] = _array(draw, shape, regimes.cotangents(entry["dtypes"][0]))


def _large(draw: st.DrawFn, loss: Loss, entry: Entry) -> Entry:
    """Many rows or many classes, by generators; nothing here is shrunk but the choice."""
    shape = draw(st.sampled_from(_LARGE))
    if entry["dtypes"] == ["float64"] and shape[0] * shape[1] > _SIZE_OF_BALLS:
        entry["dtypes"] = ["float32"]
    seed = draw(st.integers(0, 9))
    drawn = {
        "logits": {"generator": "normal", "shape": list(shape), "seed": seed, "scale": draw(st.sampled_from((1, 5)))},
        "log_probs": {"generator": "uniform", "shape": list(shape), "seed": seed, "low": -8.0, "high": -0.1},
        "probs": {"generator": "distribution", "shape": list(shape), "seed": seed},
    }
    if draw(st.booleans()):
        drawn["logits"] = {"generator": "constant", "shape": list(shape), "value": 0.0}
    entry[loss.wrt] = drawn[loss.wrt]
    if loss.name in ("cross_entropy", "nll_loss"):
        entry["target"] = {"generator": "integers", "shape": [shape[0]], "seed": seed, "high": shape[1]}
    elif loss.name == "soft_margin_loss":
        entry["target"] = {"generator": "constant", "shape": list(shape), "value": -1.0}
    elif "target" in loss.inputs:
        entry["target"] = {"generator": "distribution", "shape": list(shape), "seed": seed + 1}
    return entry
