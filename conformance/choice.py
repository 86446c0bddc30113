"""Which questions a run asks of its targets: by dtype, by glob, and by shard."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from conformance.casefiles.case import Case, Question, questions
from conformance.errors import UsageError
from conformance.globs import any_glob
from conformance.targets.names import Target


def chosen_questions(
    named: Sequence[Target], cases: list[Case], *, dtypes: tuple[str, ...], shard: str, select: Sequence[str]
) -> dict[Target, list[Question]]:
    """The questions of the cases that each target is asked."""
    asked = questions(cases, dtypes or None)
    if shard:
        index, count = parse_shard(shard)
        asked = [q for q in asked if shard_of(q.case.id, count) == index]
    pattern = any_glob(select)
    return {t: [q for q in asked if not select or _selected(q, str(t), pattern)] for t in named}


def parse_shard(text: str) -> tuple[int, int]:
    """`I/N` as two numbers, I from 1 to N."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard {text}: write I/N, the part I of N parts, such as 1/4 to 4/4")
    return int(found[1]), int(found[2])


def shard_of(case: str, count: int) -> int:
    """The part, from 1 to `count`, that a case belongs to by its id alone, on every machine and in every version."""
    return int.from_bytes(hashlib.sha256(case.encode()).digest()[:8]) % count + 1


def _selected(question: Question, target: str, pattern: re.Pattern[str]) -> bool:
    """Whether the id of a trial, or that of its case, is one of those asked for."""
    return any(pattern.fullmatch(name) for name in (question.trial_id(target), question.case.id))
