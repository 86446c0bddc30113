"""What an adapter's signatures rule out is unsupported without being asked, and just as if it had been."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Literal

import pytest

from conformance.casefiles.case import questions
from conformance.casefiles.load import builtin_files, load_cases
from conformance.losses import LOSSES
from conformance.targets import conversation
from conformance.targets.answer import known_answer, request
from conformance.targets.contract import offers_of
from conformance.targets.conversation import answers
from conformance.targets.names import find_adapters, parse_target
from conformance.targets.process import Limits, Worker
from conformance.targets.worker import answer, load_class

MINIATURES = Path(__file__).with_name("miniatures.py")
METHODS = [*LOSSES, "gradient"]
OPTIONS = {"plain": "", "weighted": ", options: {weight: [0.3, 0.7]}", "smooth": ", options: {label_smoothing: 0.1}"}


@pytest.fixture(scope="module")
def shipped():
    """Every question of the shipped cases in one dtype."""
    return questions(load_cases(builtin_files()), ("float32",))


@pytest.fixture
def asked(tmp_path):
    """Ninety questions, of which every third can be answered by an adapter that offers reductions only."""
    given = "target: [0, 1], dtypes: [float32], grad: false"
    lines = [
        f"  - {{id: {name}{i}, logits: [[0.{i}, 0.2], [0.1, 0.4]], {given}{more}}}"
        for i in range(1, 31)
        for name, more in OPTIONS.items()
    ]
    file = tmp_path / "cases.yaml"
    file.write_text("\n".join(["loss: cross_entropy", "cases:", *lines, ""]))
    return questions(load_cases([file]))


def miniature(name):
    location = f"{MINIATURES}:{name}"
    adapter = load_class(location).name
    return parse_target(adapter, find_adapters([location]))


class Counting(Worker):
    """Counts what it is sent."""

    sent = 0

    def send(self, requests):
        Counting.sent += len(requests)
        super().send(requests)


@pytest.mark.parametrize("window", [1, 2, 1024])
def test_only_what_can_be_answered_is_asked_and_every_answer_is_in_its_place(asked, window, monkeypatch):
    monkeypatch.setattr(Counting, "sent", 0)
    target = miniature("OnlyTheMean")
    said = answers(target, asked, Limits(), lambda facts: None, window=window, new_worker=Counting)
    came = [pair for pairs in said for pair in pairs]
    assert [question for question, _ in came] == asked
    assert [given.status for _, given in came] == ["ok", "unsupported", "unsupported"] * 30
    assert {given.message for _, given in came if given.status == "unsupported"} == {
        "cross_entropy has no option weight",
        "cross_entropy has no option label_smoothing",
    }
    assert Counting.sent == 30


@pytest.mark.parametrize("window", [1, 2, 1024])
def test_a_process_that_dies_leaves_what_nobody_was_asked_in_its_place(asked, window):
    target = miniature("DiesEveryTenthTime")
    came = [pair for pairs in answers(target, asked, Limits(), lambda facts: None, window=window) for pair in pairs]
    assert [question for question, _ in came] == asked
    tenth = [*["ok", "unsupported", "unsupported"] * 9, "crash", "unsupported", "unsupported"]
    assert [given.status for _, given in came] == tenth * 3


def test_what_nobody_was_asked_is_no_sign_of_life(asked, monkeypatch):
    monkeypatch.setattr(conversation, "_FRUITLESS", 2)
    target = miniature("DiesAtOnce")
    came = [pair for pairs in answers(target, asked, Limits(), lambda facts: None) for pair in pairs]
    assert [question for question, _ in came] == asked
    given_up = ["not run"] * 84
    assert [given.status for _, given in came] == [*["crash", "unsupported", "unsupported"] * 2, *given_up]
    assert came[-1][1].message == "the worker died 2 times without an answer in between"


@pytest.mark.parametrize(
    "location",
    [
        "conformance.adapters.numpy_reference:NumPy",
        *(f"{MINIATURES}:{name}" for name in ("OnlySoftmax", "OnlyTheMean", "ComposesTheMean")),
    ],
)
def test_what_is_known_beforehand_is_what_the_adapter_would_have_said(location, shipped):
    adapter = load_class(location)("cpu", "eager")
    offers = offers_of(adapter, METHODS)
    signature = ("no method", "has no option", "offers")
    for question in shipped:
        known, reply = known_answer(question, offers), answer(adapter, request(question))
        said = reply.get("message", "")
        if known is None:
            assert not any(words in said for words in signature), question.key
        else:
            assert (known.status, known.message) == (reply["status"], said), question.key


def test_what_nothing_is_said_of_is_asked(shipped):
    assert {known_answer(question, {}) for question in shipped} == {None}


class Colour(enum.Enum):
    RED = 1


class Odd:
    """Methods that come to be in odd ways."""

    entropy = None
    sigmoid = "no method"

    def __init__(self):
        self.softmax = lambda logits, *, axis=-1: logits

    @property
    def log_softmax(self):
        raise RuntimeError("not now")

    def __getattr__(self, name):
        if name == "logsumexp":
            return lambda logits, *, axis=-1, keepdims: logits
        raise AttributeError(name)

    def kl_div(self, log_probs, target, *, reduction: Literal["sum", "mean"] = "mean", log_target: bool = False): ...
    def nll_loss(self, log_probs, target, *, reduction: Literal["sum", Colour.RED] = "sum"): ...


def test_offers_are_those_of_the_adapter_as_it_is_and_nothing_is_said_of_what_cannot_be_told():
    assert offers_of(Odd(), ["entropy", "sigmoid", "softmax", "log_softmax", "logsumexp", "kl_div", "nll_loss"]) == {
        "entropy": None,
        "softmax": {"axis": ()},
        "logsumexp": {"axis": (), "keepdims": ()},
        "kl_div": {"reduction": ("sum", "mean"), "log_target": ()},
    }
