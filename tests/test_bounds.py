"""The bounds: no tighter than the closed forms that were derived by hand, no wider than a small multiple of them."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.losses import DTYPES, FORMATS, LOSSES, bounds

E = {"float16": (2, 2, 2), "bfloat16": (2, 2, 2), "float32": (3, 3, 2), "float64": (3, 3, 2)}
RNG = np.random.default_rng(7)
REGIMES = {
    "ordinary": RNG.standard_normal((8, 10)),
    "wide range": 5 * RNG.standard_normal((8, 10)),
    "offset": 3 * RNG.standard_normal((8, 10)) + 500,
    "peaked": RNG.standard_normal((8, 10)) + 20 * np.eye(8, 10),
    "flat": 1e-3 * RNG.standard_normal((8, 10)),
    "hundred classes": 3 * RNG.standard_normal((4, 100)),
}
each = pytest.mark.parametrize("dtype", DTYPES)
regimes = pytest.mark.parametrize("regime", REGIMES)


def exact_quantities(dtype, regime):
    """Of the rounded logits: probabilities p, gaps D = max - x, and log s."""
    x = FORMATS[dtype].round(REGIMES[regime])
    gaps = x.max(-1, keepdims=True) - x
    s = np.exp(-gaps).sum(-1, keepdims=True)
    return x, np.exp(-gaps) / s, gaps, np.log(s)


def constants(dtype):
    """u, the unit roundoff of sums, that of storing a sum, and the relative errors of exp, log and log1p."""
    u = FORMATS[dtype].unit_roundoff
    u_sum = min(u, 2.0**-24)
    return u, u_sum, u if u_sum < u else 0.0, *(2 * u * e for e in E[dtype])


def sum_error(p, gaps, dtype):
    """sigma = u S + eps_e (mass of D > 0) + h u_a + u_s: the relative error of the sum of exponentials, first order."""
    u, u_sum, u_store, eps_e, _, _ = constants(dtype)
    n = p.shape[-1]
    share = (p * gaps).sum(-1, keepdims=True)
    return u * share + eps_e * (p * (gaps > 0)).sum(-1, keepdims=True) + (n - 1) * u_sum + u_store


def holds(derived, closed, dtype, slack=1.35):
    """The derived bound is at least the closed form to first order, and not much more."""
    u = FORMATS[dtype].unit_roundoff
    tiny = 4 * FORMATS[dtype].smallest_normal
    assert np.all(derived >= closed * (1 - 2.0**-10) - tiny)
    second_order = 1 + 40 * 25 * u  # gaps up to 25 enter the second-order terms
    assert np.all(derived <= slack * second_order * closed + 200 * tiny)


@each
@regimes
def test_log_softmax(dtype, regime):
    x, p, gaps, log_s = exact_quantities(dtype, regime)
    u, _, _, _, eps_l, _ = constants(dtype)
    closed = 2 * u * gaps + u * log_s + sum_error(p, gaps, dtype) + eps_l * log_s
    holds(bounds(LOSSES["log_softmax"], dtype, {"logits": x}, {}).bound, closed, dtype)


@each
@regimes
def test_softmax(dtype, regime):
    x, p, gaps, _ = exact_quantities(dtype, regime)
    u, _, _, eps_e, _, _ = constants(dtype)
    closed = p * (gaps * u + eps_e * (gaps > 0) + sum_error(p, gaps, dtype) + 2 * u)
    holds(bounds(LOSSES["softmax"], dtype, {"logits": x}, {}).bound, closed, dtype)


@each
@regimes
def test_logsumexp(dtype, regime):
    x, p, gaps, log_s = exact_quantities(dtype, regime)
    u, _, _, _, eps_l, _ = constants(dtype)
    lse = x.max(-1, keepdims=True) + log_s
    closed = (u * np.abs(lse) + sum_error(p, gaps, dtype) + eps_l * log_s)[:, 0]
    holds(bounds(LOSSES["logsumexp"], dtype, {"logits": x}, {}).bound, closed, dtype)


@each
def test_softplus(dtype):
    x = FORMATS[dtype].round(np.concatenate([np.linspace(-9, 9, 41), [0.0]]))
    u, _, _, eps_e, _, eps_1 = constants(dtype)
    tail = np.log1p(np.exp(-np.abs(x)))
    f = np.maximum(x, 0) + tail
    t = np.exp(-np.abs(x))
    own = eps_e * (x != 0) * t / (1 + t) + eps_1 * tail + u * f
    direct = np.where(x > 0, eps_e + eps_1 * f, 0.0)
    holds(bounds(LOSSES["softplus"], dtype, {"logits": x}, {}).bound, np.maximum(own, direct), dtype)


@each
def test_a_mean_is_relative_to_the_losses(dtype):
    rows = FORMATS[dtype].round(-np.abs(REGIMES["ordinary"]))
    target = np.arange(8)
    u, u_sum, u_store, *_ = constants(dtype)
    closed = np.abs(rows[np.arange(8), target]).mean() * (7 * u_sum + u_store + 3 * u)
    holds(bounds(LOSSES["nll_loss"], dtype, {"log_probs": rows, "target": target}, {}).bound, closed, dtype)


def test_a_confident_loss_is_sharp_but_not_bound_to_be():
    """Near zero the pass line is absolute, as log(1 + t) is; the sharp grade is relative, as log1p is."""
    inputs = {"logits": np.array([[16.0, 0.0, 0.0]]), "target": np.array([0])}
    derived = bounds(LOSSES["cross_entropy"], "float32", inputs, {"reduction": "sum"})
    assert derived.value < 1e-6
    assert derived.bound > 2.0**-24
    assert derived.sharp < 30 * 2.0**-24 * derived.value


@pytest.mark.parametrize("loss", ["softmax", "log_softmax", "logsumexp"])
def test_masked_classes_widen_no_bound(loss):
    """exp(-inf) is zero or next to nothing, and to add that rounds nothing worth a word."""
    few = np.array([[0.1, 0.5, -1.0]])
    many = np.concatenate([few, np.full((1, 10_000), -np.inf)], axis=1)
    alone, masked = (bounds(LOSSES[loss], "float32", {"logits": x}, {}).bound for x in (few, many))
    if loss == "logsumexp":
        np.testing.assert_allclose(masked, alone, rtol=1e-6)
    else:
        np.testing.assert_allclose(masked[:, :3], alone, rtol=1e-6)


def test_sums_may_run_in_any_order_and_the_sharp_ones_not():
    inputs = {"log_probs": np.full((5000, 2), -1.0), "target": np.zeros(5000, int)}
    derived = bounds(LOSSES["nll_loss"], "float32", inputs, {"reduction": "sum"})
    assert derived.bound == pytest.approx(5000 * 4999 * 2.0**-24, rel=1e-3)
    assert derived.sharp == pytest.approx(5000 * 64 * 2.0**-24, rel=1e-3)
