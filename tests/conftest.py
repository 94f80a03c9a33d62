"""Rules for every test: no blocked event loop, no skipped peer where all peers must be there."""

import os
import re

import pytest
from tests import blocking

# Not MEDIARY_…: the server refuses such variables that it does not know.
PEERS_REQUIRED = os.environ.get("REQUIRE_PEERS", "") not in ("", "0")

# What may be skipped all the same: what a machine does not allow, and, in the suites for plugins (`mediary.testing`),
# an ability that an implementation does not have.
EXCUSES = re.compile(r"mount|in memory")
SUITES = "mediary/testing/"

_skipped = pytest.StashKey[list[str]]()


def _missing_peer(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """The test and the reason, where a skip is one for want of a peer."""
    if not report.skipped or hasattr(report, "wasxfail") or not isinstance(report.longrepr, tuple):
        return None
    path, _, reason = report.longrepr
    return None if SUITES in str(path) or EXCUSES.search(reason) else f"{report.nodeid}: {reason}"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_skipped] = []
    blocking.watch()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """A test in which Mediary held the event loop fails, even when all else is well."""
    blocking.found.clear()
    outcome = yield
    marker = item.get_closest_marker("may_block")
    allowed = marker.args[0] if marker else blocking.LIMIT
    blocks = [block for block in blocking.found if block.seconds > allowed]
    if blocks:
        pytest.fail("the event loop was blocked:\n" + "\n".join(f"  {block}" for block in blocks), pytrace=False)
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if missing := _missing_peer(report):
        item.config.stash[_skipped].append(missing)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    if missing := _missing_peer(report):
        collector.config.stash[_skipped].append(missing)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if PEERS_REQUIRED and session.config.stash[_skipped] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if PEERS_REQUIRED and config.stash[_skipped]:
        terminalreporter.section("REQUIRE_PEERS is set: to skip for want of a peer is to fail", sep="!")
        for missing in config.stash[_skipped]:
            terminalreporter.line(missing)
