"""Frameworks are imported while the cases are read, and ended when it turns out that they are not asked anything."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from conformance import plan
from conformance.cli import main
from conformance.targets.early import Early
from conformance.targets.interpreter import Interpreter, StartError, _check
from conformance.targets.names import find_adapters, parse_target
from conformance.targets.process import Limits, Worker

ADAPTER = """
import os, time
from pathlib import Path
from conformance.adapters.numpy_reference import NumPy

class Marks(NumPy):
    name = "marks"

    def __init__(self, device, mode):
        super().__init__(device, mode)
        Path("mark.new").write_text(str(os.getpid()))
        Path("mark.new").replace("mark")
        time.sleep({seconds})
"""
CASES = """
loss: softmax
cases:
  - {id: a, logits: [0.1, 0.2], dtypes: [float32]}
"""
RUN = ["run", "--adapter", "marks.py:Marks", "--cases", "cases.yaml", "--results", "r.jsonl"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "marks.py").write_text(ADAPTER.format(seconds=0))
    (tmp_path / "cases.yaml").write_text(CASES)
    return tmp_path


@pytest.fixture
def reads_late(monkeypatch):
    """Cases are read once the framework has been imported."""
    read = plan.load_cases

    def wait(*arguments):
        end = time.monotonic() + 30
        while not Path("mark").exists():
            assert time.monotonic() < end, "the framework was not begun"
            time.sleep(0.01)
        return read(*arguments)

    monkeypatch.setattr(plan, "load_cases", wait)


def status(*options: str) -> object:
    with pytest.raises(SystemExit) as caught:
        main([*RUN, *options])
    return caught.value.code


def alive() -> bool:
    try:
        os.kill(int(Path("mark").read_text()), 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.usefixtures("folder", "reads_late")
def test_a_framework_is_imported_once_while_the_cases_are_read():
    assert status() == 0
    first = Path("mark").read_text()
    assert not alive()
    assert status() == 0, "the mark is there already: nothing waits"
    assert Path("mark").read_text() != first


@pytest.mark.usefixtures("reads_late")
def test_faulty_cases_do_not_wait_for_a_framework(folder, capsys):
    (folder / "marks.py").write_text(ADAPTER.format(seconds=600))
    (folder / "cases.yaml").write_text(CASES.replace("logits", "logit"))
    assert status() == 2
    assert "unknown key" in capsys.readouterr().err
    assert not alive()


@pytest.mark.usefixtures("folder", "reads_late")
def test_a_framework_without_a_question_is_ended():
    assert status("--dtype", "float16") == 3
    assert not alive()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("options", [["--select", "softmax/*"], ["--in-process"]])
def test_where_it_may_not_be_asked_nothing_is_begun(monkeypatch, options):
    def refuse(*_):
        raise AssertionError("begun too soon")

    monkeypatch.setattr(Early, "begin", refuse)
    assert status(*options) == 0


def started(monkeypatch) -> list[str]:
    """The interpreters that a run starts, in order; the empty one is this."""
    begun: list[str] = []
    start = Interpreter.__init__

    def note(self, python, module):
        begun.append(python)
        start(self, python, module)

    monkeypatch.setattr(Interpreter, "__init__", note)
    return begun


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("options", [[], ["--select", "softmax/*"]])
def test_the_first_process_is_that_of_the_first_target(monkeypatch, options):
    begun = started(monkeypatch)
    assert status(*options) == 0
    assert begun == [""]


@pytest.mark.usefixtures("folder")
def test_a_target_of_another_interpreter_leaves_the_first_process_which_is_ended(monkeypatch):
    begun = started(monkeypatch)
    ended = []
    end = Interpreter.end
    monkeypatch.setattr(Interpreter, "end", lambda self: (ended.append(self), end(self)))
    assert status("--python", f"marks={sys.executable}") == 0
    assert sorted(begun) == ["", sys.executable]
    assert len(ended) == 2
    assert all(one._process.popen.poll() is not None for one in ended)


@pytest.mark.usefixtures("folder")
def test_a_first_process_that_does_not_start_is_tried_again(monkeypatch):
    started_before = []
    start = Interpreter.__init__

    def fail_once(self, python, module):
        if not started_before:
            started_before.append(python)
            raise StartError("no process to be had")
        start(self, python, module)

    monkeypatch.setattr(Interpreter, "__init__", fail_once)
    assert status() == 0


@pytest.mark.usefixtures("folder")
def test_an_interpreter_that_is_none_is_said_all_the_same(capsys):
    Path("python").write_text("#!/bin/sh\necho wrong door >&2\nexit 7\n")
    Path("python").chmod(0o755)
    assert status("--python", "marks=python") == 3
    assert "/python is no Python: it ended with status 7 wrong door" in capsys.readouterr().out
    Path("python").chmod(0o644)
    assert status("--python", "marks=python") == 3
    assert "/python cannot be run: [Errno 13] Permission denied" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_an_interpreter_that_is_right_is_asked_once():
    Path("python").write_text("#!/bin/sh\necho asked >> asked\n")
    Path("python").chmod(0o755)
    for _ in range(3):
        _check("./python")
    assert Path("asked").read_text() == "asked\n"


def test_a_worker_has_spoken_once_its_framework_is_imported():
    worker = Worker(parse_target("numpy", find_adapters()), Limits())
    end = time.monotonic() + 60
    while not worker.interpreter.has_spoken():
        assert time.monotonic() < end, "it never said that it is ready"
        time.sleep(0.01)
    assert worker.ready().environment["numpy"]
    assert not worker.interpreter.has_spoken()
    worker.close()
