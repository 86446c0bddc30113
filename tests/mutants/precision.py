"""Digits lost midway: a narrower type for one step, 16-bit sums, coarse exponentials, logarithms and reciprocals."""

import numpy as np
from ml_dtypes import bfloat16

from conformance.losses import LOSSES
from conformance.losses.arithmetic import quotient, total, wide_total
from conformance.losses.reduction import upstream
from conformance.losses.softmax import (
    log_normaliser,
    log_probabilities,
    probabilities,
    probabilities_for_gradient,
    shifted,
)
from mutants.base import REDUCED, SOFTMAX_FAMILY, classes_last, mutant, through

EVERY = tuple(LOSSES)
WITH_EXP = (*SOFTMAX_FAMILY, "sigmoid", "log_sigmoid", "softplus", "soft_margin_loss")
WITH_LOG = ("entropy", "self_information", "binary_cross_entropy", "kl_div")
WITH_LOG1P = ("log_softmax", "logsumexp", "cross_entropy", "log_sigmoid", "softplus", "soft_margin_loss")
SUMMED = ("softmax", "logsumexp", "log_softmax", "cross_entropy", "entropy")


def in_type(call, dtype):
    """Everything computed in another type."""
    inputs = {name: x if x.dtype.kind in "iu" else x.astype(dtype) for name, x in call.inputs.items()}
    options = {name: x.astype(dtype) if isinstance(x, np.ndarray) else x for name, x in call.options.items()}
    cotangent = None if call.cotangent is None else call.cotangent.astype(dtype)
    return call.right(**inputs, **options, cotangent=cotangent).astype(call.x.dtype)


@mutant(*EVERY)
def float64_computed_in_float32(call):
    return in_type(call, np.float32) if call.x.dtype == np.float64 else call.right()


@mutant(*EVERY)
def float32_computed_in_bfloat16(call):
    return in_type(call, bfloat16) if call.x.dtype == np.float32 else call.right()


@mutant(*EVERY)
def float16_computed_in_bfloat16(call):
    return in_type(call, bfloat16) if call.x.dtype == np.float16 else call.right()


@mutant(*EVERY)
def bfloat16_computed_in_float16(call):
    """The range of bfloat16 is lost."""
    return in_type(call, np.float16) if call.x.dtype == bfloat16 else call.right()


@mutant(*EVERY)
def inputs_rounded_to_bfloat16(call):
    return call.with_x(through(bfloat16)(call.x)).right()


@mutant(*EVERY)
def inputs_rounded_to_ten_bits(call):
    """As a tensor core does with its operands."""
    if call.x.dtype != np.float32:
        return call.right()
    bits = call.x.view(np.int32)
    return call.with_x(((bits + 0x1000) & ~0x1FFF).view(np.float32)).right()


@mutant(*EVERY, output="value")
def value_rounded_to_bfloat16(call):
    return through(bfloat16)(call.right())


@mutant(*EVERY, output="gradient")
def gradient_rounded_to_bfloat16(call):
    return through(bfloat16)(call.right())


@mutant(*EVERY, output="gradient")
def gradient_rounded_to_float16(call):
    return through(np.float16)(call.right())


@mutant(*EVERY, output="gradient")
def upstream_gradient_rounded_to_bfloat16(call):
    return call.right(cotangent=through(bfloat16)(call.cotangent))


@mutant(*EVERY, output="gradient")
def upstream_gradient_rounded_to_float16(call):
    return call.right(cotangent=through(np.float16)(call.cotangent))


@mutant(*WITH_EXP, replaces=np.exp)
def exp_rounded_to_bfloat16(x):
    return through(bfloat16)(np.exp(x))


@mutant(*WITH_EXP, replaces=np.exp)
def exp_rounded_to_float16(x):
    return through(np.float16)(np.exp(x))


@mutant(*WITH_EXP, replaces=np.exp)
def exp_wrong_by_20_ulp(x):
    """A fast exponential, whose last digits are wrong below -1."""
    y = np.exp(x)
    unit = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10}.get(y.dtype.name, 2.0**-7)
    return np.where(x < -1, y * y.dtype.type(1 + 20 * unit), y)


@mutant(*WITH_EXP, replaces=np.exp)
def exp_by_a_short_base_two(x):
    """exp2(x * log2 e) with seven bits of log2 e lose digits as x grows."""
    return np.exp2(x * x.dtype.type(1.4426))


@mutant(*WITH_EXP, replaces=np.exp)
def exp_in_float32_for_float64(x):
    return through(np.float32)(np.exp(x)) if x.dtype == np.float64 else np.exp(x)


@mutant(*WITH_LOG, replaces=np.log)
def log_wrong_by_1e_5(x):
    y = np.log(x)
    return y * y.dtype.type(1 + 1e-5) if y.dtype.itemsize > 2 else through(bfloat16)(y * y.dtype.type(1 + 2.0**-6))


@mutant(*WITH_LOG, replaces=np.log)
def log_with_a_short_log_two(x):
    """log2(x) times 0.6931."""
    return np.log2(x) * x.dtype.type(0.6931)


@mutant(*WITH_LOG, replaces=np.log)
def log_rounded_to_bfloat16(x):
    return through(bfloat16)(np.log(x))


@mutant("log_sigmoid", "softplus", "soft_margin_loss", replaces=np.log1p)
def log1p_is_log_of_one_plus(x):
    return np.log(1 + x)


