"""How many deliberately wrong implementations do the golden cases notice?

    python tests/mutants/score.py

A mutant is killed when, of every loss that it breaks, some case fails. The exit status is 1 when one survives.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1]))
from conformance.adapters.numpy_reference import NumPy

from mutants import REGISTRY
from mutants.corpus import Kill, Trial, kills, trials
from mutants.onnx_cases import OnnxCase, notices, onnx_cases

CONSOLE = Console(highlight=False, soft_wrap=True)
_SHARED: dict[str, object] = {}
"""What every process has of the corpus, so that references are computed once."""


@dataclass
class Outcome:
    """A mutant and, for each of its losses, the trials that notice it."""

    name: str
    killed_by: dict[str, list[Kill]] = field(default_factory=dict)
    onnx: bool | None = None

    @property
    def survives_in(self) -> list[str]:
        return [loss for loss, found in self.killed_by.items() if not found]

    @property
    def cases(self) -> set[str]:
        return {kill.case for found in self.killed_by.values() for kill in found}

    @property
    def single(self) -> list[str]:
        """Cases that are the only one to notice it in their loss."""
        by_loss = ({kill.case for kill in found} for found in self.killed_by.values())
        return [case for found in by_loss if len(found) == 1 for case in found]

    @property
    def cheapest(self) -> str:
        smallest = min((kill for found in self.killed_by.values() for kill in found), key=lambda kill: kill.elements)
        return f"{smallest.case} ({smallest.dtype} {smallest.output})"


def share(corpus: dict[str, list[Trial]], onnx: list[OnnxCase]) -> None:
    _SHARED.update(corpus=corpus, onnx=onnx)


def score(name: str) -> Outcome:
    """Put the golden cases and ONNX's to one mutant."""
    defect, corpus = REGISTRY[name], _SHARED["corpus"]
    outcome = Outcome(name, {loss: kills(defect, loss, corpus[loss]) for loss in defect.losses})
    relevant = [case for case in _SHARED["onnx"] if case.loss in defect.losses]
    if relevant:
        adapter = defect.adapter("cpu", "eager")
        outcome.onnx = any(notices(case, adapter) for case in relevant)
    return outcome


def outcomes(names: list[str], corpus: dict[str, list[Trial]], onnx: list[OnnxCase], jobs: int) -> list[Outcome]:
    with ProcessPoolExecutor(jobs, initializer=share, initargs=(corpus, onnx)) as pool:
        heaviest_first = sorted(names, key=lambda name: -sum(len(corpus[loss]) for loss in REGISTRY[name].losses))
        working = pool.map(score, heaviest_first)
        shown = track(working, "mutants", len(names), console=CONSOLE, transient=True, disable=not CONSOLE.is_terminal)
        return sorted(shown, key=lambda outcome: names.index(outcome.name))


def ours_and_theirs() -> list[OnnxCase]:
    try:
        found = onnx_cases()
    except ImportError:
        CONSOLE.print("onnx is not installed; its cases are left out")
        return []
    right = NumPy("cpu", "eager")
    wrong = [case.name for case in found if notices(case, right)]
    assert not wrong, f"the NumPy adapter fails ONNX's {wrong}"
    return found


def report(done: list[Outcome], onnx: list[OnnxCase], seconds: float) -> None:
    theme = ""
    for outcome in done:
        defect = REGISTRY[outcome.name]
        if defect.theme != theme:
            theme = defect.theme
            CONSOLE.print(f"\n{theme}")
        if outcome.survives_in:
            CONSOLE.print(f"  SURVIVED {outcome.name}: {', '.join(outcome.survives_in)}", style="red")
        else:
            CONSOLE.print(f"  killed   {outcome.name}: {len(outcome.cases)} cases, {outcome.cheapest}")
    single = [(outcome.name, case) for outcome in done for case in outcome.single]
    CONSOLE.print(f"\nnoticed by a single case of a loss: {len(single)}")
    for name, case in single:
        CONSOLE.print(f"  {name}: {case}")
    pairs = sum(len(outcome.killed_by) for outcome in done)
    alive = [f"{outcome.name} ({loss})" for outcome in done for loss in outcome.survives_in]
    killed = sum(not outcome.survives_in for outcome in done)
    CONSOLE.print(
        f"\n{killed} of {len(done)} mutants killed; {pairs - len(alive)} of {pairs} with each loss on its own"
    )
    if alive:
        CONSOLE.print(f"surviving: {', '.join(alive)}", style="red")
    if onnx:
        by_loss = Counter(case.loss for case in onnx)
        possible = [outcome for outcome in done if outcome.onnx is not None]
        CONSOLE.print(
            f"ONNX's {len(onnx)} cases of {len(by_loss)} losses would kill {sum(o.onnx for o in possible)} of all "
            f"{len(done)} mutants; {len(possible)} of them are of a loss that ONNX has"
        )
    CONSOLE.print(f"{seconds:.0f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="mutants to try; all by default")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    arguments = parser.parse_args()
    start = time.perf_counter()
    names = arguments.names or list(REGISTRY)
    corpus = trials()
    onnx = ours_and_theirs()
    done = outcomes(names, corpus, onnx, arguments.jobs)
    report(done, onnx, time.perf_counter() - start)
    return int(any(outcome.survives_in for outcome in done))


if __name__ == "__main__":
    sys.exit(main())
