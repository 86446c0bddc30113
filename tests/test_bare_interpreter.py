"""A worker in an interpreter that has numpy and nothing else beside the standard library."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from conformance.cli import main
from conformance.results.file import Results, read_results
from conformance.targets import interpreter

ADAPTER = '''
import sys


class Bare:
    """Says which modules its process has imported."""

    name = "bare"

    def __init__(self, device, mode):
        import numpy

        self.numpy = numpy

    def environment(self):
        return {"prefix": sys.prefix, "modules": " ".join(sorted(sys.modules))}

    def to_native(self, array):
        return array

    def to_numpy(self, tensor):
        return tensor

    def self_information(self, probs):
        return -self.numpy.log(probs)
'''


@pytest.fixture
def empty_python(tmp_path) -> Path:
    """A virtual environment without any package; there is a space in its path."""
    folder = tmp_path / "bare venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


@pytest.fixture
def bare_python(empty_python) -> Path:
    """A virtual environment in which numpy is the only package."""
    folder = empty_python.parent.parent
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    numpy = Path(np.__file__).parent
    for package in (numpy, numpy.with_name("numpy.libs")):
        if package.exists():
            (packages / package.name).symlink_to(package)
    return empty_python


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the adapter in an interpreter: the exit status and the results."""
    monkeypatch.chdir(tmp_path)
    Path("bare.py").write_text(ADAPTER)
    Path("cases.yaml").write_text("loss: self_information\ncases: [{id: a, probs: [0.5, 0.25]}]\n")

    def command(python: Path) -> tuple[object, Results]:
        options = "--adapter bare.py:Bare --cases cases.yaml --results r.jsonl"
        with pytest.raises(SystemExit) as caught:
            main(["run", *options.split(), "--python", f"bare={python}"])
        return caught.value.code, read_results(Path("r.jsonl"))

    return command


def test_a_worker_imports_the_standard_library_and_numpy_only(bare_python, tmp_path, run):
    for package in ("pydantic", "execnet", "ml_dtypes", "cyclopts"):
        missing = subprocess.run([bare_python, "-c", f"import {package}"], check=False, capture_output=True)
        assert missing.returncode == 1, f"{package} is there, so the environment shows nothing"
    status, results = run(bare_python)
    verdicts = {(trial.dtype, trial.output): trial.verdict for trial in results.trials}
    assert verdicts["float32", "value"] == verdicts["float64", "value"] == "pass"
    assert verdicts["float32", "gradient"] == "unsupported"
    (facts,) = results.environments.values()
    assert facts["prefix"] == str(tmp_path / "bare venv")
    known = {"numpy", "__main__", "conformance_adapter_bare", *sys.stdlib_module_names}
    foreign = {name for name in facts["modules"].split() if name.partition(".")[0] not in known}
    assert {name for name in foreign if name.startswith("conformance")} == {
        "conformance",
        "conformance.printable",
        "conformance.targets",
        "conformance.targets.contract",
        "conformance.targets.journal",
        "conformance.targets.wire",
        "conformance.targets.worker",
    }
    assert {name for name in foreign if not name.startswith("conformance")} <= {"_virtualenv", "sitecustomize"}
    assert status == 1  # numpy alone has no arithmetic for bfloat16


def test_an_interpreter_without_numpy_is_said_in_a_line(empty_python, run):
    status, results = run(empty_python)
    assert status == 3
    assert {t.message for t in results.trials} == {"could not be started: ModuleNotFoundError: No module named 'numpy'"}


def test_an_interpreter_that_is_too_old_is_said_in_a_line(bare_python, run, monkeypatch):
    monkeypatch.setattr(interpreter, "_BOOTSTRAP", interpreter._BOOTSTRAP.replace("(3, 9)", "(9, 0)"))
    status, results = run(bare_python)
    assert status == 3
    version = sys.version.split()[0]
    assert {t.message for t in results.trials} == {
        f"could not be started: RuntimeError: a worker needs Python 3.9 or later, and {bare_python} is {version}"
    }
