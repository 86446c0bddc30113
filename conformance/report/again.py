"""The command that tries one trial of a run again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from conformance.results.records import SLOW, Options, Trial


def again(trial: Trial, tags: Sequence[str], options: Options | None) -> str:
    """The command, for a shell, with what the run was given of cases, adapters, interpreters and lists.

    `tags` are those of the case; without `options`, as in a merged file, nothing is known of what was given.
    """
    given = options or Options()
    words = ["conformance", "run", *(given.targets if given.adapter else [trial.target]), "--select", trial.id]
    adapter = trial.target.partition(":")[0]
    said = {
        "--cases": given.cases,
        "--adapter": given.adapter,
        "--python": [text for text in given.python if text.startswith(f"{adapter}=")],
        "--deviations": given.deviations,
    }
    words += [word for option, values in said.items() for value in values for word in (option, value)]
    return shlex.join([*words, "--slow"] if SLOW in tags else words)
