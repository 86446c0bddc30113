"""The suite as pytest items: one for each trial. Collected by `pytest conformance` or `pytest --pyargs conformance`."""

from typing import Any


def test_trial(conformance_trial: Any) -> None:
    conformance_trial.check()
