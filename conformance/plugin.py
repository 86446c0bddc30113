"""pytest plugin: the same trials and verdicts as `conformance run`, one test item each, and the same result file.

Inert until a conformance test is collected: nothing of the suite or of any framework is imported before that.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.plan import Plan
    from conformance.pytest_session import Item, Recorder, Session

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_LIST_OPTIONS = {
    "target": "what to try, as ADAPTER[:DEVICE[:MODE]]; by default every installed framework on the CPU",
    "cases": "case file or folder to use instead of the shipped cases",
    "adapter": "an adapter of yours, as FILE.py:CLASS",
    "select": "only trials whose id, or whose case's id, matches this glob",
    "dtype": "only this dtype",
    "deviations": "a list of known deviations of your own",
    "python": "the interpreter of an adapter's framework, as ADAPTER=PATH",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "conformance of cross-entropy losses")
    for name, meaning in _LIST_OPTIONS.items():
        group.addoption(f"--conformance-{name}", action="append", default=[], help=f"{meaning}; repeatable")
    group.addoption("--conformance-shard", default="", help="only the part I of N parts, as I/N")
    group.addoption("--conformance-results", default=None, help="where to write the result file")
    group.addoption("--conformance-slow", action="store_true", help="try the cases tagged slow too")
    group.addoption("--conformance-timeout", type=_seconds, default=60.0, help="seconds that one trial may take")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return seconds


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Controller(config), "conformance-controller")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With -n, keep the trials of a target in one process, so that each framework is started once."""
    if config.getoption("dist") in ("load", "loadgroup") and _may_collect_ours(config):
        from conformance.scheduling import ByTarget  # noqa: PLC0415 - where there is no pytest-xdist, none asks

        return ByTarget(config, log)
    return None


def _may_collect_ours(config: pytest.Config) -> bool:
    """Whether the command line names the suite, a part of it or a folder that it is in."""
    here = Path(__file__).parent
    for argument in config.args:
        name = argument.partition("::")[0]
        path = Path(name).resolve()
        above = here.is_relative_to(path) and "site-packages" not in here.relative_to(path).parts
        if name == "conformance" or path.is_relative_to(here) or above:
            return True
    return False


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "conformance_trial" not in metafunc.fixturenames:
        return
    items = _session(metafunc.config).items()
    metafunc.parametrize("conformance_trial", [pytest.param(item, id=item.id) for item in items])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Hang the record of a trial on its report, which also crosses from an xdist worker to the controller."""
    report = (yield).get_result()
    trial: Item | None = getattr(item, "callspec", None) and item.callspec.params.get("conformance_trial")  # type: ignore[attr-defined]
    if report.when == "call" and trial is not None and trial.record is not None:
        report.conformance = trial.lines()


class _Controller:
    """The one process that sees all reports: it writes the result file and has the last word on the lists."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._recorder: Recorder | None = None
        self._plan: Plan | None = None
        self._trials = False

    def pytest_sessionstart(self) -> None:
        path = self._config.getoption("--conformance-results")
        if path:
            from conformance.errors import ConformanceError  # noqa: PLC0415 - inert until asked for
            from conformance.pytest_session import Recorder  # noqa: PLC0415

            try:
                self._recorder = Recorder(_options(self._config), Path(path))
            except ConformanceError as error:
                raise pytest.UsageError(f"conformance: {error}") from error

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "conformance"):
            self._trials = True
            if self._recorder is not None:
                self._recorder.write(report.conformance)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._trials:
            from conformance.pytest_session import plan_from  # noqa: PLC0415

            self._plan = plan_from(_options(self._config))
            if self._plan.stale_entries() and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._recorder is not None:
            self._recorder.close(int(session.exitstatus))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._plan is None:
            return
        for name, why in self._plan.unavailable.items():
            terminalreporter.write_line(f"conformance: {name} not tried, {why}")
        for entry in self._plan.stale_entries():
            terminalreporter.write_line(f"conformance: stale deviation {entry.where} matches no trial", red=True)
        for said in self._plan.overdue():
            terminalreporter.write_line(f"conformance: deviation to look at again: {said}", yellow=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    ours = session.config.stash.get(_SESSION, None)
    if ours is not None:
        ours.close()


def _options(config: pytest.Config) -> dict[str, Any]:
    lists: dict[str, Any] = {name: list(config.getoption(f"--conformance-{name}")) for name in _LIST_OPTIONS}
    return {**lists, **{name: config.getoption(f"--conformance-{name}") for name in ("shard", "slow")}}


def _session(config: pytest.Config) -> Session:
    from conformance.errors import ConformanceError  # noqa: PLC0415 - inert until a conformance test is collected
    from conformance.pytest_session import Session  # noqa: PLC0415

    if _SESSION not in config.stash:
        try:
            config.stash[_SESSION] = Session(_options(config), config.getoption("--conformance-timeout"))
        except ConformanceError as error:
            raise pytest.Collector.CollectError(f"conformance: {error}") from error
    return config.stash[_SESSION]
