"""Explain a case: the derivation with its numbers, the exact value, then what each installed framework gives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from conformance.casefiles.case import Case
from conformance.casefiles.load import builtin_files, find_files, load_cases
from conformance.derivation import derive
from conformance.errors import UsageError
from conformance.plan import make_plan
from conformance.report.quoting import quoted
from conformance.results.records import Line, Trial
from conformance.run import run


def explain_case(console: Console, case_id: str, case_paths: Sequence[Path], adapter_files: Sequence[str]) -> None:
    """Print the explanation of the case. Raises `UsageError` for an unknown one."""
    cases = {case.id: case for case in load_cases(find_files(case_paths) if case_paths else builtin_files())}
    if case_id not in cases:
        near = [name for name in cases if case_id.rpartition("/")[2] in name][:5]
        hint = f"; did you mean {', '.join(near)}?" if near else "; `conformance list cases` lists them"
        raise UsageError(f"unknown case {case_id!r}{hint}")
    _derivation(console, cases[case_id])
    _frameworks(console, case_id, case_paths, adapter_files)


def _derivation(console: Console, case: Case) -> None:
    console.print(f"{case.id}  {case.title}", style="bold", highlight=False, markup=False)
    for text in (case.why, f"Source: {case.source}" if case.source else ""):
        if text:
            console.print(text, highlight=False, markup=False)
    console.print()
    for name, x in {**case.inputs, **case.options}.items():
        _quantity(console, name, "", x)
    console.print()
    if case.convention:  # a point on which libraries differ has no one value to derive
        console.print(case.convention.question, highlight=False, markup=False)
        for outcome, meaning in case.convention.outcomes.items():
            console.print(f"  {outcome}: {meaning}", highlight=False, markup=False)
    for step in () if case.convention else derive(case):
        _quantity(console, step.name, step.formula, step.value)
    if case.printed is not None:
        console.print(f"published: {case.printed}", highlight=False, markup=False)
    console.print()


def _quantity(console: Console, name: str, formula: str, value: object) -> None:
    text = np.array2string(value, threshold=40, prefix="    ") if isinstance(value, np.ndarray) else repr(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        text = repr(float(value))
    heading = f"{name} = {formula}" if formula else name
    joint = "\n    " if "\n" in text else " "
    console.print(f"{heading}:{joint}{text}", highlight=False, markup=False, soft_wrap=True)


def _frameworks(console: Console, case_id: str, case_paths: Sequence[Path], adapter_files: Sequence[str]) -> None:
    plan = make_plan((), case_paths=case_paths, adapter_files=adapter_files, select=[case_id])
    trials: dict[tuple[str, str], dict[str, Trial]] = defaultdict(dict)

    def keep(lines: Sequence[Line]) -> None:
        for line in lines:
            if isinstance(line, Trial):
                trials[line.target, line.dtype][line.output] = line

    run(plan, keep, command=["conformance", "explain", case_id])
    table = Table(box=None, pad_edge=False)
    for name in ("target", "dtype", "value", "ulp", "error/bound", "verdict", "gradient"):
        table.add_column(name, no_wrap=True)
    notes: dict[str, None] = {}
    for (target, dtype), outputs in trials.items():
        value, gradient = outputs.get("value"), outputs.get("gradient")
        asked = value or outputs["gradient"]  # a convention asks for one of them
        got = asked.outcome if asked.got is None else f"{asked.got:.10g}"
        figures = ["" if x is None else f"{x:.3g}" for x in (asked.ulp, asked.ratio)]
        verdicts = [trial.verdict if trial else "" for trial in (value, gradient)]
        table.add_row(target, dtype, got, *figures, *verdicts)
        for trial in outputs.values():
            if trial.reason or trial.message:
                notes[f"{target} {trial.verdict}: {quoted(trial.reason or trial.message)}"] = None
    console.print(table)
    for note in [*notes, *(f"{name}: not tried, {why}" for name, why in plan.unavailable.items())]:
        console.print(note, highlight=False, markup=False, soft_wrap=True)
