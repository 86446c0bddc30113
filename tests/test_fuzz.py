"""A small helping of the fuzzing of fuzz_loader.py: readers of files raise errors of ours, and nothing else."""

from __future__ import annotations

import pytest
from fuzz_loader import READERS, fuzz


@pytest.mark.parametrize(("reader", "mutants"), [("cases", 300), ("deviations", 150), ("results", 300)])
def test_a_mutated_file_is_read_or_refused(reader, mutants):
    outcomes, faults, slowest = fuzz(reader, mutants, seed=20)
    assert not faults
    assert outcomes["refused"] > mutants / 2
    assert outcomes["read"] > 0
    assert slowest < 5


def test_every_reader_is_fuzzed():
    assert set(READERS) == {"cases", "deviations", "results"}
