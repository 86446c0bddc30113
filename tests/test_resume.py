"""A run that was killed or stopped: nothing judged is lost, and --resume finishes it without repeating any of it."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from processes import wait_for_the_end

from conformance.cli import main
from conformance.results.file import Writer, parse_line, read_results
from conformance.results.records import Environment, Trial

ROOT = Path(__file__).parents[1]
MINIATURES = Path(__file__).with_name("miniatures.py")
CASES = "loss: cross_entropy\ncases:\n" + "".join(
    f"  - {{id: c{i}, logits: [{i % 14}.0, 0.25], target: 0, dtypes: [float32, float64]}}\n" for i in range(14)
)
SLOW = f"""
import os, sys, time
from pathlib import Path
sys.path.insert(0, {str(MINIATURES.parent)!r})
from miniatures import UNLUCKY, SomeUlpsOff

class Slow(SomeUlpsOff):
    name = "slow"

    def __init__(self, device, mode):
        Path("worker").write_text(str(os.getpid()))

    def cross_entropy(self, logits, target, *, reduction="mean"):
        time.sleep(0.01)
        if logits.flat[0] == UNLUCKY:
            raise ValueError("no luck")
        return super().cross_entropy(logits, target, reduction=reduction)
"""
LAUNCHER = """
import os, sys, time
from pathlib import Path
from conformance.cli import main

def goes_on(child, file, trials):
    # a run is there, and its file holds no more than so many trials
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    judged = Path(file).read_text().count('{"kind":"trial"') if Path(file).exists() else 0
    return not ended and judged <= trials

for line in sys.stdin:
    seconds, file, trials, *arguments = line.split()
    child = os.fork()
    if child == 0:
        os.setsid()
        sys.stdin.close()
        sys.stdout = sys.stderr = open(os.devnull, "w")
        main(arguments)
    if seconds != "never":
        while goes_on(child, file, int(trials)):
            time.sleep(0.002)
        time.sleep(float(seconds))
        os.kill(child, 9)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Imports the suite once and then runs what it is given, each in a process of its own, killed some seconds after its
file holds more than so many trials."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases.yaml").write_text(CASES)
    (tmp_path / "slow.py").write_text(SLOW)
    return tmp_path


