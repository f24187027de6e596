"""Free ports of a pytest worker's own, so that two workers never choose the same one before its server listens."""

from __future__ import annotations

import os
import random
from itertools import cycle, islice

from driftloop.system import ports

LOWEST, HIGHEST = 20_000, 32_768  # below those that Linux gives to connections


def keep_apart() -> None:
    """Let `free_ports` choose among this worker's ports; call it before anything imports that function. No effect without pytest-xdist."""
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if not worker:
        return
    share = (HIGHEST - LOWEST) // workers  # side by side: TorchServe's are neighbours
    own = range(LOWEST, HIGHEST)[int(worker.removeprefix("gw")) * share :][:share]
    following = islice(cycle(own), random.randrange(len(own)), None)  # another pytest on this machine begins elsewhere

    def free_ports(count: int = 1) -> list[int]:
        return list(islice((port for port in following if not ports.port_fault(port)), count))

    ports.free_ports = free_ports
