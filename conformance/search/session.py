"""One target that is asked one question after another; a worker that has died is started anew."""

from __future__ import annotations

from types import TracebackType

from conformance.casefiles.case import Question
from conformance.judge.reference import reference
from conformance.judge.verdict import Judgement, judge
from conformance.search.settled import open_point, overflows_on_the_way, settled_by
from conformance.targets.names import Target
from conformance.targets.process import Answer, StartError, Worker


class Session:
    """Asks a target. Use as a context manager; `facts` is what the adapter said of its environment."""

    def __init__(self, target: Target, seconds: float) -> None:
        """Raises `StartError` when the framework does not start."""
        self.target = target
        self._seconds = seconds
        self._worker: Worker | None = Worker(target)
        self.facts = {**self._worker.environment, "device": target.device, "mode": target.mode}
        self.asked = 0

    def ask(self, question: Question) -> Answer:
        """The answer, whatever the framework does."""
        self.asked += 1
        if self._worker is None:
            self._worker = Worker(self.target)
        try:
            self._worker.send(question)
            return self._worker.receive(self._seconds)
        except TimeoutError:
            answer = Answer("timeout", message=f"no answer within {self._seconds:g} s")
            self._worker.kill()
        except (EOFError, OSError) as error:
            answer = Answer("crash", message=f"the process died {error}".strip(), detail=self._worker.last_words())
        self._worker.close()
        self._worker = None
        return answer

    def judge(self, question: Question) -> Judgement | None:
        """The verdict on the target's answer; nothing where there is no one right answer."""
        if open_point(question) or overflows_on_the_way(question):
            return None
        expected = reference(question)
        if not settled_by(question, expected):
            return None
        return judge(question, self.ask(question), expected, None)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._worker is not None:
            self._worker.close()


__all__ = ["Session", "StartError"]
