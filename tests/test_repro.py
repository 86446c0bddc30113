"""Reproducers: what they print is what the adapter gives, bit for bit, and nothing of ours is needed to run them."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from conformance.casefiles.case import Case, Question
from conformance.casefiles.load import builtin_files, load_cases
from conformance.cli import main
from conformance.errors import UsageError
from conformance.losses import FORMATS, LOSSES
from conformance.repro import Recorder, named, reproduce
from conformance.targets.contract import keyword_options
from conformance.targets.conversation import answers
from conformance.targets.names import find_adapters, parse_target
from conformance.targets.process import Limits
from conformance.targets.record import widened
from conformance.targets.worker import load_class

MINIATURES = Path(__file__).with_name("miniatures.py")

RUN_ALL = """
import contextlib, io, json, sys
class Ours:
    def find_spec(self, name, *_):
        if name.split(".")[0] == "conformance":
            raise ImportError("a script must not need the suite")
sys.meta_path.insert(0, Ours())
printed = []
for script in json.load(sys.stdin):
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(script, "script", "exec"), {"__name__": "__main__"})
    except Exception as error:
        printed.append({"raised": f"{type(error).__name__}: {error}".splitlines()[0]})
    else:
        printed.append({"printed": out.getvalue()})
json.dump(printed, sys.stdout)
"""


def chosen(dtypes: tuple[str, ...], outputs: tuple[str, ...]) -> list[Question]:
    """For each loss, option, value of an option, layout, type of label and convention a small trial; value and
    gradient and the dtypes take turns."""
    wanted: dict[tuple, Case] = {}
    for case in sorted(load_cases(builtin_files()), key=lambda case: case.inputs[case.loss.wrt].size):
        target = case.inputs.get("target", np.zeros(1))
        traits = [("layout", *case.layout.values()), target.dtype.name, bool(case.convention)]
        traits += [(name, x if isinstance(x, str) else None) for name, x in case.options.items()]
        for trait in traits:
            wanted.setdefault((case.loss.name, trait), case)
    cases = {case.id: case for case in wanted.values()}.values()
    found = []
    for i, case in enumerate(cases):
        offered = [dtype for dtype in case.dtypes if dtype in dtypes]
        wanted = [output for output in case.outputs if output in outputs]
        if offered and wanted:
            found.append(Question(case, offered[i % len(offered)], wanted[i // 2 % len(wanted)]))
    return found


def parsed(text: str) -> object:
    return eval(text, {"nan": float("nan"), "inf": float("inf")})  # noqa: S307 - printed by our own scripts


@pytest.mark.parametrize("name", ["torch", "jax", "optax", "tensorflow", "keras", "paddle", "mlx", "scipy"])
def test_a_script_prints_what_the_adapter_gives(name):
    adapter = find_adapters()[name]
    if adapter.missing():
        pytest.skip(f"{name} is not installed")
    target = parse_target(name, {name: adapter})
    cls = load_class(adapter.location)
    wide = name in ("scipy", "paddle")  # few of their functions come in 16 bits
    dtypes = ("float32", "float64") if wide else tuple(FORMATS)
    outputs = ("value", "gradient") if hasattr(cls, "gradient") else ("value",)
    came = (pair for pairs in answers(target, chosen(dtypes, outputs), Limits(), lambda facts: None) for pair in pairs)
    given = {question: answer for question, answer in came if answer.status != "unsupported"}
    with Recorder(target) as recorder:
        scripts = [reproduce(question, recorder) for question in given]
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL], input=json.dumps(scripts), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for answer, script, came in zip(given.values(), scripts, json.loads(done.stdout), strict=True):
        if answer.status == "error":
            assert came.get("raised", "").startswith(answer.message.removesuffix("...")), script
            continue
        assert "printed" in came, f"{came}\n{script}"
        printed = np.asarray(parsed(came["printed"]), dtype=np.float64).reshape(answer.array.shape)
        again = printed.astype(answer.array.dtype)
        assert np.array_equal(again, answer.array, equal_nan=True), f"{came}\n{answer.array}\n{script}"
        assert np.array_equal(np.signbit(again), np.signbit(answer.array)) or np.any(np.isnan(again)), script
    assert {question.case.loss.name for question in given} == {loss for loss in LOSSES if hasattr(cls, loss)}
    for loss in LOSSES:
        offered = set(keyword_options(getattr(cls, loss))) if hasattr(cls, loss) else set()
        assert offered <= {name for q in given if q.case.loss.name == loss for name in q.options}, loss


@pytest.fixture
def conformance(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        return (caught.value.code, *capfd.readouterr())

    return command


def test_the_command_prints_a_script_that_says_what_must_come_out(conformance):
    pytest.importorskip("torch")
    status, out, _ = conformance("repro", "cross_entropy/worked_example[torch:cpu:eager-float32]")
    assert status == 0
    assert out.splitlines() == [
        "import torch",
        "",
        "logits = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]], dtype=torch.float32)",
        "target = torch.tensor([2, 3], dtype=torch.int64)",
        "cross_entropy = torch.nn.functional.cross_entropy(logits, target, label_smoothing=0.0, weight=None, "
        "ignore_index=-100, reduction='mean')",
        "print(cross_entropy.tolist())",
        "# expected 1.3644149422555576",
        "# within   1.189792453079342e-06",
    ]
    out_of_it = io.StringIO()
    with contextlib.redirect_stdout(out_of_it):
        exec(out, {})  # noqa: S102 - what is tested
    assert float(out_of_it.getvalue()) == pytest.approx(1.3644149422555576, abs=1.189792453079342e-06)


UNREPRODUCIBLE = {
    "no trial id": (["worked_example"], "is no trial id; they look like"),
    "unknown case": (["softmax/none[torch:cpu:eager-float32]"], "unknown case 'softmax/none'"),
    "unknown target": (["softmax/worked_example[tourch-float32]"], "unknown target 'tourch'"),
    "no gradient of a convention": (
        ["cross_entropy/all_rows_ignored[numpy:cpu:eager-float32-gradient]"],
        "cross_entropy/all_rows_ignored is tried in float32, for value",
    ),
    "an adapter without script": (
        ["cross_entropy/worked_example[numpy:cpu:eager-float32]"],
        "no script: the adapter numpy has no `script`, which says how its framework writes an array",
    ),
    "too many numbers": (
        ["softmax/large[numpy:cpu:eager-float32]", "--cases", "large.yaml"],
        "no script: the inputs of softmax/large hold 5000 numbers, and a script states at most 4096; "
        "`conformance run --select softmax/large` tries it",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), UNREPRODUCIBLE.values(), ids=UNREPRODUCIBLE)
def test_what_cannot_be_reproduced_is_said(conformance, tmp_path, arguments, message):
    (tmp_path / "large.yaml").write_text(
        "loss: softmax\ncases:\n  - {id: large, logits: {generator: normal, shape: [5, 1000]}}\n"
    )
    status, _, err = conformance("repro", *arguments)
    assert status == 2
    assert message in err


def test_an_adapter_that_reaches_its_framework_elsewhere_is_refused():
    trial = named(
        "softmax/random_rows[scripted:cpu:eager-float32]", adapter_files=[f"{MINIATURES}:ScriptedPastItsAttributes"]
    )
    with Recorder(trial.target) as recorder, pytest.raises(UsageError, match="in another way than by its own attrib"):
        reproduce(trial.question, recorder)


@pytest.mark.parametrize(("dtype", "value"), list(product(FORMATS, (0.1, -1.7e-5, 3.3, 65000.0, 0.0))))
def test_numbers_in_a_script_become_the_same_numbers_again(dtype, value):
    array = np.asarray([value]).astype(FORMATS[dtype].dtype)
    numbers = widened(array).astype(np.float32) if array.itemsize == 2 else widened(array)
    again = numbers.astype(array.dtype)
    assert array.tobytes() == again.tobytes()
