"""The shipped cases: complete, true to what was published, certified, and accepted by the published schema."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from ruamel.yaml import YAML

from conformance.casefiles.case import half_last_digit
from conformance.casefiles.load import builtin_files, load_cases
from conformance.casefiles.schema import json_schema, json_schema_text
from conformance.derivation import derive
from conformance.judge.exact import exact
from conformance.losses import DTYPES, LOSSES
from conformance.plan import SLOW

CASES = load_cases(builtin_files())
BY_ID = {case.id: case for case in CASES}
ROOT = Path(__file__).parents[1]
HALVES = {"row_sums": 4}
"""The article added up the four printed entries of a row, each rounded: its sums are good to four halves of a digit."""


def ids(cases):
    return {"argvalues": cases, "ids": [case.id for case in cases]}


def digits(printed):
    """Published numbers as floats, and half a unit of the last digit of each."""
    text = np.array(printed, dtype=object)
    return text.astype(float), np.vectorize(half_last_digit, otypes=[float])(text)


def test_every_case_says_what_it_is_and_why_it_exists():
    assert [case.id for case in CASES if not (case.title and case.why and case.tags)] == []


def test_ids_are_unique():
    assert [name for name, count in Counter(case.id for case in CASES).items() if count > 1] == []


def test_worked_examples_name_their_source():
    assert [case.id for case in CASES if "worked" in case.tags and not case.source] == []


def test_there_are_many_cases_beyond_the_worked_examples():
    assert sum("worked" not in case.tags for case in CASES) >= 120


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_cases_in_every_dtype(loss):
    assert {dtype for case in CASES if case.loss.name == loss for dtype in case.dtypes} == set(DTYPES)


@pytest.mark.parametrize(
    ("loss", "option"), [(name, option) for name, loss in LOSSES.items() for option in loss.options]
)
def test_every_option_is_used(loss, option):
    values = [case.options[option] for case in CASES if case.loss.name == loss and option in case.options]
    default = LOSSES[loss].options[option].default
    assert any(isinstance(value, np.ndarray) or value != default for value in values)


def test_every_input_that_is_a_class_index_comes_in_several_integer_types():
    found = {case.inputs["target"].dtype.name for case in CASES if case.loss.name == "cross_entropy"}
    assert {"float64", "uint8", "int32", "int64"} <= found


@pytest.mark.parametrize("case", **ids([case for case in CASES if case.printed is not None]))
def test_printed_values_are_the_exact_ones_rounded(case):
    value, _ = exact(case.loss, case.inputs, case.options)
    published, half = digits(case.printed)
    # Decimal digits are no binary floats: allow their conversion.
    assert np.all(np.abs(value - published) <= half * (1 + 1e-9) + np.spacing(np.abs(published)))


@pytest.mark.parametrize("case", **ids([case for case in CASES if isinstance(case.expected, np.ndarray)]))
def test_expected_values_are_certified(case):
    value, remainder = exact(case.loss, case.inputs, case.options)
    special = np.asarray(case.loss.evaluate(np.asarray, case.inputs, case.options))
    certified = np.where(np.isnan(value), special, value)  # NaN and infinities are not the ball's to certify
    finite = np.isfinite(certified)
    np.testing.assert_array_equal(np.where(finite, 0, case.expected), np.where(finite, 0, certified))
    # The nearest float64, up to a tie that the digits written cannot tell.
    off = np.abs(np.where(finite, (case.expected - value) - remainder, 0.0))
    assert np.all(off <= np.spacing(np.abs(np.where(finite, value, 1.0))) * (0.5 + 1e-6))


STEPS = [(case, name) for case in CASES for name in case.steps]


@pytest.mark.parametrize(("case", "name"), STEPS, ids=[f"{case.id}-{name}" for case, name in STEPS])
def test_published_steps_are_those_of_the_derivation(case, name):
    derived = {step.name: step.value for step in derive(case)}
    assert name in derived
    published, half = digits(case.steps[name])
    value = derived[name]
    if published.shape == () and value.shape != ():  # one number is published: the mean over the rows
        value = value.mean()
    assert value.shape == published.shape
    assert np.all(np.abs(value - published) <= HALVES.get(name, 1) * half * (1 + 1e-9))


def test_some_steps_are_published():
    assert {"exp", "softmax", "log_softmax", "picked", "nll", "row_sums", "smoothing"} <= {name for _, name in STEPS}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_case_can_be_derived(loss):
    for case in CASES:
        if case.loss.name == loss and not case.convention:  # those may ask for what has no value
            *_, last = derive(case)
            assert last.name == loss
            assert last.value.shape == case.output_shape


def test_cases_share_their_shapes():
    """Frameworks that compile do so for every shape anew."""
    shapes = {
        tuple(x.shape for x in case.inputs.values()) for case in CASES if SLOW not in case.tags and not case.convention
    }
    assert len(shapes) <= 80


def test_cases_cover_the_losses_broadly():
    assert len(CASES) >= 1000
    for loss in LOSSES:
        own = [case for case in CASES if case.loss.name == loss]
        assert len(own) >= 20
        assert all(case.why for case in own)


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", builtin_files(), ids=lambda path: path.name)
def test_the_schema_accepts_every_shipped_file(validator, path):
    document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    assert document["loss"] == path.stem.partition(".")[0]
    assert [error.message for error in validator.iter_errors(document)] == []


GOOD = {"id": "a", "logits": [[1.0, ".inf"]], "target": [0]}


@pytest.mark.parametrize(
    "document",
    [
        {"loss": "softmex", "cases": []},
        {"loss": "cross_entropy"},
        {"loss": "cross_entropy", "cases": [], "more": 1},
        {"loss": "cross_entropy", "cases": [{"id": "a", "logits": [1.0]}]},
        {"loss": "cross_entropy", "cases": [{**GOOD, "colour": "red"}]},
        {"loss": "cross_entropy", "cases": [{**GOOD, "id": "A b"}]},
        {"loss": "cross_entropy", "cases": [{**GOOD, "options": {"axes": 1}}]},
        {"loss": "cross_entropy", "cases": [{**GOOD, "options": {"reduction": "avg"}}]},
        {"loss": "cross_entropy", "cases": [{**GOOD, "logits": {"generator": "gauss", "shape": [2]}}]},
        {"loss": "cross_entropy", "cases": [{**GOOD, "dtypes": ["float8"]}]},
    ],
    ids=[
        "unknown loss",
        "no cases",
        "unknown key at the top",
        "missing input",
        "unknown key",
        "bad id",
        "unknown option",
        "unknown reduction",
        "unknown generator",
        "unknown dtype",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(validator, document):
    assert validator.is_valid({"loss": "cross_entropy", "cases": [GOOD]})
    assert not validator.is_valid(document)


def test_the_published_schema_is_the_current_one():
    """Made by `conformance list schema > docs/case.schema.json`."""
    assert (ROOT / "docs" / "case.schema.json").read_text(encoding="utf-8") == json_schema_text()
