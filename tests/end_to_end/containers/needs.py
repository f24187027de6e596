"""What a machine must have to run the containers; it is asked before anything is started."""

from __future__ import annotations

import os
import shutil
import socket

PROGRAMS = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "docker-compose": "docker-compose",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "ip": "iproute2",
}
PORTS = (4200, 5000, 8000, 8010, 9090, 9093)  # that docker-compose.yaml publishes, without Grafana's
ROOM_GB = 15


def missing(folder: str) -> str:
    """Why the containers cannot be run here, with `folder` on a disk; "" when they can."""
    if not shutil.which("apt-get"):
        return "this is no Debian: the stand-ins' base comes from its packages"
    if os.geteuid() != 0:
        return "a container engine of our own needs root"
    packages = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if packages:
        return f"not installed: apt-get install {' '.join(packages)}"
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < ROOM_GB:
        return f"{folder} has room for {free_gb:.0f} GB, {ROOM_GB} are needed: set TMPDIR to another disk"
    taken = [str(port) for port in PORTS if _answers(port)]
    return f"port {', '.join(taken)} on 127.0.0.1 is taken: stop what listens there" if taken else ""


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
