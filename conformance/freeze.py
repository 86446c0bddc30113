"""Write the golden numbers of ball arithmetic into case files, and prove that what is there is what comes out.

A case gets `expected`, its value for the float64 inputs with 24 digits, when the value is small enough to read; and
`golden`, a digest of every element of value and gradient, large or generated ones too. Both are made by this module
alone; everything else in the file, comments and layout included, is left as it is.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml.error import YAMLError

from conformance.casefiles.case import Case, Question
from conformance.casefiles.load import load_cases
from conformance.casefiles.read import parse
from conformance.errors import CaseError, Problem
from conformance.judge.exact import enclose, exact
from conformance.losses import Array
from conformance.yamlfile import load, rewrite

DIGITS = 24
_READABLE = 12
_WIDTH = 120


def frozen(path: Path) -> str:
    """The text of a case file with the golden numbers of every case made anew.

    Raises `CaseError` where the file is not right, or is written in a way that cannot be changed line by line.
    """
    cases = {case.name: case for case in load_cases([path])}
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    document = parse(path)
    starts = [document["cases"].lc.item(i)[0] for i in range(len(document["cases"]))]
    for entry, start in reversed(list(zip(document["cases"], starts, strict=True))):
        if golden := golden_lines(cases[entry["id"]]):
            lines = _replace(path, lines, entry, start, golden)
    made = "\n".join(lines) + "\n"
    if made == text:
        return text
    with contextlib.suppress(YAMLError):
        if _beside_golden(load(made)) == _beside_golden(document):
            return made
    raise _by_hand(path, 1)


def _beside_golden(document: Any) -> str:
    """All that a file says beside golden numbers, to be compared; NaN is not equal to itself."""
    golden = ("expected", "golden")
    cases = [
        {key: x for key, x in entry.items() if key not in golden or entry.get("expected") == "error"}
        for entry in document["cases"]
    ]
    return json.dumps({**document, "cases": cases}, default=str)


def _by_hand(path: Path, line: int) -> CaseError:
    how = "golden numbers cannot be put in as it is written"
    needed = "each case needs lines of its own in YAML, '  - id: ...' and its keys below, no comment at the numbers"
    return CaseError([Problem(str(path), line, "", f"{how}; {needed}")])


def golden_lines(case: Case) -> list[str]:
    """The lines of a case that hold its golden numbers; none where no number is expected."""
    if case.raises or case.convention:
        return []
    return [*_expected_lines(case), f'    golden: "{golden_digest(case)}"']


def golden_digest(case: Case) -> str:
    """Digest of value and gradient for the float64 inputs: float64 and, of what is left, the leading 24 bits."""
    digest = hashlib.sha256()
    for output in case.outputs:
        inputs, options, cotangent = Question(case, "float64", output).exact
        high, low = exact(case.loss, inputs, options, cotangent)
        digest.update(repr(high.shape).encode())
        for part in ((high + 0.0).astype("<f8"), (low + 0.0).astype("<f4")):  # + 0.0: one zero only
            digest.update(np.nan_to_num(part, nan=np.nan).tobytes())
    return digest.hexdigest()[:32]


def expected_digits(case: Case) -> Array:
    """The value for the float64 inputs as an object array of texts with 24 digits."""
    inputs, options, _ = Question(case, "float64", "value").exact
    balls = enclose(case.loss, inputs, options)
    plain = case.loss.evaluate(np.asarray, inputs, options)
    texts = [_digits(ball, float(value)) for ball, value in zip(balls.flat, np.ravel(plain), strict=True)]
    return np.array(texts, dtype=object).reshape(balls.shape)


def _digits(ball: Any, value: float) -> str:
    if ball.is_finite():
        text: str = ball.str(DIGITS, radius=False)
        return text if "." in text or "e" in text else f"{text}.0"
    return {"inf": ".inf", "-inf": "-.inf"}.get(str(value), ".nan")


def _expected_lines(case: Case) -> list[str]:
    if not 0 < math.prod(case.output_shape) <= _READABLE:
        return []
    digits = expected_digits(case)
    text = _flow(digits.tolist())
    if len(text) + len("    expected: ") <= _WIDTH:
        return [f"    expected: {text}"]
    rows = [_flow(row) for row in digits.tolist()]
    return [
        "    expected:",
        *(f"      {'[' if i == 0 else ' '}{row}{',' if i + 1 < len(rows) else ']'}" for i, row in enumerate(rows)),
    ]


def _flow(value: Any) -> str:
    return f"[{', '.join(_flow(x) for x in value)}]" if isinstance(value, list) else str(value)


def _replace(path: Path, lines: list[str], entry: Any, start: int, golden: list[str]) -> list[str]:
    """`lines` with the golden lines of the case at `start` replaced; they stand before its tags, or at its end."""
    keys = sorted((entry.lc.key(key)[0], key) for key in entry)
    end = _block_end(lines, keys[-1][0])
    spans = [(line, key, after) for (line, key), after in zip(keys, [*(k[0] for k in keys[1:]), end], strict=True)]
    kept: list[str] = lines[:start]
    placed = False
    for line, key, after in spans:
        if key in ("expected", "golden"):
            if any(re.search(r"(^|\s)#", dropped) for dropped in lines[line:after]):
                raise _by_hand(path, line + 1)
            continue
        if key == "tags":
            kept += golden
            placed = True
        kept += lines[line:after]
    return [*kept, *([] if placed else golden), *lines[end:]]


def _block_end(lines: list[str], last_key: int) -> int:
    """The line after the last one of a case, whose last key stands at `last_key`."""
    end = last_key + 1
    while end < len(lines) and lines[end].startswith("      "):
        end += 1
    return end


def differing(path: Path) -> list[str]:
    """The lines of a file that golden numbers would change, those that are there before those that would be."""
    after = frozen(path).splitlines()  # which says so if it is no case file
    before = path.read_text(encoding="utf-8").splitlines()
    return [line for line in difflib.unified_diff(before, after, n=0, lineterm="") if line[:3] not in ("---", "+++")]


def freeze(paths: list[Path]) -> list[Path]:
    """Write the golden numbers into the files; those that changed are returned."""
    texts = {path: frozen(path) for path in paths}
    changed = [path for path, text in texts.items() if text != path.read_text(encoding="utf-8")]
    for path in changed:
        rewrite(path, texts[path])
    return changed
