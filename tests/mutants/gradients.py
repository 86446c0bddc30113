"""Wrong backward passes whose value is right: upstream gradients, signs, missing terms."""

import numpy as np

from conformance.losses import LOSSES
from conformance.losses.arithmetic import expand, is_float, total, where
from conformance.losses.reduction import upstream
from conformance.losses.softmax import probabilities_for_gradient
from conformance.losses.target import Mass, index_mass
from mutants.base import CLASS_LABELS, REDUCED, WRT, classes_last, mutant

EVERY = tuple(LOSSES)


@mutant(*EVERY, output="gradient")
def upstream_gradient_ignored(call):
    return call.right(cotangent=np.ones_like(call.cotangent))


@mutant(*EVERY, output="gradient")
def first_upstream_gradient_for_all(call):
    g = call.cotangent
    return call.right(cotangent=np.broadcast_to(g.flat[0], g.shape).astype(g.dtype) if g.size else g)


@mutant(*EVERY, output="gradient")
def mean_upstream_gradient_for_all(call):
    g = call.cotangent
    return call.right(cotangent=np.broadcast_to(g.mean(dtype=np.float64).astype(g.dtype), g.shape) if g.size else g)


@mutant(*EVERY, output="gradient")
def sign_of_the_upstream_gradient_lost(call):
    return call.right(cotangent=np.abs(call.cotangent))


@mutant(*EVERY, output="gradient")
def upstream_gradient_clipped_to_one(call):
    return call.right(cotangent=np.clip(call.cotangent, -1, 1).astype(call.x.dtype))


@mutant(*EVERY, output="gradient")
def upstream_gradient_clipped_to_100(call):
    return call.right(cotangent=np.clip(call.cotangent, -100, 100).astype(call.x.dtype))


@mutant(*EVERY, output="gradient")
def upstream_gradient_applied_twice(call):
    return call.right(cotangent=call.cotangent * call.cotangent)


@mutant(*EVERY, output="gradient")
def upstream_gradients_in_reverse_order(call):
    return call.right(cotangent=call.cotangent[::-1].copy() if call.cotangent.ndim else call.cotangent)


@mutant(*EVERY, output="gradient")
def upstream_gradients_in_the_order_of_the_transpose(call):
    g = call.cotangent
    return call.right(cotangent=g.T.reshape(g.shape).copy())


@mutant(*REDUCED, output="gradient")
def scalar_upstream_gradient_taken_for_one(call):
    """Backward starts from the loss itself and never asks."""
    g = call.cotangent
    return call.right(cotangent=g if g.ndim else np.ones_like(g))


@mutant(*EVERY, output="gradient")
def sign_of_the_gradient_turned(call):
    return -call.right()


@mutant(*EVERY, output="gradient")
def gradient_clipped_to_one(call):
    return np.clip(call.right(), -1, 1).astype(call.x.dtype)


@mutant(*EVERY, output="gradient")
def small_gradients_flushed(call):
    right = call.right()
    return np.where(np.abs(right) < 1e-4, right.dtype.type(0), right)


@mutant(*EVERY, output="gradient")
def gradient_of_the_first_row_only(call):
    right = call.right()
    if right.ndim:
        right[1:] = 0
    return right


@mutant(*EVERY, output="gradient")
def gradient_of_the_last_row_missing(call):
    right = call.right()
    if right.ndim and len(right) > 1:
        right[-1] = 0
    return right


@mutant(*EVERY, output="gradient")
def gradient_by_differences(call):
    """A difference quotient of float64 values with a step of 1e-3."""
    if call.x.size > 100:
        return call.right()
    inputs = {name: x if x.dtype.kind in "iu" else x.astype(np.float64) for name, x in call.inputs.items()}
    options = {name: x.astype(np.float64) if isinstance(x, np.ndarray) else x for name, x in call.options.items()}
    wrt = WRT[call.loss]
    g = call.cotangent.astype(np.float64)
    slope = np.zeros(call.x.shape)
    for index in np.ndindex(call.x.shape):
        step = np.zeros(call.x.shape)
        step[index] = 1e-3
        above = call.correct(call.loss, {**inputs, wrt: inputs[wrt] + step}, options)
        below = call.correct(call.loss, {**inputs, wrt: inputs[wrt] - step}, options)
        slope[index] = np.sum(g * (above - below)) / 2e-3
    return slope.astype(call.x.dtype)


