"""The comparator: properties that must hold for any numbers, and the liars among comparators that they catch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conformance.judge.compare import compare, compare_all
from conformance.judge.reference import Reference
from conformance.losses import DTYPES, FORMATS

finite = st.floats(-1e4, 1e4, allow_nan=False)
shapes = hnp.array_shapes(max_dims=3, max_side=4)


def reference(value, bound=0.0, sharp=None):
    value = np.asarray(value, dtype=np.float64)
    bounds = np.broadcast_to(np.asarray(bound, dtype=np.float64), value.shape)
    return Reference(value, np.zeros_like(value), bounds, bounds if sharp is None else np.full_like(value, sharp))


def one(got, expected, bound=0.0, dtype="float64"):
    return compare(np.asarray(got).astype(FORMATS[dtype].dtype), reference(expected, bound), dtype)


@given(hnp.arrays(np.float64, shapes, elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_everything_equals_itself(array):
    result = compare(array, reference(array), "float64")
    assert result.ok
    assert result.ratio == 0


@given(finite, st.floats(1e-9, 1e3), st.floats(0.0, 4.0))
def test_ok_means_within_the_bound(expected, bound, factor):
    got = expected + bound * factor
    result = one(got, expected, bound)
    assert result.ok == (abs(got - expected) <= bound)
    assert result.absolute == pytest.approx(abs(got - expected))


anything = st.floats(allow_nan=True, allow_infinity=True, width=16)
pairs = st.tuples(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), st.sampled_from(DTYPES), st.data())


def drawn(shape, dtype, data):
    got, value = (data.draw(hnp.arrays(np.float64, shape, elements=anything)) for _ in range(2))
    bound = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(0, 1e6) | st.just(np.inf)))
    value = np.where(data.draw(hnp.arrays(np.bool_, shape)), got, value)
    remainder = np.full(shape, 2.0**-60) if data.draw(st.booleans()) else None
    return got.astype(FORMATS[dtype].dtype), Reference(value, remainder, bound, bound / 2), dtype


@given(st.lists(pairs, max_size=6))
def test_results_compared_together_are_compared_alone(drawings):
    together = [drawn(*drawing) for drawing in drawings]
    assert repr(compare_all(together)) == repr([compare(*pair) for pair in together])


def test_a_large_result_is_compared_like_a_small_one():
    value = np.linspace(-1, 1, 10_000).reshape(100, 100)
    got = value.copy()
    got[41, 7] += 0.5
    half = (np.array([1.5]), reference([1.0], 1.0), "float64")
    lost = (np.array([np.nan]), reference([1.0], 1.0), "float64")
    small, large, other = compare_all([half, (got, reference(value, 1e-3), "float64"), lost])
    assert (small.ok, small.index, small.ratio) == (True, (0,), 0.5)
    assert (large.ok, large.wrong, large.index) == (False, 1, (41, 7))
    assert other.message == "1 of 1 elements (100.0%) outside the bound, 1 of another class (NaN for a finite number)"


CLASSES = {
    "NaN for a number": (np.nan, 1.0),
    "a number for NaN": (1.0, np.nan),
    "zero for NaN": (0.0, np.nan),
    "inf for a number": (np.inf, 1.0),
    "a number for inf": (1.0, np.inf),
    "the largest number for inf": (np.finfo(np.float64).max, np.inf),
    "-inf for inf": (-np.inf, np.inf),
    "NaN for inf": (np.nan, np.inf),
    "inf for NaN": (np.inf, np.nan),
}


@pytest.mark.parametrize(("got", "expected"), CLASSES.values(), ids=CLASSES)
def test_classes_never_mix_whatever_the_bound(got, expected):
    result = one([got, 1.0], [expected, 1.0], bound=1e300 if np.isnan(expected) or expected == 1.0 else 1.0)
    if (got, expected) == (np.inf, 1.0):
        result = one([got, 1.0], [expected, 1.0], bound=1e3)
    assert not result.ok
    assert result.ratio == np.inf
    assert result.index == (0,)
    assert "of another class" in result.message


def test_an_infinite_bound_excuses_nothing():
    assert not one(2.0, 1.0, bound=np.inf).ok
    assert not one(2.0, 1.0, bound=np.nan).ok
    assert one(1.0, 1.0, bound=np.inf).ok


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_overflow_is_allowed_where_the_bound_reaches_it(dtype):
    largest = FORMATS[dtype].largest
    assert one(np.inf, 1.01 * largest, 1e-3 * largest, dtype).ok
    assert one(np.inf, largest, 1e-2 * largest, dtype).ok
    assert not one(np.inf, 0.9 * largest, 1e-3 * largest, dtype).ok
    assert not one(-np.inf, 1.01 * largest, 1e-3 * largest, dtype).ok
    assert not one(largest, 1.5 * largest, 1e-3 * largest, dtype).ok


def test_shape_and_dtype_must_be_equal():
    assert one([1.0, 1.0], [1.0]).message == "returned shape (2,), expected (1,)"
    assert one([1.0], 1.0).message == "returned shape (1,), expected ()"
    assert one([[1.0]], [1.0]).message == "returned shape (1, 1), expected (1,)"
    wrong = compare(np.ones(2, np.float64), reference(np.ones(2)), "float32")
    assert wrong.message == "returned dtype float64, expected float32"
    assert not wrong.ok


def test_empty_results_agree():
    assert one(np.zeros((0, 3)), np.zeros((0, 3))).ok
    assert not one(np.zeros((0, 3)), np.zeros((3, 0))).ok


@given(st.permutations(range(6)))
def test_a_permutation_of_the_elements_permutes_the_worst_index(order):
    got, expected = np.array([1, 2, 3.25, 4, 5.5, 6]), np.arange(1.0, 7.0)
    result = one(got[list(order)], expected[list(order)], bound=0.1)
    assert order[result.index[0]] == 4
    assert (result.wrong, result.elements) == (2, 6)
    assert result.ratio == pytest.approx(5)


def test_the_worst_is_the_largest_multiple_of_its_own_bound():
    result = one([1.5, 100.0], [1.0, 90.0], bound=[0.1, 100.0])
    assert result.index == (0,)
    assert result.ratio == pytest.approx(5)
    assert result.wrong == 1


def test_the_remainder_counts():
    """A float64 result is judged by more digits than float64 has."""
    value, remainder = np.array([1.0]), np.array([1e-17])
    exact = Reference(value, remainder, np.array([2e-17]), np.array([0.5e-17]))
    result = compare(value, exact, "float64")
    assert result.absolute == 1e-17
    assert result.ok
    assert not result.sharp


def test_nan_where_it_must_be_has_no_error():
    result = one([np.nan, 1.0], [np.nan, 1.0])
    assert (result.absolute, result.relative, result.ulp, result.ratio) == (0, 0, 0, 0)


def test_flushed_results_are_counted():
    tiny = FORMATS["float32"].smallest_normal
    result = one([0.0, 0.0, tiny / 4], [tiny / 2, 0.0, tiny / 4], bound=tiny, dtype="float32")
    assert result.ok
    assert result.flushed == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_signalling_nan_is_a_nan_and_no_warning(dtype):
    fmt = FORMATS[dtype]
    size = {2: np.uint16, 4: np.uint32, 8: np.uint64}[fmt.dtype.itemsize]
    infinity = np.array(np.inf, dtype=fmt.dtype).view(size)
    got = np.full(9, infinity + size(1)).view(fmt.dtype)
    assert compare(got, reference(np.full(9, np.nan)), dtype).ok
    assert not compare(got, reference(np.zeros(9), 1e300), dtype).ok


def test_signed_zero_is_zero():
    assert one(-0.0, 0.0).ok


@pytest.mark.parametrize("dtype", DTYPES)
def test_ulp_is_the_distance_to_the_next_number(dtype):
    fmt = FORMATS[dtype]
    samples = [1.0, 1.5, 2.0, 3.0, 1024.0, fmt.smallest_normal, 1.75 * fmt.smallest_normal, fmt.largest]
    for x in samples:
        above = np.asarray(x).astype(fmt.dtype)
        below = np.nextafter(above, np.zeros((), fmt.dtype))  # never overflows
        step = fmt.ulp(float(below))
        assert float(above) - float(below) == step
    assert fmt.ulp(0.0) == fmt.smallest_subnormal == fmt.ulp(fmt.smallest_subnormal) == fmt.ulp(fmt.smallest_normal / 2)
    assert fmt.ulp(np.inf) == fmt.ulp(fmt.largest)


@pytest.mark.parametrize("dtype", DTYPES)
def test_format_constants_are_those_of_the_dtype(dtype):
    import ml_dtypes

    fmt, info = FORMATS[dtype], ml_dtypes.finfo(FORMATS[dtype].dtype)
    assert fmt.largest == float(info.max)
    assert fmt.smallest_normal == float(info.smallest_normal)
    assert fmt.smallest_subnormal == float(info.smallest_subnormal)
    assert 2 * fmt.unit_roundoff == float(info.eps)


def _nan_swallowed(got, ref, dtype):
    return compare(
        np.nan_to_num(got), Reference(np.nan_to_num(ref.value), ref.remainder, ref.bound, ref.sharp), dtype
    ).ok


def _broadcast(got, ref, dtype):
    shape = np.broadcast_shapes(got.shape, ref.value.shape)
    return compare(np.broadcast_to(got, shape), reference(np.broadcast_to(ref.value, shape), 1e-9), dtype).ok


def _absolute_only(got, ref, _):
    return bool(np.all(np.abs(got - ref.value) <= 1e-5))


def _times_size(got, ref, dtype):
    return compare(got, Reference(ref.value, ref.remainder, ref.bound * got.size, ref.sharp), dtype).ok


def _allclose(got, ref, _):
    return bool(np.allclose(got, ref.value, rtol=1e-3))


def _first_only(got, ref, _):
    return bool(abs(got.flat[0] - ref.value.flat[0]) <= ref.bound.flat[0])


LIARS = (_nan_swallowed, _broadcast, _absolute_only, _times_size, _allclose, _first_only)
WRONG = [
    (np.array([np.nan, 1.0]), reference([0.0, 1.0], 1e-9)),
    (np.array([1.0]), reference([1.0, 1.0], 1e-9)),
    (np.array([3e-6, 0.0]), reference([1e-6, 0.0], 1e-12)),
    (np.array([1.0, 1 + 1.5e-9]), reference([1.0, 1.0], 1e-9)),
]


def test_the_comparator_rejects_what_liars_accept():
    """Each lying comparator accepts at least one result that is wrong; ours accepts none of them."""
    for got, ref in WRONG:
        assert not compare(got, ref, "float64").ok
    for liar in LIARS:
        with np.errstate(invalid="ignore"):
            accepted = [index for index, (got, ref) in enumerate(WRONG) if _tries(liar, got, ref)]
        assert accepted, liar.__name__


def _tries(liar, got, ref):
    try:
        return liar(got, ref, "float64")
    except ValueError:
        return False
