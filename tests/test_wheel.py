"""What the wheel puts on a machine: the package conformance, complete, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True, **options)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    status, output = run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", folder, ROOT)
    assert status == 0, output
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """The wheel unpacked, and an environment in which it is the only conformance there is."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder, {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}


def test_nothing_but_conformance(wheel):
    status, output = run(sys.executable, "-m", "check_wheel_contents", "--toplevel", "conformance", wheel)
    assert status == 0, output


def test_data_is_complete(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    for folder, pattern in (("cases", "*.yaml"), ("adapters", "*"), ("conformance/report/templates", "*")):
        for path in (ROOT / folder).glob(pattern):
            if path.suffix in (".py", ".yaml", ".html", ".css", ".js"):
                relative = path.relative_to(ROOT)
                assert str(relative if relative.parts[0] == "conformance" else Path("conformance") / relative) in inside


def test_the_wheel_runs(site, tmp_path):
    folder, environment = site
    command = [
        "-m",
        "conformance",
        "run",
        "numpy",
        "--select",
        "cross_entropy/worked*",
        "--results",
        tmp_path / "r.jsonl",
    ]
    status, output = run(sys.executable, *command, env=environment, cwd=tmp_path)
    assert status == 0, output
    _, where = run(
        sys.executable, "-c", "import conformance; print(conformance.__file__)", env=environment, cwd=tmp_path
    )
    assert where.strip() == str(folder / "conformance" / "__init__.py")


def test_pytest_pyargs_finds_the_suite(site, tmp_path):
    _, environment = site
    options = ["--conformance-target=numpy", "--conformance-select=cross_entropy/worked_example"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "conformance", *options]
    status, output = run(*command, env=environment, cwd=tmp_path)
    assert status == 0, output
    assert "8 passed" in output


def test_pytest_conformance_works_in_a_checkout_that_is_not_installed():
    options = ["--conformance-target=numpy", "--conformance-select=cross_entropy/worked_example"]
    status, output = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "conformance", *options, cwd=ROOT
    )
    assert status == 0, output
    assert "8 passed" in output
