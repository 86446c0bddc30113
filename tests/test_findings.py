"""The scripts of docs/findings.md print what they say, and are short enough to paste."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FINDINGS = Path(__file__).parents[1] / "docs" / "findings.md"
FOUND = re.findall(r"^### (.+?)$(.*?)^```python$(.*?)^```$", FINDINGS.read_text(), re.MULTILINE | re.DOTALL)
FRAMEWORKS = ("keras", "torch", "optax", "jax", "tensorflow", "onnxruntime", "mlx", "paddle")
MACHINE_DEPENDENT = ("reciprocal", "hides a NaN", "outside of its result", "quadratic", "subnormal")
"""These come and go with the processor's vector width, its speed, or what lies in memory."""


def framework(script):
    return next(name for name in FRAMEWORKS if re.search(rf"\bimport {name}\b", script))


def promised(script):
    return " ".join(re.findall(r"print\(.*\)  # (.+)$", script, re.MULTILINE)).split()


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_scripts_print_what_they_say(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    scripts = [script for title, _, script in FOUND if framework(script) == name and sure(title) and runs_here(script)]
    assert scripts
    told = f"\nprint({'-' * 8!r})\n".join(scripts)
    run = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=300)
    printed = [part.split() for part in run.stdout.split("-" * 8)]
    assert printed == [promised(script) for script in scripts]


def sure(title):
    return not any(part in title for part in MACHINE_DEPENDENT)


def runs_here(script):
    """What torch compiles on a CPU, it compiles by way of C++."""
    return "torch.compile" not in script or shutil.which(os.environ.get("CXX", "g++")) is not None


@pytest.mark.parametrize(("title", "text", "script"), FOUND, ids=lambda x: x[:40] if "\n" not in x else "")
def test_a_finding_is_short_and_its_script_shorter(title, text, script):
    assert len(text.strip().splitlines()) <= 5, title
    assert len([line for line in script.splitlines() if line.strip()]) <= 10, title
