"""Case files in: what loads, what does not, and what is said of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from conformance.casefiles.load import SUFFIXES, find_files, load_cases
from conformance.casefiles.values import array
from conformance.errors import CaseError
from conformance.losses import LOSSES

LOSS_NAMES = ", ".join(LOSSES)
GENERATORS = "'normal', 'uniform', 'integers', 'distribution', 'constant', 'linspace'"
TOP_LEVEL = "a case file is a mapping with the keys loss and cases"


def softmax(more: str = "", logits: str = "[1.0, 2.0]") -> str:
    """A case file whose case starts at line 3, has its logits at line 4 and `more` at line 5."""
    return f"loss: softmax\ncases:\n  - id: a\n    logits: {logits}\n    {more}\n"


def cross_entropy(more: str = "", target: str = "[0, 1]") -> str:
    """A case file with its target at line 5 and `more` at line 6."""
    logits = "[[1.0, 2.0], [3.0, 4.0]]"
    return f"loss: cross_entropy\ncases:\n  - id: a\n    logits: {logits}\n    target: {target}\n    {more}\n"


def case(loss: str, *lines: str) -> str:
    return "\n    ".join([f"loss: {loss}\ncases:\n  - id: a", *lines]) + "\n"


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """Write files, load them all, and return what is wrong as lines; paths are relative, as a user sees them."""
    monkeypatch.chdir(tmp_path)

    def load(**contents: str | bytes) -> list[str]:
        paths = [Path(name.replace("_", ".")) for name in contents]
        for path, content in zip(paths, contents.values(), strict=True):
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(CaseError) as caught:
            load_cases(paths)
        return [str(problem) for problem in caught.value.problems]

    return load


@pytest.fixture
def loaded(tmp_path):
    def load(text: str, name: str = "f.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return load_cases([path])

    return load


BAD = {
    # the file as such
    "empty file": ("", f"1: {TOP_LEVEL}, not nothing"),
    "comment only": ("# to do\n", f"1: {TOP_LEVEL}, not nothing"),
    "list at top level": ("- loss: softmax\n", f"1: {TOP_LEVEL}, not a list"),
    "text at top level": ("softmax\n", f"1: {TOP_LEVEL}, not text"),
    "number at top level": ("3\n", f"1: {TOP_LEVEL}, not int 3"),
    "unclosed list": (
        "loss: softmax\ncases: [\n",
        "3: not valid YAML: while parsing a flow node expected the node content, but found '<stream end>'",
    ),
    "bad indentation": (
        "loss: softmax\ncases:\n  - id: a\n   logits: 1.0\n",
        "4: not valid YAML: while parsing a block collection expected <block end>, but found '<block mapping start>'",
    ),
    "tab as indentation": (
        "loss: softmax\n\tcases: []\n",
        "2: not valid YAML: while scanning for the next token found character '\\t' that cannot start any token",
    ),
    "duplicate key": (
        "loss: softmax\ncases:\n  - id: a\n    id: b\n",
        '4: not valid YAML: while constructing a mapping found duplicate key "id" with value "b" (original value: "a")',
    ),
    "number beyond float64": (
        "loss: softmax\ncases:\n  - id: a\n    logits: [1.0, -1e400]\n",
        "4: not valid YAML: -1e400 is beyond the range of float64; infinity is written as .inf",
    ),
    "unknown alias": ("loss: softmax\ncases: *none\n", "2: not valid YAML: found undefined alias 'none'"),
    "two documents": (
        "loss: softmax\ncases: []\n---\nloss: softmax\n",
        "3: not valid YAML: expected a single document in the stream but found another document",
    ),
    # the top level
    "unknown key at the top": (
        "loss: softmax\ncase: []\ncases: []\n",
        "2: case: unknown key; a case file has loss and cases",
    ),
    "unknown loss": ("loss: softmex\ncases: []\n", f"1: loss: unknown loss 'softmex'; the losses are {LOSS_NAMES}"),
    "cases is a number": ("loss: softmax\ncases: 3\n", "2: cases: a list of cases is needed here, not int 3"),
    "cases is a mapping": ("loss: softmax\ncases: {a: 3}\n", "2: cases: a list of cases is needed here, not a mapping"),
    "case is text": ("loss: softmax\ncases:\n  - a\n", "3: cases[0]: a case is a mapping, not text"),
    # the keys of a case
    "no id": ("loss: softmax\ncases:\n  - logits: [1.0]\n", "3: cases[0] @ id: missing"),
    "number as id": (
        "loss: softmax\ncases:\n  - id: 3\n    logits: 1.0\n",
        "3: cases[0] @ id: Input should be a valid string, not 3",
    ),
    "id with a space": (
        "loss: softmax\ncases:\n  - id: A b\n    logits: [1.0]\n",
        "3: softmax/A b @ id: String should match pattern '^[a-z0-9][a-z0-9_]*$', not 'A b'",
    ),
    "unknown key of a case": (softmax("colour: red"), "5: softmax/a @ colour: unknown key"),
    "unknown option": (softmax("options: {axes: 1}"), "5: softmax/a @ options.axes: unknown key"),
    "control character": (
        softmax('title: "a \\e[31mred\\e[0m one"'),
        "5: softmax/a @ title: not text: control character U+001B at 2, not 'a \\x1b[31mred\\x1b[0m one'",
    ),
    "number as title": (softmax("title: 3"), "5: softmax/a @ title: Input should be a valid string, not 3"),
    "YAML 1.1 boolean": (softmax("grad: no"), "5: softmax/a @ grad: Input should be a valid boolean, not 'no'"),
    "unknown dtype": (
        softmax("dtypes: [float8]"),
        "5: softmax/a @ dtypes[0]: Input should be 'float16', 'bfloat16', 'float32' or 'float64', not 'float8'",
    ),
    "no dtypes": (
        softmax("dtypes: []"),
        "5: softmax/a @ dtypes: List should have at least 1 item after validation, not 0",
    ),
    "unknown layout": (
        softmax("layout: {logits: diagonal}"),
        "5: softmax/a @ layout.logits: Input should be 'transposed', 'strided', 'sliced', 'reversed' or 'expanded', "
        "not 'diagonal'",
    ),
    "layout of no input": (
        softmax("layout: {logit: strided}"),
        "5: softmax/a @ layout.logit: no such array; softmax is given logits, cotangent here",
    ),
    "float as target_dtype": (
        cross_entropy("target_dtype: float32"),
        "6: cross_entropy/a @ target_dtype: Input should be 'int8', 'uint8', 'int16', 'int32' or 'int64', "
        "not 'float32'",
    ),
    "tag with a space": (
        softmax("tags: [not so]"),
        "5: softmax/a @ tags[0]: String should match pattern '^[a-z0-9][a-z0-9_]*$', not 'not so'",
    ),
    # options
    "options is a list": (
        softmax("options: [1]"),
        "5: softmax/a @ options: Input should be a valid dictionary or instance of SoftmaxOptions",
    ),
    "unknown reduction": (
        cross_entropy("options: {reduction: avg}"),
        "6: cross_entropy/a @ options.reduction: Input should be 'none', 'mean' or 'sum', not 'avg'",
    ),
    "smoothing above one": (
        cross_entropy("options: {label_smoothing: 2}"),
        "6: cross_entropy/a @ options.label_smoothing: 2 lies outside [0, 1]",
    ),
    "fraction as ignore_index": (
        cross_entropy("options: {ignore_index: 1.5}"),
        "6: cross_entropy/a @ options.ignore_index: Input should be a valid integer, not 1.5",
    ),
    "word in a weight": (
        cross_entropy("options: {weight: [1.0, x]}"),
        "6: cross_entropy/a @ options.weight: 'x' is not a number (at [1])",
    ),
    "weight of wrong length": (
        cross_entropy("options: {weight: [1.0, 2.0, 3.0]}"),
        "6: cross_entropy/a @ options.weight: shape (3,), but there are 2 classes",
    ),
    "pos_weight that does not broadcast": (
        case(
            "binary_cross_entropy_with_logits",
            "logits: [1.0, 2.0]",
            "target: [1.0, 0.0]",
            "options: {pos_weight: [1.0, 2.0, 3.0]}",
        ),
        "6: binary_cross_entropy_with_logits/a @ options.pos_weight: shape (3,) does not broadcast to logits's (2,)",
    ),
    "axis out of range": (
        softmax("options: {axis: 1}"),
        "5: softmax/a @ options.axis: axis 1 is out of range for an input of 1 axes",
    ),
    # arrays
    "missing input": (case("cross_entropy", "logits: [1.0, 2.0]"), "3: cross_entropy/a @ target: missing"),
    "input left empty": (softmax(logits=""), "4: softmax/a @ logits: None is not a number"),
    "ragged": (
        softmax(logits="[[1.0, 2.0], [3.0]]"),
        "4: softmax/a @ logits: ragged: [1] has shape (1,), [0] has (2,)",
    ),
    "ragged below": (
        softmax(logits="[[[1.0], [2.0]], [[3.0], 4.0]]"),
        "4: softmax/a @ logits: ragged: [1][1] has shape (), [1][0] has (1,)",
    ),
    "word in an array": (softmax(logits="[1.0, two]"), "4: softmax/a @ logits: 'two' is not a number (at [1])"),
    "boolean in an array": (softmax(logits="[[1.0, true]]"), "4: softmax/a @ logits: True is not a number (at [0][1])"),
    "integer beyond 64 bits": (
        softmax(logits="[1, 99999999999999999999]"),
        "4: softmax/a @ logits: 99999999999999999999 does not fit 64 bits (at [1])",
    ),
    "no axis": (softmax(logits="1.0"), "3: softmax/a @ options.axis: the input has no axes"),
    "no class axis": (
        case("cross_entropy", "logits: 1.0", "target: 0"),
        "4: cross_entropy/a @ logits: a class axis is needed; a single number has none",
    ),
    "no classes": (
        softmax(logits="{generator: constant, shape: [2, 0], value: 1.0}"),
        "4: softmax/a @ logits: shape (2, 0) has no classes",
    ),
    "no classes to label": (
        case("nll_loss", "log_probs: {generator: constant, shape: [2, 0], value: 1.0}", "target: [0, 0]"),
        "4: nll_loss/a @ log_probs: shape (2, 0) has no classes",
    ),
    # targets
    "label out of range": (
        cross_entropy(target="[0, 2]"),
        "5: cross_entropy/a @ target: label 2 is out of range for 2 classes; say `expected: error` if that is the "
        "point",
    ),
    "negative label": (
        cross_entropy(target="[-1, 0]"),
        "5: cross_entropy/a @ target: label -1 is out of range for 2 classes; say `expected: error` if that is the "
        "point",
    ),
    "label that its dtype cannot hold": (
        cross_entropy("target_dtype: uint8", target="[0, 256]"),
        "5: cross_entropy/a @ target: label 256 does not fit uint8",
    ),
    "too many labels": (
        cross_entropy(target="[0, 1, 1]"),
        "5: cross_entropy/a @ target: class indices of shape (3,), but (2,) are needed",
    ),
    "integers where probabilities are meant": (
        cross_entropy(target="[[0, 1], [1, 0]]"),
        "5: cross_entropy/a @ target: class indices of shape (2, 2), but (2,) are needed; "
        "write 1.0 instead of 1 for probabilities",
    ),
    "probabilities of another shape": (
        cross_entropy(target="[0.5, 0.5]"),
        "5: cross_entropy/a @ target: probability target of shape (2,), but logits of (2, 2)",
    ),
    "probabilities where labels are needed": (
        case("nll_loss", "log_probs: [[-1.0, -2.0]]", "target: [1.0]"),
        "5: nll_loss/a @ target: class indices are needed here, all of them integers",
    ),
    "target that would broadcast": (
        case("kl_div", "log_probs: [-1.0, -2.0]", "target: [1.0]"),
        "5: kl_div/a @ target: shape (1,) differs from log_probs's (2,)",
    ),
    "probability above one": (
        case("entropy", "probs: [0.5, 1.5]"),
        "4: entropy/a @ probs: a probability lies outside [0, 1]",
    ),
    # what must come out
    "expected of another shape": (
        softmax("expected: [1.0]"),
        "5: softmax/a @ expected: shape (1,), but the value has (2,)",
    ),
    "expected is a word": (softmax("expected: fail"), "5: softmax/a @ expected: 'fail' is not a number"),
    "printed of another shape": (softmax("printed: 0.3"), "5: softmax/a @ printed: shape (), but the value has (2,)"),
    "printed is a word": (softmax("printed: [0.3, abc]"), "5: softmax/a @ printed: 'abc' is not a number (at [1])"),
    "printed is beyond all floats": (
        softmax("printed: ['1E999999', 0.7]"),
        "5: softmax/a @ printed: '1E999999' is beyond the range of float64",
    ),
    "printed is a hex float": (
        softmax("printed: ['0x1p-2', 0.7]"),
        "5: softmax/a @ printed: '0x1p-2' is not a printed number; write it in decimal digits",
    ),
    "printed is infinite text": (
        softmax("printed: ['.inf', 0.7]"),
        "5: softmax/a @ printed: '.inf' is not a printed number; write it in decimal digits",
    ),
    "cotangent of another shape": (
        softmax("cotangent: [1.0]"),
        "5: softmax/a @ cotangent: shape (1,), but the value has (2,)",
    ),
    "convention without outcomes": (
        softmax("convention: empty"),
        "5: softmax/a @ convention: convention and outcomes go together",
    ),
    "keys of a convention without one": (
        softmax("bare: true"),
        "5: softmax/a @ bare: only a convention has this key",
    ),
    "outcome with an unknown key": (
        softmax("convention: empty\n    outcomes: {nan: {kind: a}}"),
        "6: softmax/a @ outcomes.nan.kind: unknown key",
    ),
    "gradient of a convention without its upstream gradient": (
        softmax("output: gradient\n    convention: empty\n    outcomes: {nan: error}"),
        "5: softmax/a @ output: a convention about a gradient says its upstream gradient: cotangent",
    ),
    "bare call with an option": (
        softmax("bare: true\n    convention: empty\n    outcomes: {nan: error}\n    options: {axis: 0}"),
        "5: softmax/a @ bare: a bare call passes no option",
    ),
    "gradient with respect to an unknown input": (
        softmax("wrt: target\n    convention: c\n    outcomes: {nan: error}\n    output: gradient\n    cotangent: 1"),
        "5: softmax/a @ wrt: unknown input; softmax has logits",
    ),
    "dtype of an unknown input": (
        softmax("input_dtypes: {target: bool}\n    convention: empty\n    outcomes: {nan: error}"),
        "5: softmax/a @ input_dtypes.target: unknown input or option; softmax has logits",
    ),
    "outcome that overwrites an unknown input": (
        softmax("convention: empty\n    outcomes: {nan: {changed: [target]}}"),
        "6: softmax/a @ outcomes.nan.changed: unknown input 'target'; softmax has logits",
    ),
    "outcome of another shape": (
        softmax("convention: empty\n    outcomes: {nan: .nan}"),
        "6: softmax/a @ outcomes.nan: shape (), but the value has (2,)",
    ),
    # generators
    "unknown generator": (
        softmax(logits="{generator: gauss, shape: [2]}"),
        "4: softmax/a @ logits: Input tag 'gauss' found using 'generator' does not match any of the expected tags: "
        + GENERATORS,
    ),
    "generator without a name": (
        softmax(logits="{shape: [2]}"),
        "4: softmax/a @ logits: Unable to extract tag using discriminator 'generator'",
    ),
    "unknown key of a generator": (
        softmax(logits="{generator: normal, shape: [2], sd: 3}"),
        "4: softmax/a @ logits.normal.sd: unknown key",
    ),
    "negative length": (
        softmax(logits="{generator: normal, shape: [-2]}"),
        "4: softmax/a @ logits.normal.shape[0]: Input should be greater than or equal to 0, not -2",
    ),
    "more than a generator draws": (
        softmax(logits="{generator: normal, shape: [100000000000000]}"),
        "4: softmax/a @ logits.normal.shape: 100000000000000 numbers; a generator draws at most 4194304",
    ),
    "integers beyond 53 bits": (
        cross_entropy(target="{generator: integers, shape: [2], high: 1180591620717411303424}"),
        "5: cross_entropy/a @ target.integers.high: Input should be less than or equal to 9007199254740992, "
        "not 1180591620717411303424",
    ),
    "a generator that overflows": (
        softmax(logits="{generator: uniform, shape: [2], low: -1.0e308, high: 1.0e308}"),
        "4: softmax/a @ logits: the numbers overflow",
    ),
    "infinite parameter of a generator": (
        softmax(logits="{generator: uniform, shape: [2], high: .inf}"),
        "4: softmax/a @ logits.uniform.high: Input should be a finite number, not inf",
    ),
    "a tag that does not fit": (
        softmax("title: !!set x"),
        " not valid YAML: a tag (!!) does not fit its value ('ScalarNode' object has no attribute 'flow_style')",
    ),
    "empty range of integers": (
        cross_entropy(target="{generator: integers, shape: [2], low: 1, high: 1}"),
        "5: cross_entropy/a @ target: high (1) must be above low (1)",
    ),
}


@pytest.mark.parametrize(("text", "line"), BAD.values(), ids=BAD)
def test_one_mistake_gives_one_line(problems, text, line):
    assert problems(f_yaml=text) == [f"f.yaml:{line}"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cases: []\n", f"f.yaml: loss: missing; the losses are {LOSS_NAMES}"),
        ("loss: softmax\n", "f.yaml: cases: a list of cases is needed here, not nothing"),
        ("loss: \x01\n", "f.yaml: not valid YAML: 'unacceptable character #x0001: special characters are not allowed'"),
        (
            "loss: softmax\ncases: []  # \xe9\n".encode("latin-1"),
            "f.yaml: cannot be read: 'utf-8' codec can't decode byte 0xe9 in position 27: invalid continuation byte",
        ),
    ],
    ids=["no loss", "no cases", "control character", "not UTF-8"],
)
def test_a_mistake_without_a_place_names_the_file(problems, text, line):
    assert problems(f_yaml=text) == [line]


def test_lists_too_deep_for_the_parser(problems):
    (line,) = problems(f_yaml=softmax(logits="[" * 500 + "]" * 500))
    assert line.startswith("f.yaml: not valid YAML: 'maximum recursion depth exceeded")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"loss": "softmax",\n "cases": [}\n', "2: not valid JSON: Expecting value"),
        ('{loss: "softmax"}', "1: not valid JSON: Expecting property name enclosed in double quotes"),
        ("loss: softmax\ncases: []\n", "1: not valid JSON: Expecting value"),
        (
            '{\n"loss": "softmax",\n"cases": [\n\t{"id": "a",\n\t"colour": 1, "logits": [1]}]}',
            "5: softmax/a @ colour: unknown key",
        ),
    ],
    ids=["malformed", "bare key", "YAML", "a line inside"],
)
def test_json_is_held_to_json(problems, text, line):
    assert problems(f_json=text) == [f"f.json:{line}"]


def test_every_problem_of_every_file_is_said_at_once(problems):
    two = (
        "loss: softmax\ncases:\n  - {id: a, logits: x}\n  - {id: b, colour: red, grad: 1}\n  - {id: c, logits: [1.0]}\n"
    )
    assert problems(one_yaml="loss: [\n", two_yaml=two, three_json="[]") == [
        "one.yaml:2: not valid YAML: while parsing a flow node expected the node content, but found '<stream end>'",
        "two.yaml:3: softmax/a @ logits: 'x' is not a number",
        "two.yaml:4: softmax/b @ grad: Input should be a valid boolean, not 1",
        "two.yaml:4: softmax/b @ logits: missing",
        "two.yaml:4: softmax/b @ colour: unknown key",
        f"three.json:1: {TOP_LEVEL}, not a list",
    ]


def test_a_convention_may_ask_about_inputs_that_have_no_value(loaded):
    asked = "cotangent: [1.0]\n    convention: odd\n    output: gradient\n    wrt: target\n    outcomes: {error: error}"
    (read,) = loaded(case("cross_entropy", "logits: [[0.0, 1.0]]", "target: 0.5", asked))
    assert read.outputs == ("gradient",)


def test_wrong_digits_are_said_beside_a_wrong_label(problems):
    both = case("nll_loss", "log_probs: [[-1.0, -2.0]]", "target: [7]", "printed: 0x1p0")
    assert [line.split(": ")[1] for line in problems(f_yaml=both)] == ["nll_loss/a @ printed", "nll_loss/a @ target"]


def test_ids_are_unique_within_a_file_and_across_files(problems):
    twice = "loss: softmax\ncases:\n  - {id: a, logits: [1.0]}\n  - {id: a, logits: [2.0]}\n"
    of_another_loss = case("sigmoid", "logits: 1.0")
    assert problems(one_yaml=twice, two_yaml=softmax(), three_yaml=of_another_loss) == [
        "one.yaml:4: id: duplicate id 'softmax/a', first used at one.yaml:3",
        "two.yaml:3: id: duplicate id 'softmax/a', first used at one.yaml:3",
    ]


def test_the_message_counts_the_problems(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_text(softmax("colour: red\n    shade: dark"))
    with pytest.raises(CaseError) as caught:
        load_cases([path])
    assert str(caught.value) == (
        f"2 problems found:\n  {path}:5: softmax/a @ colour: unknown key\n  {path}:6: softmax/a @ shade: unknown key"
    )


def test_paths_that_name_no_case_file(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaseError) as caught:
        find_files([tmp_path / "missing.yaml", tmp_path / "empty"])
    assert [str(problem) for problem in caught.value.problems] == [
        f"{tmp_path}/missing.yaml: no such file or folder",
        f"{tmp_path}/empty: no case file here; they end in .yaml, .yml, .json",
    ]


def test_a_folder_stands_for_the_case_files_below_it(tmp_path):
    (tmp_path / "deep").mkdir()
    named = [tmp_path / name for name in ("b.yml", "c.json", "deep/a.yaml", "notes.txt")]
    for path in named:
        path.touch()
    assert find_files([tmp_path, named[3]]) == named
    assert [path.suffix for path in named[:3]] == [".yml", ".json", ".yaml"]
    assert set(SUFFIXES) == {".yaml", ".yml", ".json"}


NUMBERS = {
    "1e-3": 1e-3,
    "1E5": 1e5,
    "-1.5e+2": -150.0,
    ".5": 0.5,
    "0.1": 0.1,
    "-0.0": -0.0,
    ".inf": math.inf,
    "+.inf": math.inf,
    "-.inf": -math.inf,
    ".nan": math.nan,
    '"0x1.8p-3"': 0.1875,
    '"-0x1p-1074"': -5e-324,
    '"0x1.fffffffffffffp1023"': 1.7976931348623157e308,
    '".inf"': math.inf,
    '"-.Inf"': -math.inf,
    '".nan"': math.nan,
    '"0.9162907318741551"': 0.9162907318741551,
    "0.1000000000000000055511151231257827": 0.1,
}


@pytest.mark.parametrize(("text", "value"), NUMBERS.items(), ids=NUMBERS)
def test_floats_as_yaml_writes_them(loaded, text, value):
    (read,) = loaded(softmax(logits=f"[{text}, 1.0]"))
    assert read.inputs["logits"].dtype == np.float64
    np.testing.assert_array_equal(read.inputs["logits"][0], value)
    assert np.isnan(value) or np.signbit(read.inputs["logits"][0]) == np.signbit(value)


@pytest.mark.parametrize(
    ("text", "value"), {"3": 3, "-0": 0, "0x10": 16, "0o10": 8, "010": 10, "9223372036854775807": 2**63 - 1}.items()
)
def test_integers_as_yaml_writes_them(loaded, text, value):
    (read,) = loaded(case("nll_loss", "log_probs: [[-1.0, -2.0]]", f"target: [{text}]", "expected: error"))
    assert read.inputs["target"].dtype == np.int64
    assert read.inputs["target"][0] == value


def test_json_says_the_same_as_yaml(loaded):
    in_yaml = cross_entropy('title: "\\\\ \U0001d465"\n    options: {reduction: none, weight: [1.0, 1e-3]}')
    document = {
        "loss": "cross_entropy",
        "cases": [
            {
                "id": "a",
                "title": "\\ \U0001d465",
                "logits": [[1.0, 2.0], [3.0, 4.0]],
                "target": [0, 1],
                "options": {"reduction": "none", "weight": [1.0, 1e-3]},
            }
        ],
    }
    (first,) = loaded(in_yaml)
    for indent in (None, 2, "\t"):
        (other,) = loaded(json.dumps(document, indent=indent), "f.json")
        assert (other.id, other.title) == (first.id, first.title) == ("cross_entropy/a", "\\ \U0001d465")
        for name in first.inputs:
            assert other.inputs[name].dtype == first.inputs[name].dtype
            np.testing.assert_array_equal(other.inputs[name], first.inputs[name])
        assert other.options["reduction"] == first.options["reduction"] == "none"
        np.testing.assert_array_equal(other.options["weight"], first.options["weight"])


GOOD = {
    "one number": case("sigmoid", "logits: 1.5"),
    "whole numbers are floats too": case("kl_div", "log_probs: [-1, -2]", "target: [0, 1]"),
    "one sample": case("cross_entropy", "logits: [1.0, 2.0]", "target: 1"),
    "one class": case("cross_entropy", "logits: [[1.0], [2.0]]", "target: [0, 0]"),
    "no rows": case(
        "cross_entropy",
        "logits: {generator: constant, shape: [0, 3], value: 1.0}",
        "target: {generator: integers, shape: [0], high: 3}",
    ),
    "images": case(
        "cross_entropy",
        "logits: {generator: normal, shape: [2, 3, 4, 5]}",
        "target: {generator: integers, shape: [2, 4, 5], high: 3}",
    ),
    "class axis last": case(
        "nll_loss",
        "log_probs: {generator: normal, shape: [2, 4, 3]}",
        "target: {generator: integers, shape: [2, 4], high: 3}",
        "options: {axis: -1, reduction: none}",
    ),
    "ignored label": cross_entropy(target="[0, -100]"),
    "ignored label of one's own": cross_entropy("options: {ignore_index: 255}", target="[255, 0]"),
    "label out of range on purpose": cross_entropy("expected: error", target="[0, 2]"),
    "probability out of range on purpose": case("entropy", "probs: [1.5]", "expected: error"),
    "convention": cross_entropy(
        "convention: all_ignored\n    outcomes: {nan: .nan, zero: 0.0, refuses: error}", target="[-100, -100]"
    ),
    "weight left at its default": cross_entropy("options: {weight: null}"),
    "one-hot target": cross_entropy(target="[[0.0, 1.0], [1.0, 0.0]]"),
    "whole dtypes": cross_entropy("target_dtype: uint8"),
    "layouts": cross_entropy("layout: {logits: transposed, target: strided}"),
    "digits in quotes": softmax('printed: ["0.2690", 0.7311]'),
    "anchors": "loss: softmax\ncases:\n  - {id: a, logits: &x [1.0, 2.0]}\n  - {id: b, logits: *x}\n",
    "no cases yet": "loss: softmax\ncases: []\n",
    "byte order mark": "\ufeff" + softmax(),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_loads_cleanly(loaded, text):
    cases = loaded(text)
    assert len(cases) == text.count("id: ")
    for read in cases:
        assert read.raises or read.output_shape is not None


def test_what_a_case_says_is_what_is_read(loaded):
    (read,) = loaded(
        cross_entropy(
            "title: T\n    why: W\n    source: S\n    tags: [x, y]\n    grad: false\n    dtypes: [float32, float32]\n"
            "    target_dtype: int32\n    layout: {logits: sliced}\n    printed: '0.50'\n    steps: {nll: '0.5'}",
            target="[-100, 1]",
        )
    )
    assert (read.id, read.title, read.why, read.source, read.tags) == ("cross_entropy/a", "T", "W", "S", ("x", "y"))
    assert (read.dtypes, read.outputs, read.layout) == (("float32",), ("value",), {"logits": "sliced"})
    assert (read.printed, read.steps, read.inputs["target"].dtype) == ("0.50", {"nll": "0.5"}, np.int32)
    assert read.options == {"reduction": "mean", "ignore_index": -100}
    assert read.where.endswith("f.yaml:3")


DRAWN = {
    "normal": (
        {"generator": "normal", "shape": [2, 2], "seed": 3, "scale": 5},
        [[-6.150728783846171, 6.870608812118668], [3.7009876411605447, -2.715269205972186]],
    ),
    "offset": ({"generator": "normal", "shape": [1], "offset": 1e4}, [10000.323697183325]),
    "uniform": (
        {"generator": "uniform", "shape": [3], "low": -1, "high": 1},
        [0.2739233746429086, -0.4604265724722594, -0.9180529521276106],
    ),
    "integers": ({"generator": "integers", "shape": [6], "low": -2, "high": 3, "seed": 1}, [0, 2, -2, 2, -1, 0]),
    "distribution": (
        {"generator": "distribution", "shape": [1, 3], "seed": 2},
        [[0.19035655933453433, 0.21719069577624267, 0.592452744889223]],
    ),
    "constant": ({"generator": "constant", "shape": [2, 1], "value": -0.5}, [[-0.5], [-0.5]]),
    "linspace": ({"generator": "linspace", "shape": [2, 2], "start": 0, "stop": 3}, [[0.0, 1.0], [2.0, 3.0]]),
}


@pytest.mark.parametrize(("description", "values"), DRAWN.values(), ids=DRAWN)
def test_generated_values_never_change(description, values):
    drawn = array(description)
    assert drawn.tolist() == values
    assert drawn.dtype == (np.int64 if description["generator"] == "integers" else np.float64)
    np.testing.assert_array_equal(array(description), drawn)


@pytest.mark.parametrize("shape", [[], [0], [7], [2, 0, 3], [2, 3, 4]])
@pytest.mark.parametrize(
    "rest",
    [
        {"generator": "normal"},
        {"generator": "uniform"},
        {"generator": "integers", "high": 5},
        {"generator": "constant", "value": 1},
    ],
    ids=lambda rest: rest["generator"],
)
def test_generated_shapes(rest, shape):
    assert array({**rest, "shape": shape}).shape == tuple(shape)


def test_generated_values_are_what_they_say():
    normal = array({"generator": "normal", "shape": [10000], "scale": 2.0, "offset": 1.0})
    assert abs(normal.mean() - 1) < 0.1
    assert abs(normal.std() - 2) < 0.1
    uniform = array({"generator": "uniform", "shape": [10000], "low": -3.0, "high": -1.0})
    assert -3 <= uniform.min() < -2.99 < -1.01 < uniform.max() < -1
    labels = array({"generator": "integers", "shape": [1000], "low": 2, "high": 5})
    assert set(labels.tolist()) == {2, 3, 4}
    rows = array({"generator": "distribution", "shape": [50, 7]})
    assert rows.min() > 0
    np.testing.assert_allclose(rows.sum(-1), 1, rtol=1e-15)
    assert not np.array_equal(array({"generator": "normal", "shape": [5], "seed": 1}), normal[:5])
