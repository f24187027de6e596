"""Every service is restarted and killed in turn, and TorchServe's parts, and the engine itself: all heals by itself."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

import pytest

from tests.end_to_end.containers.stack import RUN, Stack, wait
from tests.end_to_end.containers.test_at_work import JOBS, measured
from tests.end_to_end.containers.traffic import Traffic

LOG = logging.getLogger("containers")
CHAMPION = "2"  # since the drift


def healed(stack: Stack, traffic: Traffic, *, began: float, what: str) -> None:
    """Return when all is well again: the champion answers, its prediction and label are logged, Prometheus sees every target."""
    stack.wait_well()
    answer = wait(traffic.arrives, "the model's own answer")
    served_s = time.monotonic() - began
    assert answer["version"] == CHAMPION
    wait(lambda: "label" in (traffic.logged(answer["id"]) or {}), "the prediction and its label in the log")
    wait(lambda: stack.targets() == dict.fromkeys(JOBS, "up"), "every target to be up")
    LOG.info("%s: the champion answers after %.0f s, all is well after %.0f s", what, served_s, time.monotonic() - began)


def kill(stack: Stack, service: str) -> None:
    """SIGKILL of a container's first process, as the kernel does it when memory runs out: `docker kill` would count as a person's wish."""
    before = stack.inspect(service)
    os.kill(before["State"]["Pid"], signal.SIGKILL)
    wait(lambda: stack.inspect(service)["RestartCount"] > before["RestartCount"], f"{service} to be started again", patience_s=90)


def process_of(stack: Stack, service: str, *program: str) -> int:
    """The process id, on this machine, of the first of a service's processes that runs a program: java, or python with its first words."""
    for pid in stack.processes(service):
        first, *words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if [Path(first).name, *words][: len(program)] == list(program):
            return pid
    raise AssertionError(f"{' '.join(program)} does not run in {service}")


@pytest.mark.parametrize("service", RUN)
def test_a_restarted_service_heals(stack: Stack, traffic: Traffic, service: str) -> None:
    began = time.monotonic()
    stack.compose("restart", service)
    healed(stack, traffic, began=began, what=f"restart of {service}")


@pytest.mark.parametrize("service", RUN)
def test_a_killed_container_heals(stack: Stack, traffic: Traffic, service: str) -> None:
    began = time.monotonic()
    kill(stack, service)
    healed(stack, traffic, began=began, what=f"SIGKILL of {service}")


def test_the_batch_service_has_outlived_the_restarts_of_what_it_needs(stack: Stack) -> None:
    measured(stack, "1998-04")


def test_a_killed_torchserve_comes_back_with_the_champion(stack: Stack, traffic: Traffic) -> None:
    began = time.monotonic()
    os.kill(process_of(stack, "torchserve", "java"), signal.SIGKILL)
    wait(lambda: not traffic.arrives(), "the fallback's answer", patience_s=60)
    healed(stack, traffic, began=began, what="SIGKILL of TorchServe's server process")


def test_a_killed_hook_is_started_again_while_the_champion_serves(stack: Stack, traffic: Traffic) -> None:
    began, before = time.monotonic(), stack.inspect("torchserve")["RestartCount"]
    os.kill(process_of(stack, "torchserve", "python", "-m", "monitoring", "hook"), signal.SIGKILL)
    for _ in range(5):
        assert traffic.arrives()
        time.sleep(1)
    healed(stack, traffic, began=began, what="SIGKILL of the hook")
    assert stack.inspect("torchserve")["RestartCount"] == before


def test_all_come_back_with_the_engine_in_whatever_order(stack: Stack, traffic: Traffic) -> None:
    """As after a restart of the machine: dependencies in the compose file do not count then."""
    began = time.monotonic()
    stack.engine.stop()
    stack.engine.start()
    healed(stack, traffic, began=began, what="restart of the engine")
