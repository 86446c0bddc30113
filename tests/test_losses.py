"""The mathematics against definitions that share no code with it, and the gradients against differences."""

from __future__ import annotations

import definitions as by_definition
import mpmath
import numpy as np
import pytest
from flint import arb, ctx

from conformance.judge.exact import exact
from conformance.losses import DTYPES, FORMATS, LOSSES, bounds

RNG = np.random.default_rng(20240607)
LOGITS = 4 * RNG.standard_normal((5, 6))
LOG_PROBS = -np.abs(LOGITS) - 0.01
PROBS = RNG.uniform(0.01, 0.99, (5, 6))
SOFT = RNG.dirichlet(np.ones(6), 5)
LABELS = np.array([0, 5, 2, 2, 4])
IGNORED = np.array([0, -100, 2, -100, 4])
WEIGHT = RNG.uniform(0.25, 3, 6)
SIGNS = np.sign(LOGITS[::-1])
CASES = {
    "softmax": ("softmax", {"logits": LOGITS}, {}),
    "softmax axis 0": ("softmax", {"logits": LOGITS}, {"axis": 0}),
    "log_softmax": ("log_softmax", {"logits": LOGITS}, {}),
    "logsumexp": ("logsumexp", {"logits": LOGITS}, {"axis": 0}),
    "sigmoid": ("sigmoid", {"logits": LOGITS}, {}),
    "log_sigmoid": ("log_sigmoid", {"logits": LOGITS}, {}),
    "softplus": ("softplus", {"logits": LOGITS}, {}),
    "nll_loss": ("nll_loss", {"log_probs": LOG_PROBS, "target": IGNORED}, {"weight": WEIGHT}),
    "nll_loss none": ("nll_loss", {"log_probs": LOG_PROBS, "target": LABELS}, {"reduction": "none"}),
    "cross_entropy": ("cross_entropy", {"logits": LOGITS, "target": LABELS}, {}),
    "cross_entropy sum": ("cross_entropy", {"logits": LOGITS, "target": LABELS}, {"reduction": "sum"}),
    "cross_entropy soft": ("cross_entropy", {"logits": LOGITS, "target": SOFT}, {"weight": WEIGHT}),
    "cross_entropy all options": (
        "cross_entropy",
        {"logits": LOGITS, "target": IGNORED},
        {"weight": WEIGHT, "label_smoothing": 0.1},
    ),
    "binary_cross_entropy": ("binary_cross_entropy", {"probs": PROBS, "target": SOFT}, {"weight": WEIGHT}),
    "binary_cross_entropy_with_logits": (
        "binary_cross_entropy_with_logits",
        {"logits": LOGITS, "target": SOFT},
        {"weight": WEIGHT, "pos_weight": WEIGHT[::-1].copy()},
    ),
    "soft_margin_loss": ("soft_margin_loss", {"logits": LOGITS, "target": SIGNS}, {}),
    "kl_div": ("kl_div", {"log_probs": LOG_PROBS, "target": SOFT}, {"reduction": "batchmean"}),
    "kl_div log_target": ("kl_div", {"log_probs": LOG_PROBS, "target": LOG_PROBS[::-1]}, {"log_target": True}),
    "entropy": ("entropy", {"probs": PROBS}, {"axis": 0}),
    "self_information": ("self_information", {"probs": PROBS}, {}),
}
each_case = pytest.mark.parametrize(("name", "inputs", "options"), CASES.values(), ids=CASES)


