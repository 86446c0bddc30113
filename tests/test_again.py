"""The command that a report names for trying a trial again."""

from __future__ import annotations

from conformance.report.again import again
from conformance.results.records import Options, Trial

TRIAL = Trial(
    id="softmax/a[torch:cpu:eager-float32]",
    case="softmax/a",
    loss="softmax",
    target="torch:cpu:eager",
    dtype="float32",
    output="value",
    verdict="mismatch",
)
PLAIN = "conformance run torch:cpu:eager --select 'softmax/a[torch:cpu:eager-float32]'"


def test_a_trial_of_the_shipped_cases():
    assert again(TRIAL, [], Options(targets=["torch", "numpy"], dtype=["float32"])) == PLAIN
    assert again(TRIAL, [], None) == PLAIN
    assert again(TRIAL, ["large", "slow"], Options()) == f"{PLAIN} --slow"


def test_what_the_run_was_given_is_given_again():
    given = Options(cases=["my cases.yaml"], python=["jax=j/python", "torch=t/python"], deviations=["d.yaml"])
    assert again(TRIAL, [], given) == f"{PLAIN} --cases 'my cases.yaml' --python torch=t/python --deviations d.yaml"


def test_adapters_are_given_with_the_targets_of_the_run():
    """A file does not say which target it is of, and the trial's id leaves out the others."""
    mine = Options(adapter=["a.py:A", "b.py:B"])
    select = "--select 'softmax/a[torch:cpu:eager-float32]' --adapter a.py:A --adapter b.py:B"
    assert again(TRIAL, [], mine) == f"conformance run {select}"
    assert again(TRIAL, [], Options(adapter=mine.adapter, targets=["a", "b"])) == f"conformance run a b {select}"