@mutant("cross_entropy", output="gradient")
def softmax_less_target_whatever_it_sums_to(call):
    """p - q, forgetting the sum of q."""
    if not is_float(call.target) or call.option("weight") is not None or call.option("label_smoothing"):
        return call.right()
    x, back = classes_last(call)
    q, _ = classes_last(call, call.target)
    g = upstream(call.cotangent, q.shape[:-1], call.options["reduction"])
    return back((probabilities_for_gradient(x) - q) * expand(g))


@mutant("cross_entropy", output="gradient")
def gradient_at_the_label_only(call):
    """p_y - 1 at the label and nothing elsewhere."""
    right = call.right()
    if is_float(call.target):
        return right
    x, back = classes_last(call, right)
    onehot = np.arange(x.shape[-1]) == call.target[..., None]
    return back(where(onehot, x, 0 * x))


@mutant("cross_entropy", output="gradient")
def gradient_at_the_label_missing(call):
    """p everywhere, the label among the rest."""
    right = call.right()
    if is_float(call.target):
        return right
    x, back = classes_last(call, right)
    onehot = np.arange(x.shape[-1]) == call.target[..., None]
    return back(where(onehot, 0 * x, x))


@mutant("nll_loss", output="gradient")
def gradient_everywhere_in_the_row(call):
    x, back = classes_last(call, call.right())
    return back(np.broadcast_to(total(x, -1, keepdims=True), x.shape).copy())


@mutant("nll_loss", output="gradient")
def nll_gradient_taken_through_a_softmax(call):
    """exp(x) - onehot, the gradient of cross entropy."""
    x, back = classes_last(call)
    g, _ = classes_last(call, call.right())
    return back(g - np.exp(x) * total(g, -1, keepdims=True))


@mutant(*CLASS_LABELS, output="gradient")
def gradients_of_equal_labels_overwrite_each_other(call):
    """Of the rows with one label only the last has a gradient."""
    right = call.right()
    if is_float(call.target) or call.target.ndim != 1 or call.option("axis") == 0:
        return right
    labels = call.target.tolist()
    for row, label in enumerate(labels):
        if label in labels[row + 1 :]:
            right[row] = 0
    return right


@mutant("cross_entropy", output="gradient")
def gradient_missing_on_confident_rows(call):
    """Rows whose label has a probability above 0.999 are skipped."""
    right = call.right()
    if is_float(call.target):
        return right
    x, back = classes_last(call)
    g, _ = classes_last(call, right)
    p = probabilities_for_gradient(x)
    sure = (p * (np.arange(x.shape[-1]) == call.target[..., None])).sum(-1, dtype=np.float64) > 0.999
    return back(where(sure[..., None], 0 * g, g))


@mutant("cross_entropy", "nll_loss", output="gradient", replaces=index_mass)
def weights_of_ones_in_the_divisor_of_the_gradient(like, target, weight, ignore_index):
    """The gradient of a weighted mean divides by the number of kept rows."""
    mass, kept, count = index_mass(like, target, weight, ignore_index)
    return Mass(mass, kept, count if weight is None else int(kept.sum()))


@mutant("self_information", "entropy", output="gradient")
def gradient_of_base_two(call):
    return call.right() / call.scalar(np.log(2))


@mutant("sigmoid", output="gradient")
def slope_of_sigmoid_without_its_factor(call):
    """g in place of g (1 - g)."""
    return call.cotangent * LOSSES["sigmoid"].value(call.x)


@mutant("sigmoid", output="gradient")
def slope_of_a_hard_sigmoid(call):
    """1/4 within +-2 and 0 outside."""
    return call.cotangent * np.where(np.abs(call.x) < 2, call.scalar(0.25), call.scalar(0))


@mutant("softplus", "log_sigmoid", "soft_margin_loss", "binary_cross_entropy_with_logits", output="gradient")
def no_gradient_at_exactly_zero(call):
    """abs and max have no slope at 0, and the chain rule takes 0 for it."""
    right = call.right()
    return np.where(call.x == 0, right.dtype.type(0), right)


@mutant("softplus", "log_sigmoid", "soft_margin_loss", output="gradient")
def gradient_of_the_mirrored_argument(call):
    return call.with_x(-call.x).right()
