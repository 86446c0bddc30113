"""The golden numbers in the case files are those that ball arithmetic gives, byte for byte."""

from __future__ import annotations

import pytest

from conformance.casefiles.load import builtin_files, load_cases
from conformance.cli import main
from conformance.freeze import freeze, frozen

CASE = """\
# A comment that stays.
loss: softplus
cases:
  - id: zero
    title: At zero
    logits: [0.0]   # a remark
    tags: [worked]

  # Another comment.
  - id: far
    logits: [.inf, -3.0, .nan]
"""
FROZEN = """\
# A comment that stays.
loss: softplus
cases:
  - id: zero
    title: At zero
    logits: [0.0]   # a remark
    expected: [0.693147180559945309417232]
    golden: "{}"
    tags: [worked]

  # Another comment.
  - id: far
    logits: [.inf, -3.0, .nan]
    expected: [.inf, 0.0485873515737420587589259, .nan]
    golden: "{}"
"""


@pytest.mark.parametrize("path", builtin_files(), ids=lambda path: path.stem)
def test_regenerating_gives_what_is_committed(path):
    assert frozen(path) == path.read_text(encoding="utf-8")


def test_only_the_golden_lines_are_touched(tmp_path):
    path = tmp_path / "cases.yaml"
    path.write_text(CASE)
    assert freeze([path]) == [path]
    digests = [case.golden for case in load_cases([path])]
    assert path.read_text() == FROZEN.format(*digests)
    assert freeze([path]) == []


def test_a_wrong_golden_number_is_noticed(tmp_path):
    path = tmp_path / "cases.yaml"
    path.write_text(CASE)
    freeze([path])
    text = path.read_text()
    path.write_text(text.replace("0.693147180559945309417232", "0.693147180559945309417233"))
    assert frozen(path) == text


@pytest.mark.parametrize(
    "text",
    [
        "loss: softplus\ncases:\n- id: b\n  logits: [1.0]\n",
        "loss: softplus\ncases:\n    - id: b\n      logits: [1.0]\n",
        "{loss: softplus, cases: [{id: b, logits: [1.0]}]}\n",
        "loss: softplus\ncases:\n  - {id: b, logits: [1.0]}\n",
        "loss: softplus\ncases:\n  - id: b\n    logits:\n    - 1.0\n",
        "loss: softplus\ncases:\n  - id: a\n    logits: [1.0]\n  - expected: [1.5]\n    id: b\n    logits: [1.0]\n",
        "loss: softplus\ncases:\n  - id: b\n    expected: [1.5]  # mine\n    logits: [1.0]\n",
        "loss: softplus\ncases:\n  - id: b\n    expected: [1.5]\n    # mine\n    logits: [1.0]\n",
        '{"loss": "softplus", "cases": [{"id": "b", "logits": [1.0]}]}\n',
    ],
    ids=["dash", "indent", "flow", "flow case", "rows", "first key", "remark", "comment", "json"],
)
def test_what_cannot_be_changed_by_lines_is_left_to_a_person(tmp_path, capsys, text):
    path = tmp_path / ("f.json" if text.startswith('{"') else "f.yaml")
    path.write_text(text)
    assert len(load_cases([path])) == text.count("id")
    with pytest.raises(SystemExit) as caught:
        main(["freeze", str(path)])
    assert (caught.value.code, path.read_text()) == (2, text)
    assert "golden numbers cannot be put in as it is written" in capsys.readouterr().err


def test_a_refusal_that_is_expected_stays(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_text(
        "loss: nll_loss\ncases:\n  - id: b\n    log_probs: [[-1.0]]\n    target: [7]\n    expected: error\n"
    )
    assert freeze([path]) == []


@pytest.mark.parametrize("check", [(), ("--check",)], ids=["write", "check"])
@pytest.mark.parametrize("content", [b"loss: [1\n", b"\xff\xfe\x00", b"loss: softplus\ncases: [{id: a}]\n"])
def test_what_is_no_case_file_is_said(tmp_path, capsys, check, content):
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    with pytest.raises(SystemExit) as caught:
        main(["freeze", *check, str(path)])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("conformance: 1 problem found:\n")


def test_what_differs_is_said_line_by_line(tmp_path, capsys):
    path = tmp_path / "f.yaml"
    path.write_text("loss: softplus\ncases:\n  - id: a\n    logits: [0.0]\n    expected: [0.7]\n")
    for status in (1, 0):
        with pytest.raises(SystemExit) as caught:
            main(["freeze", "--check", str(path)])
        assert caught.value.code == status
        lines = capsys.readouterr().out.splitlines()
        assert (
            lines[: 4 * status]
            == [
                f"{path}: differs from what ball arithmetic gives",
                "  @@ -5 +5,2 @@",
                "  -    expected: [0.7]",
                "  +    expected: [0.693147180559945309417232]",
            ][: 4 * status]
        )
        freeze([path])
    assert lines == []


def test_the_ends_of_lines_stay(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes(CASE.replace("\n", "\r\n").encode())
    freeze([path])
    written = path.read_bytes()
    assert b"golden" in written
    assert written.count(b"\r\n") == written.count(b"\n")
