"""Fixtures that several test files share, and the rule that CI skips nothing for want of a program."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from driftloop.settings import quiet_environment

quiet_environment()  # before anything imports torch

from worker_ports import keep_apart  # noqa: E402

keep_apart()  # before anything imports a free port

from snapshot_fixtures import UPDATE, snapshot  # noqa: E402

__all__ = ["snapshot"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(UPDATE, action="store_true", help="write tests/support/snapshots from the code as it stands, instead of comparing with them")


@pytest.fixture
def left_over() -> Callable[[], list[psutil.Process]]:
    """Our child processes that have come since the test began; the session's own servers run beside it."""
    before = set(psutil.Process().children(recursive=True))
    return lambda: [one for one in psutil.Process().children(recursive=True) if one not in before]


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A folder that we may not enter, and its parent neither; root works as nobody meanwhile."""
    folder = tmp_path / "locked" / "inner"
    folder.mkdir(parents=True)
    folder.parent.chmod(0)
    us = os.geteuid()
    try:
        if us == 0:
            os.seteuid(65534)
        yield folder
    finally:
        os.seteuid(us)
        folder.parent.chmod(0o700)


@pytest.fixture(autouse=True)
def heard() -> None:
    """Our loggers speak: MLflow's set-up of logging turns off all that it does not know, and its Lightning module sets the root's level to ERROR."""
    logging.root.setLevel(logging.WARNING)
    for name, logger in logging.root.manager.loggerDict.items():
        if name.partition(".")[0] in {"driftloop", "monitoring", "prediction_service"} and isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture(autouse=True, scope="module")
def own_experiment() -> Iterator[None]:
    """MLflow writes the experiment that a test chooses into the environment, where another file's test would find it in its own store."""
    before = os.environ.get("MLFLOW_EXPERIMENT_ID")
    yield
    if before is None:
        os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


MISSING = "is not installed"  # in the reason of every test that is skipped because a program is absent
NONE_MISSING = bool(os.environ.get("DRIFTLOOP_NONE_MISSING"))  # set by .ci/run where it has installed them all
skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and MISSING in str(report.longrepr):
        skipped.append(f"{report.nodeid}: {report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if NONE_MISSING and skipped:
        print("\nskipped though everything should be there:", *skipped, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
