"""The containers, started once for all tests here, which continue from each other's state in the order of files and lines."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.containers import images, needs
from tests.end_to_end.containers.engine import engine
from tests.end_to_end.containers.stack import RUN, Stack
from tests.end_to_end.containers.traffic import Traffic

LOG = logging.getLogger("containers")
WANTED = bool(os.environ.get("DRIFTLOOP_CONTAINERS"))  # set by `make containers-test`: no other command starts an engine
collect_ignore_glob = [] if WANTED else ["*.py"]


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """Say in one line when this machine cannot run containers."""
    reason = needs.missing(tempfile.gettempdir()) if WANTED and not config.option.collectonly else ""
    if reason:
        pytest.exit(f"containers cannot be run here: {reason}", returncode=1 if os.environ.get("DRIFTLOOP_NONE_MISSING") else 0)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Every service of docker-compose.yaml but Grafana, healthy; afterwards the machine is as it was before."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidied up after, as after Ctrl-C
    kept = os.environ.get("DRIFTLOOP_CONTAINERS_FOLDER", "")  # for whoever works on this: images and layers stay there
    folder = Path(kept or tempfile.mkdtemp(prefix="driftloop-containers-"))
    with engine(folder, keep=bool(kept)) as running:
        images.build(running, folder)
        one = Stack(running, folder)
        try:
            began = time.monotonic()
            one.up()
            LOG.info("%d services are healthy, %.0f s after docker-compose up", len(RUN), time.monotonic() - began)
            yield one
        finally:
            for service in RUN:
                (folder / f"{service}.log").write_text(one.logs(service), encoding="utf-8")
            one.compose("down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="session")
def traffic(stack: Stack) -> Traffic:
    return Traffic(stack)


@pytest.fixture(autouse=True)
def _timed(request: pytest.FixtureRequest, stack: Stack) -> Iterator[None]:
    began = time.monotonic()
    yield
    LOG.info("%s: %.0f s", request.node.name, time.monotonic() - began)
