"""Stand-ins for what a fork's job has: a runner of the action's shell steps, and a fork of torch in one formula."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PYTHON = """\
#!/bin/sh
# python -m venv FOLDER: an environment whose pip notes what it is asked for, and whose suite is the one under test.
mkdir -p "$3/bin"
printf '#!/bin/sh\\necho "$@" > "%s/pip.txt"\\n' "$3" > "$3/bin/pip"
printf '#!/bin/sh\\nexec "%s" -m conformance "$@"\\n' "{python}" > "$3/bin/conformance"
chmod +x "$3/bin/pip" "$3/bin/conformance"
"""


class Job:
    """Runs the shell steps of the composite action as a runner would, in a workspace with a home of its own."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.temp = workspace / "temp"
        self.temp.mkdir()
        self.python = self.temp / "python"
        self.python.write_text(PYTHON.format(python=sys.executable))
        self.python.chmod(0o755)
        self.summary, self.log, self.skipped = "", "", []

    def run(self, **inputs: str) -> int:
        """The status of the job; what its steps wrote is in `summary` and `log`."""
        action = YAML(typ="safe").load(ROOT / "action.yml")
        given = {name: about.get("default", "") for name, about in action["inputs"].items()} | inputs
        known = {f"inputs.{name}": value for name, value in given.items()}
        known |= {"github.action_path": str(ROOT), "steps.python.outputs.python-path": str(self.python)}
        summary, output = self.temp / "summary.md", self.temp / "output.txt"
        summary.write_text("")
        self.log = ""
        for step in action["runs"]["steps"]:
            if "run" not in step:
                self.skipped.append(step["uses"])
                continue
            output.write_text("")
            files = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output)}
            done = subprocess.run(
                ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.workspace,
                env=self._environment(step, known) | files,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            self.log += done.stdout + done.stderr
            self.summary = summary.read_text()
            for line in output.read_text().splitlines():
                name, _, value = line.partition("=")
                known[f"steps.{step['id']}.outputs.{name}"] = value
            if done.returncode:
                return done.returncode
        return 0

    def _environment(self, step: dict[str, Any], known: dict[str, str]) -> dict[str, str]:
        def value(found: re.Match[str]) -> str:
            return known.get(found[1], "") if found[1].startswith("steps.") else known[found[1]]

        ours = {name: re.sub(r"\$\{\{ (\S+) \}\}", value, text) for name, text in step.get("env", {}).items()}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "RUNNER_TEMP": str(self.temp), "CI": "true", "PYTHONPATH": str(ROOT), **ours}


def fork_of_torch(folder: Path, old: str, new: str) -> Path:
    """An environment whose torch differs from the installed one in a line of `torch/nn/functional.py`.

    Everything else of torch is linked to. Returns its interpreter.
    """
    original = Path(str(find_spec("torch").origin)).parent
    site = folder / "site" / "torch"
    (site / "nn").mkdir(parents=True)
    links = {site / path.name: path for path in original.iterdir() if path.name != "nn"}
    links |= {site / "nn" / path.name: path for path in (original / "nn").iterdir() if path.name != "functional.py"}
    for ours, theirs in links.items():
        if ours.name != "__pycache__":
            ours.symlink_to(theirs)
    text = (original / "nn" / "functional.py").read_text()
    assert text.count(old) == 1
    (site / "nn" / "functional.py").write_text(text.replace(old, new))
    venv.create(folder / "venv", symlinks=True)
    (packages,) = (folder / "venv").glob("lib/python3*/site-packages")
    (packages / "fork.pth").write_text(f"{folder / 'site'}\n{original.parent}\n")
    return folder / "venv" / "bin" / "python"
