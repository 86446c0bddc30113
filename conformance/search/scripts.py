"""The script beside the case file of a finding."""

from __future__ import annotations

from pathlib import Path

from conformance.errors import UsageError
from conformance.repro import Recorder, reproduce
from conformance.search.findings import Finding
from conformance.targets.names import Target


class Scripts:
    """Writes findings as scripts; its process starts with the first one. Use as a context manager."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._recorder: Recorder | None = None

    def write(self, finding: Finding, path: Path) -> None:
        """Write the script of a finding; where there can be none, a comment that says why."""
        try:
            self._recorder = self._recorder or Recorder(self._target)
            text = reproduce(finding.question, self._recorder)
        except UsageError as refusal:
            text = f"# {refusal}\n"
        note = finding.judgement.message.splitlines()[:1] if finding.failure.kind.startswith("error") else []
        got = finding.judgement.comparison
        if got is not None and got.got is not None:
            note = [f"got {got.got!r} at {list(got.index)}"]
        path.write_text("".join([text, *(f"# {line}\n" for line in note)]), encoding="utf-8")

    def __enter__(self) -> Scripts:
        return self

    def __exit__(self, *_: object) -> None:
        if self._recorder is not None:
            self._recorder.close()
