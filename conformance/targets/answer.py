"""A question as a worker gets it, and its answer: plain values only, and nothing of what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.casefiles.case import Case, Question
from conformance.losses import Array
from conformance.targets.contract import Offer, lacks
from conformance.targets.wire import pack, unpack
from conformance.targets.worker import request_for


@dataclass
class Answer:
    """What came back for a question: `status` is ok, unsupported, error, crash, timeout or not run.

    `device` is where the framework says that it computed, empty where its adapter cannot say. When the question was
    put twice, `differing` counts the elements whose bits differ, and `again` is the second result if there are any.
    """

    status: str
    array: Array | None = None
    message: str = ""
    detail: str = ""
    changed: tuple[str, ...] = ()
    composed: bool = False
    seconds: float = 0.0
    device: str = ""
    differing: int | None = None
    again: Array | None = None


def request(question: Question) -> dict[str, Any]:
    """A question as an adapter is asked it."""
    return request_for(given(question.case, question.dtype), question.output)


def given(case: Case, dtype: str) -> dict[str, Any]:
    """What a worker needs to know of a case in a dtype: plain values, and an upstream gradient if there is one."""
    question = Question(case, dtype, "gradient" if "gradient" in case.outputs else "value")
    return {
        "loss": case.loss.name,
        "bare": bool(case.convention and case.convention.bare),
        "wrt": case.wrt,
        "inputs": {name: pack(x) for name, x in question.inputs.items()},
        "layout": dict(case.layout),
        "options": {name: x for name, x in question.options.items() if not isinstance(x, np.ndarray)},
        "array_options": {name: pack(x) for name, x in question.options.items() if isinstance(x, np.ndarray)},
        "cotangent": None if question.cotangent is None else pack(question.cotangent),
    }


def known_answer(question: Question, offers: Mapping[str, Offer | None]) -> Answer | None:
    """The answer that an adapter's `offers` settle: what its signatures lack, it need not be asked for."""
    case, loss = question.case, question.case.loss.name
    if case.convention and case.convention.bare:
        return None
    lacking = ""
    if question.output == "gradient" and "gradient" in offers:
        lacking = lacks("gradient", offers["gradient"], {})
    if not lacking and loss in offers:
        options = case.options
        if len(options) > 1:  # a worker looks at arrays last
            options = dict(sorted(options.items(), key=lambda option: isinstance(option[1], np.ndarray)))
        lacking = lacks(loss, offers[loss], options)
    return Answer("unsupported", message=lacking) if lacking else None


def from_reply(reply: dict[str, Any]) -> Answer:
    """The answer that a worker's reply holds."""
    return Answer(
        status=reply["status"],
        array=unpack(reply["array"]) if "array" in reply else None,
        message=reply.get("message", ""),
        detail=reply.get("traceback", ""),
        changed=tuple(reply.get("changed", ())),
        composed=reply.get("composed", False),
        seconds=reply["seconds"],
        device=reply.get("device", ""),
        differing=reply.get("differing"),
        again=unpack(reply["again"]) if "again" in reply else None,
    )
