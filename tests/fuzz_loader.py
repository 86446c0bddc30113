"""Mutated files for the readers of cases, lists of deviations and results: an error of ours or success, nothing else.

    python tests/fuzz_loader.py --mutants 100000 --seed 1 [--reader cases|deviations|results]

Half of the mutants are made in the document (keys removed, renamed and duplicated, values replaced by odd ones), half
in the bytes. Whatever is raised beside a ConformanceError, and a file that takes longer than `SLOWEST` seconds, is
printed with the mutant that did it, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from ruamel.yaml import YAML

from conformance.casefiles.load import builtin_files, load_cases
from conformance.errors import ConformanceError
from conformance.judge.deviations import load_deviations
from conformance.results.file import read_results

SLOWEST = 5
"""Seconds that reading one small file may take."""
MEMORY = 6 * 2**30
"""Address space of a fuzzing process; a file that asks for more must be refused and not end the process."""

ODD = (
    *(None, True, False, 0, 1, -1, 7, 2**31, 2**63, -(2**63), 2**64, 10**400, 0.5, 1e308, -0.0, 1e-320),
    *("", " ", "0x1p-3", "0x", "1e999", "1e-999", ".inf", "-.nan", "nan", "error", "none", "1_000", "\u0660", "\ud800"),
    *("float32", "reduction", "a" * 300, "\x00", "é", "- x", "{", "*a", "&a", "!!python/object:os.system", "1.3644"),
    *([], [[]], [[], [1.0]], [1.0], [[1.0, 2.0], [3.0]], {}, {"a": 1}, [None], [True], ["error"], [[[[[[1.0]]]]]]),
    {"generator": "normal", "shape": [2, 4]},
    {"generator": "normal", "shape": [2**20, 2**20]},
    {"generator": "constant", "shape": [2**62], "value": 1.0},
    {"generator": "integers", "shape": [2], "high": 2**70},
    {"generator": "integers", "shape": [2], "low": -(2**63), "high": 2**63 - 1},
    {"generator": "linspace", "shape": [0], "start": 0, "stop": float("inf")},
    {"generator": "distribution", "shape": []},
    {"generator": "uniform", "shape": [3], "seed": 2**200},
    {"generator": "normal", "shape": [3], "scale": "1e400"},
)
TOKENS = (
    *(b"", b"\n", b" ", b"\t", b":", b": ", b"- ", b"[", b"]", b"{", b"}", b",", b'"', b"'", b"#", b"|", b">"),
    *(b"&a ", b"*a", b"!!", b"!!binary ", b"!!set ", b"!!timestamp ", b"!!float ", b"!!int ", b"!!omap ", b"<<: "),
    *(b"? ", b"---\n", b"...\n", b"%YAML 1.1\n", b"1", b"9" * 30, b"0x", b"0o7", b"1e999", b".inf", b".nan"),
    *(b"null", b"~", b"true", b"2020-02-30", b"12:30:45", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\r"),
    *(b"\xe2\x80\xa8", b"\\ud800", b"options", b"reduction", b"loss", b"cases"),
)

Reader = Callable[[Path], object]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", choices=sorted(READERS), default="cases")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    start = time.perf_counter()
    outcomes, faults, slowest = fuzz(given.reader, given.mutants, given.seed)
    for kind, mutant in faults.items():
        print(f"--- {kind}\n{mutant[:1500]!r}\n")
    counted = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
    seconds = time.perf_counter() - start
    print(f"{given.mutants} mutants of {given.reader} in {seconds:.0f} s: {counted}; slowest {slowest:.2f} s")
    return 1 if faults else 0


def fuzz(reader: str, mutants: int, seed: int) -> tuple[Counter[str], dict[str, bytes], float]:
    """How the mutants ended, one mutant for each kind of fault, and the longest time that one took."""
    outcomes: Counter[str] = Counter()
    faults: dict[str, bytes] = {}
    slowest = 0.0
    read, seeds = READERS[reader]
    rng = random.Random(seed)  # noqa: S311 - no secret
    parents = list(seeds())
    signal.signal(signal.SIGALRM, _too_slow)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(mutants):
            path = Path(folder, "mutant.json" if rng.random() < 0.2 else "mutant.yaml")
            mutant = mutate(rng, rng.choice(parents))
            path.write_bytes(mutant)
            before = time.perf_counter()
            outcome = attempt(read, path)
            slowest = max(slowest, time.perf_counter() - before)
            outcomes[outcome if outcome in ("read", "refused") else "FAULTS"] += 1
            if outcome not in ("read", "refused"):
                faults.setdefault(outcome, mutant)
    return outcomes, faults, slowest


def attempt(read: Reader, path: Path) -> str:
    """read, refused, or where and how something else was raised."""
    signal.alarm(SLOWEST)
    try:
        read(path)
    except ConformanceError:
        return "refused"
    except BaseException as error:
        frames = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)[-4:]]
        return f"{type(error).__name__}: {str(error)[:80]} at {' '.join(frames)}"
    finally:
        signal.alarm(0)
    return "read"


class TooSlow(BaseException):
    """Reading takes longer than it may."""


def _too_slow(*_: object) -> None:
    raise TooSlow


def mutate(rng: random.Random, parent: bytes) -> bytes:
    """One to four changes of one kind: in the bytes, or in the document, which is then written as JSON."""
    changes = rng.randint(1, 4)
    if rng.random() < 0.5:
        for _ in range(changes):
            parent = _change_bytes(rng, parent)
        return parent
    lines = parent.splitlines(keepends=True) if parent.startswith(b"{") else [parent]  # results are JSON lines
    chosen = rng.randrange(len(lines))
    document = YAML(typ="safe", pure=True).load(lines[chosen])
    for _ in range(changes):
        _change_document(rng, document)
    text = json.dumps(document, ensure_ascii=rng.random() < 0.9, default=str)
    lines[chosen] = text.encode(errors="surrogatepass") + b"\n"
    return b"".join(lines)


def _change_bytes(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + int(rng.expovariate(0.3)))
    kind = rng.randrange(5)
    if kind == 0:
        return data[:at] + data[end:]
    if kind == 1:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at:end] * rng.randint(2, 5) + data[end:]
    if kind == 3:
        lines = data.splitlines(keepends=True) or [b""]
        lines.insert(rng.randrange(len(lines)), lines.pop(rng.randrange(len(lines))))
        return b"".join(lines)
    return data[:at] + rng.choice(TOKENS) + data[end:]


def _change_document(rng: random.Random, document: object) -> None:
    """Change one place of a document of mappings and lists."""
    places = list(_places(document))
    if not places:
        return
    inside, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        inside.pop(key, None) if isinstance(inside, dict) else inside.pop(key)
    elif kind == 1 and isinstance(inside, dict):
        inside[rng.choice(("id", "logits", "target", "options", "colour", "", "a b", "weight"))] = inside.pop(key)
    elif kind == 2 and isinstance(inside, list):
        inside.insert(key, copy.deepcopy(rng.choice((inside[key], *ODD))))
    elif kind == 3:
        inside[key] = [inside[key]]
    else:
        inside[key] = copy.deepcopy(rng.choice(ODD))


def _places(document: object) -> Iterator[tuple[object, object]]:
    """Every container of a document with each of its keys."""
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in list(keys):
        yield document, key
        yield from _places(document[key])


def _case_seeds() -> Iterator[bytes]:
    """Files of one case each: the shortest and some others of every shipped file."""
    for path in builtin_files():
        blocks = path.read_text(encoding="utf-8").split("\n  - id: ")
        cases = sorted((f"  - id: {block}" for block in blocks[1:]), key=len)
        loss = next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("loss:"))
        wanted = [c for c in cases[:: max(len(cases) // 6, 1)] if "[10, 1000]" not in c and len(c) < 900]
        for case in wanted:
            text = f"{loss}\ncases:\n{case}\n"
            if "*" not in text:
                yield text.encode()


def _deviation_seeds() -> Iterator[bytes]:
    for path in sorted(Path(__file__).parents[1].glob("adapters/*.deviations.yaml")):
        for entry in path.read_text(encoding="utf-8").split("\n  - trials:")[1:]:
            if "reason: *" not in entry:  # which stands for that of another entry
                yield f"deviations:\n  - trials:{entry}".encode()


def _result_seeds() -> Iterator[bytes]:
    header = {"kind": "header", "suite_version": "1", "cases_digest": "", "planned": 1, "targets": [], "command": []}
    trial = {"kind": "trial", "id": "a", "case": "l/a", "loss": "l", "target": "t", "dtype": "float32"}
    lines = [
        {**header, "started": "", "host": {}},
        {"kind": "environment", "target": "t", "facts": {"a": "b"}},
        *({**trial, **end} for end in _ENDS),
        {"kind": "footer", "judged": 1, "counts": {"pass": 1}, "seconds": 1.5, "exit_status": 0},
    ]
    yield "".join(json.dumps(line) + "\n" for line in lines).encode()


_ENDS = (
    {"output": "value", "verdict": "pass"},
    {"output": "gradient", "verdict": "mismatch", "got": "NaN", "index": [1]},
)

READERS: dict[str, tuple[Reader, Callable[[], Iterator[bytes]]]] = {
    "cases": (lambda path: load_cases([path]), _case_seeds),
    "deviations": (lambda path: load_deviations([path]), _deviation_seeds),
    "results": (read_results, _result_seeds),
}

if __name__ == "__main__":
    sys.exit(main())
