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
    from conformance.settings import Settings

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_PLAN: pytest.StashKey[Plan] = pytest.StashKey()
_LIST_OPTIONS = {
    "target": "what to try, as ADAPTER[:DEVICE[:MODE]]; by default every installed framework on the CPU",
    "cases": "case file or folder to use instead of the shipped cases",
    "adapter": "an adapter of yours, as FILE.py:CLASS",
    "select": "only trials whose id, or whose case's id, matches this glob",
    "dtype": "only this dtype",
    "deviations": "a list of known deviations of your own",
    "python": "the interpreter of an adapter's framework, as ADAPTER=PATH",
}
_FLAGS = {
    "slow": "try the cases tagged slow too",
    "twice": "put every question twice and report results whose bits differ; by default on every device but the CPU",
    "no-twice": "put every question once",
    "no-cache": "keep no parsed cases and references between sessions, and use none",
    "in-process": "run the frameworks in the process of pytest, for a debugger: a crash ends everything",
    "update-deviations": "afterwards bring the lists of deviations up to date, as `conformance run` does; needs "
    "--conformance-results",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "conformance of cross-entropy losses")
    for name, meaning in _LIST_OPTIONS.items():
        group.addoption(f"--conformance-{name}", action="append", default=[], help=f"{meaning}; repeatable")
    for name, meaning in _FLAGS.items():
        dest = f"conformance_{name.removeprefix('no-').replace('-', '_')}"
        action = "store_false" if name.startswith("no-") else "store_true"
        group.addoption(f"--conformance-{name}", action=action, default=None, dest=dest, help=meaning)
    group.addoption("--conformance-shard", default="", help="only the part I of N parts, as I/N")
    group.addoption("--conformance-results", default=None, help="where to write the result file; by default nowhere")
    group.addoption("--conformance-timeout", type=_positive, help="seconds that one trial may take")
    group.addoption("--conformance-memory", type=_number, help="GiB of data that a worker may hold, 0 for no limit")
    group.addoption("--conformance-restarts", type=_count, help="how often a worker that died is started anew")


def _number(text: str) -> float:
    number = float(text)
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return number


def _positive(text: str) -> float:
    if not _number(text) > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return float(text)


def _count(text: str) -> int:
    return int(_number(str(int(text))))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Controller(config), "conformance-controller")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With -n, keep the trials of a target in one process, so that each framework is started once."""
    if config.getoption("dist") in ("load", "loadgroup") and _may_collect_ours(config):
        from conformance.scheduling import ByTarget  # where there is no pytest-xdist, none asks

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
    session = _session(metafunc.config)
    if session.plan.nothing:  # pytest would skip it, and call that a success
        raise pytest.Collector.CollectError(f"conformance: {session.plan.nothing}")
    items = session.items()
    metafunc.parametrize("conformance_trial", [pytest.param(item, id=item.id) for item in items])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Hang the record of a trial on its report, which also crosses from an xdist worker to the controller."""
    report = (yield).get_result()
    trial = _trial(item)
    if report.when == "call" and trial is not None and trial.record is not None:
        report.conformance = trial.lines()


class _Controller:
    """The one process that sees all reports: it writes the result file and has the last word on the lists."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._recorder: Recorder | None = None
        self._plan: Plan | None = None
        self._trials = False
        self._updated: list[str] = []

    def pytest_sessionstart(self) -> None:
        path = self._config.getoption("--conformance-results")
        if not path and self._config.getoption("--conformance-update-deviations"):
            raise pytest.UsageError("--conformance-update-deviations: name a file with --conformance-results")
        if path and not self._config.option.collectonly:  # what is only listed is no run
            from conformance.errors import ConformanceError  # inert until asked for
            from conformance.pytest_session import Recorder

            try:
                self._recorder = Recorder(_plan(self._config), Path(path))
            except ConformanceError as error:
                raise pytest.UsageError(f"conformance: {error}") from error

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._recorder is not None:
            self._recorder.start(sum(_trial(item) is not None for item in session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        if self._recorder is not None:
            from conformance.scheduling import target_of

            self._recorder.start(sum(target_of(nodeid) is not None for nodeid in ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "conformance"):
            self._trials = True
            if self._recorder is not None:
                self._recorder.write(report.conformance)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._trials:
            self._plan = _plan(self._config)
            if self._plan.stale_entries and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._recorder is not None:
            self._recorder.close(int(session.exitstatus))
            if self._trials and self._config.getoption("conformance_update_deviations"):
                self._update_deviations(session)

    def _update_deviations(self, session: pytest.Session) -> None:
        from conformance.errors import ConformanceError
        from conformance.relist import update_deviations
        from conformance.results.file import read_results

        try:
            results = read_results(Path(self._config.getoption("--conformance-results")))
            self._updated = list(update_deviations(_plan(self._config), results))
        except ConformanceError as error:
            self._updated = str(error).splitlines()
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._plan is None:
            return
        for name, why in self._plan.unavailable.items():
            terminalreporter.write_line(f"conformance: {name} not tried, {why}")
        for entry in self._plan.stale_entries:
            terminalreporter.write_line(f"conformance: stale deviation {entry.where} matches no trial", red=True)
        for said in self._plan.overdue():
            terminalreporter.write_line(f"conformance: deviation to look at again: {said}", yellow=True)
        for said in self._updated:
            terminalreporter.write_line(f"conformance: {said}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    ours = session.config.stash.get(_SESSION, None)
    if ours is not None:
        ours.close()


def _trial(item: pytest.Item) -> Item | None:
    """What a test item tries, when it is one of ours."""
    callspec = getattr(item, "callspec", None)
    return callspec and callspec.params.get("conformance_trial")


def _plan(config: pytest.Config) -> Plan:
    """The plan of the session, made once in each process."""
    from conformance.plan import plan_of  # inert until a conformance test is collected
    from conformance.targets.tried import check_tried, choose_targets

    if _PLAN not in config.stash:
        settings = _settings(config)
        options = settings.options(config.getoption("--conformance-shard"))
        tried = choose_targets(options.targets, options.adapter, options.python)
        check_tried(tried, config.getoption("--conformance-adapter"))
        config.stash[_PLAN] = plan_of(options, cached=settings.cache, tried=tried)
    return config.stash[_PLAN]


def _settings(config: pytest.Config) -> Settings:
    """What [tool.conformance] says, and in its place what the options say."""
    from conformance.settings import find_settings, interpreters

    names = (*_LIST_OPTIONS, "slow", "timeout", "memory", "restarts", "twice", "cache")
    given = {name: config.getoption(f"conformance_{name}") for name in names}
    given |= {"targets": given.pop("target"), "python": interpreters(given["python"])}
    return find_settings(Path.cwd()).replaced(**given)


def _session(config: pytest.Config) -> Session:
    from conformance.errors import ConformanceError  # inert until a conformance test is collected
    from conformance.pytest_session import Session
    from conformance.targets.process import Limits

    if _SESSION not in config.stash:
        try:
            settings = _settings(config)
            limits = Limits(settings.timeout, settings.memory, settings.restarts, settings.twice)
            config.stash[_SESSION] = Session(_plan(config), limits, bool(config.getoption("conformance_in_process")))
        except ConformanceError as error:
            raise pytest.Collector.CollectError(f"conformance: {error}") from error
    return config.stash[_SESSION]
