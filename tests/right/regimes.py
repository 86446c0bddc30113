"""Random cases of every loss in the regimes where implementations have gone wrong, options drawn too."""

from __future__ import annotations

import numpy as np

from conformance.casefiles.case import Case
from conformance.losses import LOSSES

ROWS = ("ordinary", "wide", "far", "offset", "high", "peaked", "flat", "ties", "equal")
_BATCHES = ((5, 4), (6, 10), (9, 3), (12, 2), (3, 30), (2, 3, 4), (4, 1), (7,))


def rows(rng, regime, shape):
    """Logits whose last axis holds the classes; rounded to float32, so that most types hold about what is meant."""
    x = rng.standard_normal(shape)
    match regime:
        case "wide":
            x = 5 * x
        case "far":
            x = 30 * x
        case "offset":
            x = 3 * x + rng.choice([-1e4, 100, 500, 1e4])
        case "high":
            x = 8 * x.round() + 1e8
        case "peaked":
            x = x + (x.argmax(-1)[..., None] == np.arange(shape[-1])) * rng.uniform(0, 40, (*shape[:-1], 1))
        case "flat":
            x = 1e-3 * x
        case "ties":
            x = (2 * x).round() / 2
        case "equal":
            x = 0 * x + rng.choice([0.0, 3.25, -7.5])
    return x.astype(np.float32).astype(np.float64)


def binary_logits(rng, shape):
    scale = rng.choice([1e-4, 1.0, 5.0, 30.0, 200.0])
    return scale * rng.standard_normal(shape) * rng.choice([0, 1, 1, 1, 1, 1], shape)


def probabilities(rng, shape, smallest):
    """Uniform, tiny, nearly one, or rows that sum to one with zeros among them."""
    kind = rng.integers(4)
    if kind == 0:
        return rng.uniform(0.01, 0.99, shape)
    if kind == 1:
        return smallest ** rng.uniform(0, 1, shape)
    if kind == 2:
        return 1 - 2.0 ** -rng.integers(2, 8, shape)
    return mass(rng, shape)


def mass(rng, shape):
    raw = rng.exponential(size=shape) * rng.choice([0, 1, 1, 1e-2], shape)
    raw[..., 0] += 1e-3
    return raw / raw.sum(-1, keepdims=True)


def random_case(rng, name, index=0, smallest=1e-6):
    """A case of the loss with inputs of a random regime and random options; `smallest` is that of probabilities."""
    shape = _BATCHES[rng.integers(len(_BATCHES))]
    regime = ROWS[rng.integers(len(ROWS))]
    loss = LOSSES[name]
    inputs, options = _inputs(rng, name, shape, regime, smallest), {}
    if "reduction" in loss.options:
        choices = ["none", "mean", "sum"] + ["batchmean"] * (name == "kl_div")
        options["reduction"] = str(rng.choice(choices))
    if name in ("cross_entropy", "nll_loss"):
        options |= _class_options(rng, inputs, shape, name)
    for option in {"weight", "pos_weight"} & set(loss.options) if name.startswith("binary") else ():
        if rng.random() < 0.4:
            options[option] = rng.uniform(0.1, 4, shape[-1])
    if name == "kl_div" and rng.random() < 0.4:
        options["log_target"] = True
        inputs["target"] = np.log(np.maximum(inputs["target"], 1e-4))
    value = np.shape(loss.evaluate(np.asarray, inputs, options))
    cotangent = rng.choice([1.0, -0.5, 1.5, 0.3, 7.0, 1e-3], value)
    label = f"{name}/{regime}_{index}"
    return Case(label, loss, inputs, options, cotangent=np.asarray(cotangent), grad=True)


def _inputs(rng, name, shape, regime, smallest):
    if name in ("softmax", "log_softmax", "logsumexp"):
        return {"logits": rows(rng, regime, shape)}
    if name in ("sigmoid", "log_sigmoid", "softplus"):
        return {"logits": binary_logits(rng, shape)}
    if name == "cross_entropy":
        soft = rng.random() < 0.4
        return {"logits": rows(rng, regime, shape), "target": mass(rng, shape) if soft else _labels(rng, shape)}
    if name == "nll_loss":
        return {"log_probs": -(10 ** rng.uniform(-6, 2, shape)), "target": _labels(rng, shape)}
    if name == "binary_cross_entropy":
        p = np.clip(probabilities(rng, shape, smallest), 100 * smallest, 1 - 2.0**-8)
        return {"probs": p, "target": _binary_target(rng, shape)}
    if name == "binary_cross_entropy_with_logits":
        return {"logits": binary_logits(rng, shape), "target": _binary_target(rng, shape)}
    if name == "soft_margin_loss":
        return {"logits": binary_logits(rng, shape), "target": rng.choice([-1.0, 1.0], shape)}
    if name == "kl_div":
        return {"log_probs": -(10 ** rng.uniform(-4, 2, shape)), "target": mass(rng, shape)}
    return {"probs": np.maximum(probabilities(rng, shape, smallest), smallest)}


def _labels(rng, shape):
    """Labels for classes on the last axis; see `_class_options`."""
    return np.asarray(rng.integers(0, shape[-1], shape[:-1]))


def _binary_target(rng, shape):
    return rng.integers(0, 2, shape).astype(float) if rng.random() < 0.6 else rng.uniform(0, 1, shape)


def _class_options(rng, inputs, shape, name):
    options = {"axis": len(shape) - 1} if len(shape) > 1 else {}
    if rng.random() < 0.4:
        options["weight"] = rng.uniform(0.1, 4, shape[-1]) * rng.choice([0, 1, 1, 1, 1], shape[-1])
        options["weight"][0] = 1.5
    target = inputs["target"]
    if target.dtype.kind == "i" and target.ndim and rng.random() < 0.4:
        hidden = rng.random(target.shape) < 0.3
        hidden.flat[0] = False
        target[hidden] = -100
        target.flat[0] = 0  # a kept row whose class has a weight
        options["ignore_index"] = -100
    elif target.dtype.kind == "i":
        target.flat[0] = 0
    if name == "cross_entropy" and rng.random() < 0.4:
        options["label_smoothing"] = float(rng.choice([0.1, 0.3, 1.0]))
    return options
