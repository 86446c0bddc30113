"""A trial as a script in the framework's own API, which needs nothing of the suite and can be pasted into an issue."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import execnet
import numpy as np

from conformance.casefiles.case import Case, Question
from conformance.casefiles.load import builtin_files, find_files, load_cases
from conformance.errors import UsageError
from conformance.judge.reference import Reference, reference
from conformance.losses import DTYPES, Array
from conformance.settings import interpreters
from conformance.targets.answer import request
from conformance.targets.interpreter import Interpreter
from conformance.targets.names import Target, find_adapters, parse_target
from conformance.targets.tried import checked_pythons

LARGEST = 4096
"""The most numbers that a script states; a generated input that is all the same number is not counted."""
_FEW = 16
_TRIAL = re.compile(rf"(?P<case>[^\[]+)\[(?P<target>.+?)-(?P<dtype>{'|'.join(DTYPES)})(?P<gradient>-gradient)?\]")


class Recorder:
    """A process of a target's adapter that writes scripts. Use as a context manager."""

    def __init__(self, target: Target) -> None:
        self._interpreter = Interpreter(target.python, "conformance.targets.record")
        self._channel = self._interpreter.channel
        setup = {"adapter": target.adapter.location, "device": target.device, "mode": target.mode}
        self._channel.send({**setup, "stderr": os.devnull})

    def script(self, question: Question) -> str:
        """The calls of a question. Raises `UsageError` for what cannot be written down."""
        self._channel.send(request(question))
        try:
            reply = self._interpreter.receive()
        except (EOFError, execnet.RemoteError, self._channel.TimeoutError) as error:
            last = str(error).strip().splitlines()
            raise UsageError(f"no script: the framework did not answer: {last[-1] if last else error!r}") from None
        if "refused" in reply:
            raise UsageError(f"no script: {reply['refused']}")
        return str(reply["script"])

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._interpreter.end()


@dataclass(frozen=True)
class Named:
    """A trial named by its id."""

    question: Question
    target: Target


def named(
    trial: str, case_paths: Sequence[Path] = (), adapter_files: Sequence[str] = (), pythons: Sequence[str] = ()
) -> Named:
    """The trial with this id. Raises `UsageError` when there is none."""
    found = _TRIAL.fullmatch(trial)
    if not found:
        example = "cross_entropy/worked_example[torch:cpu:eager-float32-gradient]"
        raise UsageError(f"{trial!r} is no trial id; they look like {example}, and results and reports name them")
    cases = {case.id: case for case in load_cases(find_files(case_paths) if case_paths else builtin_files())}
    case = cases.get(found["case"])
    if case is None:
        raise UsageError(f"unknown case {found['case']!r}; `conformance list cases` lists them")
    output = "gradient" if found["gradient"] else "value"
    if found["dtype"] not in case.dtypes or output not in case.outputs:
        raise UsageError(f"{case.id} is tried in {', '.join(case.dtypes)}, for {' and '.join(case.outputs)}")
    adapters = find_adapters(adapter_files)
    python = checked_pythons(interpreters(pythons), adapters).get(found["target"].partition(":")[0], "")
    target = parse_target(found["target"], adapters, python)
    missing = target.adapter.missing()
    if missing and not python:
        raise UsageError(f"{target}: {', '.join(missing)} is not installed")
    return Named(Question(case, found["dtype"], output), target)


def reproduce(question: Question, recorder: Recorder) -> str:
    """The script of a question, with what must come out as a comment. Raises `UsageError` where there can be none."""
    arrays = [*question.inputs.values(), *(x for x in question.options.values() if isinstance(x, np.ndarray))]
    stated = sum(x.size for x in arrays if not _uniform(x))
    if stated > LARGEST:
        case = question.case.id
        raise UsageError(
            f"no script: the inputs of {case} hold {stated} numbers, and a script states at most {LARGEST}; "
            f"`conformance run --select {case}` tries it"
        )
    return f"{recorder.script(question)}{_expectation(question)}\n"


def _uniform(x: Array) -> bool:
    return bool(x.size and np.all(x == x.flat[0]))


def _expectation(question: Question) -> str:
    """What must come out, as comments."""
    case = question.case
    if case.raises:
        return "# expected: an error"
    if case.convention:
        outcomes = (f"{name}: {outcome}" for name, outcome in case.convention.outcomes.items())
        return f"# libraries differ here, on {case.convention.name}: {'; '.join(outcomes)}"
    expected = reference(question)
    size = expected.value.size
    if size <= _FEW:
        return f"# expected {_listed(expected.value)}\n# within   {_listed(expected.bound)}"
    return "\n".join(_far(case, expected))


def _far(case: Case, expected: Reference) -> list[str]:
    """The start of a large result."""
    value, bound = expected.value.ravel()[:_FEW], expected.bound.ravel()[:_FEW]
    return [
        f"# expected, the first {_FEW} of {expected.value.shape}: {_listed(value)}",
        f"# within {_listed(bound)}; `conformance explain {case.id}` has the rest",
    ]


def _listed(x: Array) -> str:
    return str(x.tolist())