@pytest.fixture
def conformance(folder, capfd):
    """Run a command in this process; its status and what it wrote."""

    def command(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        return caught.value.code, *capfd.readouterr()

    return command


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run from its beginning to its end: its result file."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "cases.yaml").write_text(CASES)
    (folder / "ours.yaml").write_text("deviations: []\n")
    given = ["numpy", "--cases", "cases.yaml", "--deviations", "ours.yaml"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(SystemExit) as caught:
            main(["run", *given])
    assert caught.value.code == 0
    return folder / "conformance-results.jsonl"


@pytest.fixture
def finished(whole, folder):
    """The lines of a finished run, in a folder with the files that it was made from."""
    for path in whole.parent.glob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())
    return whole.read_bytes().splitlines(keepends=True)


def verdicts(path: str | Path) -> dict[str, str]:
    return {trial.id: trial.verdict for trial in read_results(Path(path)).trials}


def written_trials(path: str | Path) -> list[str]:
    """The lines of a file that are trials, whole or not, as they were written."""
    return [line for line in Path(path).read_text().split("\n") if line.startswith('{"kind":"trial"')]


class Launcher:
    """Starts runs that share the import of the suite."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def run(self, arguments: str, killed_after: float | str = "never", file: object = "-", trials: int = -1) -> int:
        """The status of a run; that of a signal is negative. With -1 `trials` its seconds begin at once."""
        self.process.stdin.write(f"{killed_after} {file} {trials} {arguments}\n")
        return int(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate(timeout=60)


@pytest.fixture
def launcher(folder):
    launcher = Launcher()
    yield launcher
    launcher.close()


def test_killed_at_ten_random_moments(launcher):
    """Runs are killed and resumed, and begun anew when one of them gets to its end, until ten have been killed. Every
    other one is killed soon after it has judged something more, as a machine may take longer to start it than to run
    it."""
    what = "run numpy slow --adapter slow.py:Slow --cases cases.yaml --results"
    begun = time.perf_counter()
    assert launcher.run(f"{what} whole.jsonl") == 1
    longest = time.perf_counter() - begun
    whole = read_results(Path("whole.jsonl"))
    assert set(whole.footer.counts) == {"pass", "mismatch", "error"}

    moments, kills, partly_judged = random.Random(20), 0, 0  # noqa: S311
    for number in itertools.count():
        path = Path(f"{number}.jsonl")
        judged: list[str] = []
        status = None
        while status is None:
            begin = f"run --resume {path}" if path.exists() else f"{what} {path}"
            if kills == 10:
                status = launcher.run(begin)
            elif kills % 2:
                status = launcher.run(begin, moments.uniform(0, longest / 10), path, len(judged))
            else:
                status = launcher.run(begin, moments.uniform(0, longest))
            if status == -signal.SIGKILL:
                kills, status = kills + 1, None
            if path.exists():
                results = read_results(path)
                assert written_trials(path)[: len(judged)] == judged
                judged = written_trials(path)[: len(results.trials)]
                partly_judged += status is None and 0 < len(judged) < len(whole.trials)
        assert status == 1
        assert results.complete
        assert verdicts(path) == verdicts("whole.jsonl")
        assert len(written_trials(path)) == len(whole.trials), "a trial was judged twice"
        assert results.footer.counts == whole.footer.counts
        if kills == 10:
            break
    assert partly_judged, "no run was killed between its first and its last trial"


SLOWLY = ["--adapter", "slow.py:Slow", "--cases", "cases.yaml"]
LISTENING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has background jobs ignore Ctrl-C
from conformance.cli import main
main()
"""


def started(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    """A run in a process group of its own, once it has judged some trials."""
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, "run", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    results = Path("conformance-results.jsonl")
    while not (results.is_file() and len(written_trials(results)) > 3):
        assert process.poll() is None
        time.sleep(0.01)
    return process


def test_a_killed_run_leaves_no_process_and_no_file(folder):
    (folder / "tmp").mkdir()
    with started(SLOWLY, TMPDIR=str(folder / "tmp")) as process:
        process.kill()
    wait_for_the_end(int(Path("worker").read_text()))
    assert not list((folder / "tmp").iterdir())


def test_a_framework_that_hangs_ends_after_a_run_that_was_killed(folder):
    """One that does not let Python run, so that it cannot see that nobody listens."""
    hang = 'Path("hangs").touch(); ctypes.PyDLL(None).sleep(600)'
    Path("slow.py").write_text("import ctypes\n" + SLOW.replace('raise ValueError("no luck")', hang))
    with started([*SLOWLY, "--timeout", "5"]) as process:
        while not Path("hangs").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    wait_for_the_end(int(Path("worker").read_text()))


def test_ctrl_c_leaves_what_was_judged_and_says_how_to_go_on(folder):
    with started(SLOWLY) as process:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.splitlines() == [
        "conformance: what was judged is in conformance-results.jsonl; "
        "finish it with `conformance run --resume conformance-results.jsonl`",
        "conformance: interrupted",
    ]
    assert 3 < len(read_results(Path("conformance-results.jsonl")).trials) < 28


def test_ctrl_c_does_not_wait_for_a_framework_that_hangs(folder):
    Path("slow.py").write_text(SLOW.replace('raise ValueError("no luck")', "time.sleep(600)"))
    with started([*SLOWLY, "--timeout", "600"]) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


def test_a_file_that_is_being_written_is_left_to_who_writes_it(conformance, finished):
    before = b"".join(finished[:5])
    Path("r.jsonl").write_bytes(before)
    with Writer(Path("r.jsonl"), resume=True):
        for arguments in (["--resume", "r.jsonl"], ["numpy", "--cases", "cases.yaml", "--results", "r.jsonl"]):
            status, _, err = conformance("run", *arguments)
            assert (status, err) == (
                2,
                "conformance: cannot write results to r.jsonl: another run is still writing it\n",
            )
    assert Path("r.jsonl").read_bytes() == before
    assert conformance("run", "--resume", "r.jsonl")[0] == 0


@pytest.mark.parametrize("cut", [0, 1, 200, -2, -1], ids=["before", "one byte", "inside", "brace", "its end"])
def test_a_line_that_was_cut_is_judged_again(conformance, whole, finished, cut):
    """Wherever the cut is; a line that lacks only its end is whole."""
    last = finished[40]
    Path("r.jsonl").write_bytes(b"".join(finished[:40]) + last[:cut])
    left = read_results(Path("r.jsonl"))
    assert (len(left.trials), left.cut) == (39 if cut == -1 else 38, cut in {1, 200, -2})
    status, out, _ = conformance("run", "--resume", "r.jsonl")
    assert status == 0
    assert "56 of 56 planned trials" in out
    assert len(written_trials("r.jsonl")) == 56
    assert b"".join(Path("r.jsonl").read_bytes().splitlines(keepends=True)[:40]) == b"".join(finished[:40])
    assert verdicts("r.jsonl") == verdicts(whole)


def test_a_cut_line_is_said(conformance, finished):
    Path("r.jsonl").write_bytes(b"".join(finished[:5]) + finished[5][:30])
    _, out, _ = conformance("report", "r.jsonl")
    assert "Incomplete: the run was cut off after 3 of 56 trials.\nThe last line of the file was cut off, too" in out


def test_options_may_be_given_again(conformance, whole, finished):
    Path("r.jsonl").write_bytes(b"".join(finished[:30]))
    again = ["numpy", "--cases", "cases.yaml", "--deviations", "ours.yaml", "--jobs", "1"]
    assert conformance("run", *again, "--resume", "r.jsonl")[0] == 0
    assert verdicts("r.jsonl") == verdicts(whole)


def test_a_finished_run_is_left_as_it_is(conformance, finished):
    Path("r.jsonl").write_bytes(b"".join(finished))
    status, out, _ = conformance("run", "--resume", "r.jsonl")
    assert status == 0
    assert "56 of 56 planned trials" in out
    assert Path("r.jsonl").read_bytes() == b"".join(finished)


def test_what_was_not_run_is_tried_again(conformance):
    """A framework that failed to start is mended; the rest of the file stays."""
    Path("late.py").write_text(
        "import pathlib\nfrom conformance.adapters.numpy_reference import NumPy\nclass Late(NumPy):\n"
        "    name = 'late'\n    def __init__(self, device, mode):\n"
        "        assert pathlib.Path('mended').exists()\n"
    )
    given = ["numpy", "late", "--adapter", "late.py:Late", "--cases", "cases.yaml", "--results", "r.jsonl"]
    assert conformance("run", *given)[0] == 3
    assert Counter(verdicts("r.jsonl").values()) == {"pass": 56, "not run": 56}
    Path("mended").touch()
    assert conformance("run", "--resume", "r.jsonl")[0] == 0
    results = read_results(Path("r.jsonl"))
    assert Counter(verdicts("r.jsonl").values()) == results.footer.counts == {"pass": 112}
    assert results.complete


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ("", ["--dtype", "float32"], "--dtype is float32 here and not given in the file"),
        ("", ["torch"], "the list of targets is torch here and numpy in the file"),
        ("cases", [], "the cases have changed since"),
        ("version", [], "it was written by version 0.0.1 of the suite; this is "),
        ("targets", [], "the targets are numpy:cpu:eager here and numpy:cpu:other in the file"),
        ("list", [], "ours.yaml has changed since"),
        ("options", [], "cannot resume r.jsonl: it does not say what was asked for"),
        ("facts", [], "cannot resume: numpy:cpu:eager is not what it was: numpy is "),
        ("", ["--results", "x.jsonl"], "--resume r.jsonl goes on in that file; leave out --results x.jsonl"),
        ("gone", [], "cannot read results from r.jsonl: "),
    ],
)
def test_what_is_not_the_same_run_is_refused(conformance, finished, change, arguments, message):
    header, environment, *rest = map(parse_line, finished)
    if change == "cases":
        Path("cases.yaml").write_text(CASES.replace("0.25", "0.5"))
    if change == "list":
        Path("ours.yaml").write_text("deviations: []  # changed\n")
    if change == "options":
        header.options = None
    header.suite_version = "0.0.1" if change == "version" else header.suite_version
    header.targets = ["numpy:cpu:other"] if change == "targets" else header.targets
    facts = {**environment.facts, "numpy": "1.0"} if change == "facts" else environment.facts
    with Writer(Path("r.jsonl")) as writer:
        for line in (header, Environment(target="numpy:cpu:eager", facts=facts), *rest[:9]):
            writer.write(line)
    before = Path("r.jsonl").read_bytes()
    if change == "gone":
        Path("r.jsonl").unlink()
    status, _, err = conformance("run", "--resume", "r.jsonl", *arguments)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    if change != "gone":
        assert Path("r.jsonl").read_bytes() == before


def test_everything_that_differs_is_said_at_once(conformance, finished):
    header = parse_line(finished[0])
    header.suite_version = "0.0.1"
    with Writer(Path("r.jsonl")) as writer:
        writer.write(header)
    _, _, err = conformance("run", "torch", "--dtype", "float64", "--shard", "1/2", "--resume", "r.jsonl")
    assert [line.strip().split(" is ")[0][:35] for line in err.splitlines()] == [
        "conformance: cannot resume r.jsonl; start a new run, or take back what differs:"[:35],
        "the list of targets",
        "--dtype",
        "--shard",
        "it was written by version 0.0.1 of ",
    ]


def test_a_trial_that_a_reader_meets_twice_counts_once_and_the_later_one_holds(finished):
    Path("r.jsonl").write_bytes(b"".join(finished))
    with Writer(Path("r.jsonl"), resume=True) as writer:
        first = read_results(Path("r.jsonl")).trials[0]
        writer.write(Trial(**{**vars(first), "verdict": "timeout"}))
    read = read_results(Path("r.jsonl"))
    assert (len(read.trials), read.trials[0].verdict, read.footer) == (56, "timeout", None)