def _definition(name, options):
    """The value that the textbook gives for a case of CASES."""
    x, q = by_definition.rows(LOGITS), by_definition.rows(SOFT)
    lp, p = by_definition.rows(LOG_PROBS), by_definition.rows(PROBS)
    w = [mpmath.mpf(float(v)) for v in WEIGHT]
    ones = [1] * 6
    hard = [[int(j == y) for j in range(6)] for y in LABELS]
    kept = [i for i, y in enumerate(IGNORED) if y >= 0]
    grid = [(i, j) for i in range(5) for j in range(6)]
    match name:  # one branch a case is the plainest table there is
        case "softmax":
            return [by_definition.softmax(row) for row in x]
        case "softmax axis 0":
            columns = [by_definition.softmax([row[j] for row in x]) for j in range(6)]
            return [[columns[j][i] for j in range(6)] for i in range(5)]
        case "log_softmax":
            return [[mpmath.log(v) for v in by_definition.softmax(row)] for row in x]
        case "logsumexp":
            return [mpmath.log(mpmath.fsum(mpmath.exp(row[j]) for row in x)) for j in range(6)]
        case "sigmoid":
            return [[by_definition.sigmoid(v) for v in row] for row in x]
        case "log_sigmoid":
            return [[mpmath.log(by_definition.sigmoid(v)) for v in row] for row in x]
        case "softplus":
            return [[by_definition.logistic(v, -1) for v in row] for row in x]
        case "nll_loss":
            return -mpmath.fsum(w[IGNORED[i]] * lp[i][IGNORED[i]] for i in kept) / mpmath.fsum(
                w[IGNORED[i]] for i in kept
            )
        case "nll_loss none":
            return [-lp[i][y] for i, y in enumerate(LABELS)]
        case "cross_entropy" | "cross_entropy sum":
            total = mpmath.fsum(by_definition.cross_entropy(x[i], hard[i], ones) for i in range(5))
            return total if options else total / 5
        case "cross_entropy soft":
            return mpmath.fsum(by_definition.cross_entropy(x[i], q[i], w) for i in range(5)) / 5
        case "cross_entropy all options":
            smooth = {i: by_definition.smoothed(IGNORED[i], 6, 0.1) for i in kept}
            total = mpmath.fsum(by_definition.cross_entropy(x[i], smooth[i], w) for i in kept)
            return total / mpmath.fsum(w[IGNORED[i]] for i in kept)
        case "binary_cross_entropy":
            return mpmath.fsum(w[j] * by_definition.binary(p[i][j], q[i][j]) for i, j in grid) / 30
        case "binary_cross_entropy_with_logits":
            terms = []
            for i, j in grid:
                g, y, positive = by_definition.sigmoid(x[i][j]), q[i][j], w[5 - j]
                terms.append(-w[j] * (positive * y * mpmath.log(g) + (1 - y) * mpmath.log(1 - g)))
            return mpmath.fsum(terms) / 30
        case "soft_margin_loss":
            return mpmath.fsum(by_definition.logistic(x[i][j], int(SIGNS[i, j])) for i, j in grid) / 30
        case "kl_div":
            return mpmath.fsum(by_definition.kl(q[i][j], lp[i][j]) for i, j in grid) / 5
        case "kl_div log_target":
            return mpmath.fsum(mpmath.exp(lp[4 - i][j]) * (lp[4 - i][j] - lp[i][j]) for i, j in grid) / 30
        case "entropy":
            return [-mpmath.fsum(row[j] * mpmath.log(row[j]) for row in p) for j in range(6)]
        case "self_information":
            return [[-mpmath.log(v) for v in row] for row in p]
    raise AssertionError(name)


@pytest.mark.parametrize("case", CASES)
def test_balls_agree_with_the_definition(case):
    name, inputs, options = CASES[case]
    with mpmath.workdps(50):
        expected = np.array(_definition(case, options), dtype=object)
        high, low = exact(LOSSES[name], inputs, options)
        assert high.shape == expected.shape
        for h, r, e in zip(high.flat, low.flat, np.ravel(expected), strict=True):
            assert abs((mpmath.mpf(float(h)) + mpmath.mpf(float(r))) - e) <= abs(e) * mpmath.mpf(2) ** -100


@each_case
def test_float64_reference_is_within_its_own_bound(name, inputs, options):
    for cotangent in (None, _cotangent(name, inputs, options)):
        high, low = exact(LOSSES[name], inputs, options, cotangent)
        derived = bounds(LOSSES[name], "float64", inputs, options, cotangent)
        assert np.all(np.abs((derived.value - high) - low) <= derived.bound)


@each_case
def test_gradient_is_the_derivative_of_the_value(name, inputs, options):
    """Central differences with a step of 2**-120 in 600 bits: right to far more digits than are compared."""
    loss = LOSSES[name]
    cotangent = _cotangent(name, inputs, options)
    gradient, _ = exact(loss, inputs, options, cotangent)
    before, ctx.prec = ctx.prec, 600
    try:
        for index in [(0, 0), (1, 5), (2, 2), (3, 1), (4, 4)]:
            up, down = (_pulled(loss, inputs, options, cotangent, index, sign) for sign in (1, -1))
            slope = float((up - down) / (arb(2) ** -119))
            assert gradient[index] == pytest.approx(slope, rel=1e-14, abs=1e-300)
    finally:
        ctx.prec = before


