"""A finding, the case file that it is written as, and which findings are known already."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from conformance.casefiles.build import build_case
from conformance.casefiles.case import Case, Question, questions
from conformance.casefiles.load import load_cases
from conformance.casefiles.schema import case_model
from conformance.errors import CaseError
from conformance.judge.verdict import Judgement
from conformance.losses import FORMATS, LOSSES
from conformance.results.records import FAILING
from conformance.search.failures import Failure, failure
from conformance.search.session import Session

Entry = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """The smallest input found on which a target fails in one way; `law` is the law that led to it, if one did."""

    target: str
    question: Question
    judgement: Judgement
    failure: Failure
    law: str = ""

    @property
    def summary(self) -> str:
        used = ", ".join(sorted(self.failure.features)) or "plain"
        return f"{self.failure.loss} {self.failure.output} in {self.question.dtype} ({used}): {self.failure.kind}"


@dataclass
class Known:
    """Failures that need not be reported again, each with where it is listed."""

    failures: list[tuple[Failure, str]] = field(default_factory=list)

    def add(self, failed: Failure, where: str) -> None:
        self.failures.append((failed, where))

    def explanation(self, failed: Failure) -> str:
        """Where the defect behind a failure is listed, or nothing."""
        return next((where for known, where in self.failures if known.explains(failed)), "")

    def smaller_form(self, failed: Failure) -> str:
        """Where a failure is listed that a shrunk one explains: the same defect, on a larger input."""
        return next((where for known, where in self.failures if failed.explains(known)), "")

    def learn(self, session: Session, asked: list[tuple[Question, str]]) -> None:
        """Try questions that are listed as failing, and remember how each fails."""
        for question, where in asked:
            judgement = session.judge(question)
            if judgement is not None and judgement.verdict in FAILING:
                self.add(failure(question, judgement), where)


def findings_in(folder: Path, target: str) -> list[tuple[Question, str]]:
    """What the findings of earlier searches on this target ask. Raises `CaseError` for files that are none."""
    files = sorted((folder / _folder(target)).glob("*.yaml"))
    asked = []
    for path in files:
        try:
            cases = load_cases([path])
        except CaseError:
            continue  # left for `conformance run --cases`, which says what is wrong with it
        asked += [(question, str(path)) for question in questions(cases)]
    return asked


def build(loss: str, entry: Entry) -> Case | None:
    """The case that an entry describes, or nothing where it is none."""
    case, faults = build_case(LOSSES[loss], case_model(loss).model_validate(entry), "search:1")
    return None if faults else case


def write(folder: Path, finding: Finding, seed: int) -> Path:
    """Write the case file of a finding; returns its path, which is new."""
    place = folder / _folder(finding.target)
    place.mkdir(parents=True, exist_ok=True)
    loss = finding.failure.loss
    number = 1
    while (path := place / f"{loss}_{finding.failure.output}_{finding.question.dtype}_{number}.yaml").exists():
        number += 1
    path.write_text(case_file(finding, path.stem, seed), encoding="utf-8")
    return path


def case_file(finding: Finding, name: str, seed: int) -> str:
    """The text of a case file that `conformance run --cases` loads."""
    case = finding.question.case
    comparison = finding.judgement.comparison
    lines = [f"# Found by conformance search on {finding.target} with seed {seed}: {finding.failure.kind}."]
    if comparison is not None and comparison.ratio is not None:
        got, expected = f"got {comparison.got!r}", f"expected {comparison.expected!r}"
        lines.append(f"# {got}, {expected} within {comparison.bound:.3g}: error over bound {comparison.ratio:.3g}.")
    elif finding.judgement.message:
        lines.append(f"# {finding.judgement.message.splitlines()[0]}")
    why = f"The law {finding.law} does not hold." if finding.law else "Drawn by regime, and shrunk."
    said: Entry = {"id": name, "title": finding.summary, "why": why}
    said |= {key: _plain(x, finding.question.dtype) for key, x in case.inputs.items()}
    options = {key: _plain(x, finding.question.dtype) for key, x in case.options.items() if x is not None}
    said |= {"options": options} if options else {}
    target = case.inputs.get("target")
    if target is not None and target.dtype.kind in "iu" and target.dtype != np.int64:
        said["target_dtype"] = target.dtype.name
    if case.cotangent is not None:
        said["cotangent"] = _plain(case.cotangent, finding.question.dtype)
    said |= {"layout": dict(case.layout)} if case.layout else {}
    said |= {} if finding.failure.output == "gradient" else {"grad": False}
    said |= {"dtypes": [finding.question.dtype], "tags": ["found"]}
    lines += [f"loss: {finding.failure.loss}", "cases:"]
    lines += [f"  {'-' if i == 0 else ' '} {key}: {_flow(x)}" for i, (key, x) in enumerate(said.items())]
    return "\n".join(lines) + "\n"


def _folder(target: str) -> str:
    return target.replace(":", "-")


def _plain(x: Any, dtype: str) -> Any:
    """Numbers as a case file writes them: the shortest that give the same number in the dtype."""
    if not isinstance(x, np.ndarray):
        return x
    if x.size == 0 and x.ndim > 1:
        kind = "integers" if x.dtype.kind in "iu" else "uniform"
        return {"generator": kind, "shape": list(x.shape), "high": 1}
    if x.size > 1 and x.ndim and np.all(x == x.flat[0]) and x.size > 64 and x.dtype.kind == "f":
        return {"generator": "constant", "shape": list(x.shape), "value": float(x.flat[0])}
    if x.dtype.kind in "iu":
        return x.tolist()
    return np.vectorize(lambda v: _number(float(v), dtype), otypes=[object])(x).tolist()


def _number(x: float, dtype: str) -> Any:
    for digits in range(1, 17):
        short = float(f"{x:.{digits}g}")
        if FORMATS[dtype].round(short) == FORMATS[dtype].round(x):
            return short
    return x


def _flow(x: Any) -> str:
    """A value in YAML's flow style; infinities and NaN as YAML writes them."""
    if isinstance(x, dict):
        return f"{{{', '.join(f'{key}: {_flow(value)}' for key, value in x.items())}}}"
    if isinstance(x, list):
        return f"[{', '.join(_flow(value) for value in x)}]"
    if isinstance(x, float) and not np.isfinite(x):
        return {"inf": ".inf", "-inf": "-.inf"}.get(str(x), ".nan")
    return json.dumps(x)