@mutant(*WITH_LOG1P, replaces=np.log1p)
def log1p_in_float32_for_float64(x):
    return through(np.float32)(np.log1p(x)) if x.dtype == np.float64 else np.log1p(x)


@mutant("binary_cross_entropy", replaces=np.log1p)
def log_of_one_minus_p(x):
    """log(1 - p) in place of log1p(-p)."""
    return np.log(1 + x)


def summed_in(dtype):
    def running(x, axis=None, *, keepdims=False):
        if x.dtype.itemsize > 2 or not x.size:
            return wide_total(x, axis, keepdims=keepdims)
        rows = x.reshape(-1) if axis is None else np.moveaxis(x, axis, -1)
        partial = np.add.accumulate(rows.astype(dtype), axis=-1)[..., -1]
        result = partial.astype(x.dtype)
        return result if not keepdims else np.expand_dims(result, axis)

    return running


def sixteen_bit_mean(numerator, denominator):
    if numerator.dtype.itemsize > 2:
        return quotient(numerator, denominator)
    return np.asarray(summed_in(numerator.dtype)(numerator) / np.asarray(denominator).astype(numerator.dtype))


@mutant(*SUMMED, replaces=wide_total)
def sixteen_bit_sums(x, axis=None, *, keepdims=False):
    """16-bit terms are added one after the other in 16 bits."""
    return summed_in(x.dtype)(x, axis, keepdims=keepdims)


@mutant(*REDUCED, replaces=quotient, output="value")
def sixteen_bit_means(numerator, denominator):
    """16-bit losses are added up in 16 bits before they are divided."""
    return sixteen_bit_mean(numerator, denominator)


@mutant(*REDUCED, replaces=quotient, output="value")
def sum_stored_before_the_mean(numerator, denominator):
    """The sum of 16-bit losses overflows though their mean does not."""
    if numerator.dtype.itemsize > 2:
        return quotient(numerator, denominator)
    return np.asarray(total(numerator).astype(np.float32) / np.float32(denominator)).astype(numerator.dtype)


@mutant(*REDUCED, replaces=quotient, output="value")
def count_stored_in_the_dtype(numerator, denominator):
    """The number of rows is infinite in float16 above 65504."""
    if numerator.dtype.itemsize > 2:
        return quotient(numerator, denominator)
    divisor = np.asarray(denominator).astype(numerator.dtype).astype(np.float32)
    return np.asarray(numerator.sum(dtype=np.float32) / divisor).astype(numerator.dtype)


@mutant(*REDUCED, replaces=quotient, output="value")
def count_wraps_around_in_16_bits(numerator, denominator):
    return quotient(numerator, denominator % 65536 if isinstance(denominator, int) else denominator)


@mutant(*REDUCED, replaces=upstream, output="gradient")
def reciprocal_of_the_count_rounded_to_bfloat16(cotangent, loss_shape, reduction, count=None):
    if reduction in ("none", "sum"):
        return cotangent
    count = upstream(np.ones_like(cotangent), loss_shape, reduction, count)
    return cotangent * through(bfloat16)(count)


@mutant(*SUMMED, replaces=wide_total)
def float32_sums_for_float64(x, axis=None, *, keepdims=False):
    return through(np.float32)(np.asarray(wide_total(x, axis, keepdims=keepdims)))


@mutant("softmax", "log_softmax", "logsumexp", "cross_entropy", replaces=np.exp, output="gradient")
def exp_rounded_to_bfloat16_in_the_gradient(x):
    return through(bfloat16)(np.exp(x))


@mutant("log_softmax", "logsumexp", "cross_entropy", replaces=probabilities_for_gradient, output="gradient")
def gradient_from_a_bfloat16_softmax(logits):
    return through(bfloat16)(probabilities(logits))


@mutant("log_softmax", "logsumexp", "cross_entropy", replaces=probabilities_for_gradient, output="gradient")
def gradient_from_bfloat16_log_probabilities(logits):
    """The stored output was rounded to bfloat16."""
    return np.exp(through(bfloat16)(log_probabilities(logits)))


@mutant("softmax", replaces=probabilities)
def softmax_by_an_approximate_reciprocal(logits):
    """A reciprocal of twelve bits, without the Newton step."""
    p = probabilities(logits)
    return p * p.dtype.type(1 + 2.0**-6 if p.dtype.itemsize == 2 else 1 + 2.0**-12)


@mutant("softmax", replaces=probabilities)
def softmax_in_steps_of_a_256th(logits):
    return np.round(probabilities(logits) * 256) / 256


@mutant("log_softmax", "logsumexp", "cross_entropy", replaces=log_normaliser, output="value")
def normaliser_rounded_to_float16(shift):
    return through(np.float16)(log_normaliser(shift))


@mutant("cross_entropy", "nll_loss", output="value")
def losses_rounded_to_bfloat16_before_the_mean(call):
    if call.options["reduction"] != "mean" or call.option("weight") is not None or call.target.dtype.kind not in "iu":
        return call.right()
    kept = call.target != call.option("ignore_index")
    rows = through(bfloat16)(call.right(reduction="none"))
    return np.asarray((rows * kept).sum(dtype=np.float64) / kept.sum()).astype(call.x.dtype)


@mutant("logsumexp", output="value")
def row_maximum_rounded_to_bfloat16(call):
    """The maximum that is added back is not the one that was subtracted."""
    x, _ = classes_last(call)
    return through(bfloat16)(x.max(-1)) + log_normaliser(shifted(x))[..., 0]
