"""The exit status of a run, from how its trials ended."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.results.records import FAILING

MISMATCH, UNUSABLE, INCOMPLETE = 1, 2, 3
"""Exit statuses beside 0."""


def exit_status(planned: int, counts: Mapping[str, int], stale: list[str]) -> int:
    """0, or why not: a failure, or a list that no longer fits, before a run that is incomplete."""
    if any(counts.get(verdict) for verdict in (*FAILING, "fixed")) or stale:
        return MISMATCH
    if planned == 0 or counts.get("not run") or sum(counts.values()) < planned:
        return INCOMPLETE
    return 0