def _pulled(loss, inputs, options, cotangent, index, sign):
    """Sum of cotangent times value, with one element of the first input moved by a step."""

    def number(x):
        return np.asarray(np.frompyfunc(lambda v: arb(float(v)), 1, 1)(np.asarray(x)), dtype=object)

    moved = number(inputs[loss.wrt])
    moved[index] += sign * arb(2) ** -120
    arguments = {name: number(x) if np.asarray(x).dtype.kind == "f" else x for name, x in {**inputs, **options}.items()}
    value = loss.value(**{**arguments, loss.wrt: moved})
    return np.sum(np.asarray(value, dtype=object) * number(cotangent))


def _cotangent(name, inputs, options):
    shape = np.shape(LOSSES[name].evaluate(np.asarray, inputs, options))
    return np.resize([1.5, -0.5, 2.0, 0.75], shape)


@pytest.mark.parametrize("dtype", DTYPES)
@each_case
def test_every_loss_has_a_finite_bound_in_every_dtype(name, inputs, options, dtype):
    """A bound is a positive number wherever the value is not exact, and the sharp one is no wider."""

    def rounded(x):
        return FORMATS[dtype].round(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x

    inputs = {key: rounded(x) for key, x in inputs.items()}
    options = {key: rounded(x) for key, x in options.items()}
    for cotangent in (None, _cotangent(name, inputs, options)):
        derived = bounds(LOSSES[name], dtype, inputs, options, cotangent)
        assert derived.bound.shape == derived.value.shape
        assert np.all(np.isfinite(derived.bound))
        assert np.all(derived.sharp <= derived.bound)
        picked = name == "nll_loss" and options.get("reduction") == "none"  # a selection rounds nothing
        assert np.all((derived.bound > 0) | (derived.value == np.round(derived.value)) | picked)


IDENTITIES = {
    "softmax sums to one": (lambda: exact(LOSSES["softmax"], {"logits": LOGITS}, {})[0].sum(-1), np.ones(5)),
    "g(-s) = 1 - g(s)": (
        lambda: (
            exact(LOSSES["sigmoid"], {"logits": -LOGITS}, {})[0] + exact(LOSSES["sigmoid"], {"logits": LOGITS}, {})[0]
        ),
        np.ones((5, 6)),
    ),
    "H(P, Q) = H(P) + KL(P, Q)": (
        lambda: (
            exact(LOSSES["cross_entropy"], {"logits": LOGITS, "target": SOFT}, {"reduction": "none"})[0]
            - exact(LOSSES["entropy"], {"probs": SOFT}, {})[0]
        ),
        LOSSES["kl_div"].value(LOSSES["log_softmax"].value(LOGITS), SOFT, reduction="none").sum(-1),
    ),
    "+-1 form equals 0/1 form": (
        lambda: exact(LOSSES["soft_margin_loss"], {"logits": LOGITS, "target": SIGNS}, {})[0],
        LOSSES["binary_cross_entropy_with_logits"].value(LOGITS, (SIGNS + 1) / 2),
    ),
}


@pytest.mark.parametrize(("left", "right"), IDENTITIES.values(), ids=IDENTITIES)
def test_identities_of_the_articles(left, right):
    np.testing.assert_allclose(left(), right, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("unused", [np.inf, np.nan])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("loss", "first"), [("cross_entropy", "logits"), ("nll_loss", "log_probs")])
def test_the_weight_of_a_class_that_no_row_has_is_nothing(loss, first, reduction, unused):
    inputs = {first: np.array([[-1.0, -2.0, -0.5], [-0.3, -0.2, -4.0]]), "target": np.array([0, 2])}
    found = []
    for weight in ([2.0, unused, 3.0], [2.0, 1.0, 3.0]):
        options = {"weight": np.array(weight), "reduction": reduction}
        value = LOSSES[loss].evaluate(np.asarray, inputs, options)
        found.append((value, LOSSES[loss].evaluate(np.asarray, inputs, options, np.ones_like(value))))
    for one, other in zip(*found, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)
