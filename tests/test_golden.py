"""The golden numbers in the case files are those that ball arithmetic gives, byte for byte."""

from __future__ import annotations

import pytest

from conformance.casefiles.load import builtin_files, load_cases
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
