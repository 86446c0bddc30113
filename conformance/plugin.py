"""pytest plugin: the same trials and verdicts as `conformance run`, one test item each, and the same result file.

Inert until a conformance test is collected: nothing of the suite or of any framework is imported before that.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.pytest_session import Item, Session

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_RECORDER: pytest.StashKey[Any] = pytest.StashKey()
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
    group.addoption("--conformance-results", default=None, help="where to write the result file")
    group.addoption("--conformance-timeout", type=float, default=60.0, help="seconds that one trial may take")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "xdist_group(name): trials of one target stay in one process")
    # With -n, keep the trials of a target together, so that each framework is imported once.
    if getattr(config.option, "dist", "no") == "load" and _only_ours(config):
        config.option.dist = "loadgroup"


def _only_ours(config: pytest.Config) -> bool:
    here = Path(__file__).parent
    named = [argument.partition("::")[0] for argument in config.args]
    return bool(named) and all(name == "conformance" or Path(name).resolve().is_relative_to(here) for name in named)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "conformance_trial" not in metafunc.fixturenames:
        return
    items = _session(metafunc.config).items()
    parameters = [pytest.param(item, id=item.id, marks=pytest.mark.xdist_group(item.group)) for item in items]
    metafunc.parametrize("conformance_trial", parameters)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Hang the record of a trial on its report, which also crosses from an xdist worker to the controller."""
    report = (yield).get_result()
    trial: Item | None = getattr(item, "callspec", None) and item.callspec.params.get("conformance_trial")  # type: ignore[attr-defined]
    if report.when == "call" and trial is not None and trial.record is not None:
        report.conformance = trial.lines()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    recorder = _current_recorder
    if recorder is not None and hasattr(report, "conformance"):
        recorder.write(report.conformance)


_current_recorder: Any = None
"""pytest gives `pytest_runtest_logreport` no config, so the recorder of the running session is kept here."""


def pytest_sessionstart(session: pytest.Session) -> None:
    global _current_recorder  # noqa: PLW0603 - see above
    path = session.config.getoption("--conformance-results")
    if path and not hasattr(session.config, "workerinput"):
        from conformance.errors import ConformanceError  # noqa: PLC0415 - inert until asked for
        from conformance.pytest_session import Recorder  # noqa: PLC0415

        try:
            _current_recorder = Recorder(_options(session.config), Path(path))
        except ConformanceError as error:
            raise pytest.UsageError(f"conformance: {error}") from error


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    global _current_recorder  # noqa: PLW0603 - see above
    ours = session.config.stash.get(_SESSION, None)
    if ours is not None:
        ours.close()
    if _current_recorder is not None:
        _current_recorder.close(int(exitstatus))
        _current_recorder = None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    session = config.stash.get(_SESSION, None)
    if session is None:
        return
    for name, why in session.plan.unavailable.items():
        terminalreporter.write_line(f"conformance: {name} not tried, {why}")
    for entry in session.plan.stale_entries():
        terminalreporter.write_line(f"conformance: stale deviation {entry.where} matches no trial", red=True)


def _options(config: pytest.Config) -> dict[str, Any]:
    return {name: list(config.getoption(f"--conformance-{name}")) for name in _LIST_OPTIONS}


def _session(config: pytest.Config) -> Session:
    from conformance.errors import ConformanceError  # noqa: PLC0415 - inert until a conformance test is collected
    from conformance.pytest_session import Session  # noqa: PLC0415

    if _SESSION not in config.stash:
        try:
            config.stash[_SESSION] = Session(_options(config), config.getoption("--conformance-timeout"))
        except ConformanceError as error:
            raise pytest.Collector.CollectError(f"conformance: {error}") from error
    return config.stash[_SESSION]
