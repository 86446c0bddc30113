"""How pytest-xdist shares out the trials: those of a target go to one process, so that its framework starts once.

pytest-xdist has groups of its own, but finds them by a suffix of the node id that not every version of pytest lets it
set; the target is in the id as it is.
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

_TRIAL = re.compile(r"::test_trial\[[^\[]*\[(?P<target>[^\[\]]*)-b?float\d+(-gradient)?\]\]")


class ByTarget(LoadScopeScheduling):  # type: ignore[misc]
    """The trials of a target are one piece of work, every other test is one of its own."""

    def _split_scope(self, nodeid: str) -> str:
        return target_of(nodeid) or nodeid


def target_of(nodeid: str) -> str | None:
    """The target of a trial, by the id of its test item; None of other tests."""
    found = _TRIAL.search(nodeid)
    return found["target"] if found else None
