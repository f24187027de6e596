"""A container engine of our own in a folder, and an end that leaves nothing behind: no process, mount, network device or firewall rule."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

LOG = logging.getLogger("containers")
START_S, STOP_S = 60.0, 120.0
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")  # which the engine switches on
TABLES = {"filter": ("INPUT", "FORWARD", "OUTPUT"), "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")}
DEVICES = Path("/sys/class/net")


class Engine:
    """dockerd with its data in `folder`; `start` and `stop` may be called again and again: containers that should run start with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix://{folder / 'docker.sock'}"
        self.environment = {**os.environ, "DOCKER_HOST": self.address, "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pid").unlink(missing_ok=True)
        flags = ["--data-root", self.folder / "data", "--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid", "-H", self.address]
        network = ["--bridge", "none", "--default-address-pool", "base=198.18.64.0/18,size=24"]
        with (self.folder / "engine.log").open("ab") as out:
            self._process = subprocess.Popen(["dockerd", *flags, *network], stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + START_S
        while subprocess.run(["docker", "version"], env=self.environment, capture_output=True, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"dockerd does not start: {(self.folder / 'engine.log').read_text(errors='replace')[-800:]}")
            time.sleep(0.5)

    def stop(self) -> None:
        """End the engine and all that it runs; calling it again does nothing."""
        if self._process is None:
            return
        for number, wait_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(wait_s)
                break
        self._process = None

    def run(self, *command: str | os.PathLike[str], timeout_s: float = 120.0, check: bool = True, log: Path | None = None) -> str:
        """What a command (docker, docker-compose) prints when it talks to this engine; `log` takes its stderr, or everything of a long one.

        Raises:
            RuntimeError: it failed, with the end of what it said.
        """
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False)
        if log:
            with log.open("a", encoding="utf-8") as out:
                out.write(f"$ {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))[:200]}: exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-1500:]}")
        return done.stdout


@contextlib.contextmanager
def engine(folder: Path, *, keep: bool) -> Iterator[Engine]:
    """An engine that runs, and after it the machine as it was before; `keep` leaves the folder with images and layers."""
    devices, forward, rules = {one.name for one in DEVICES.iterdir()}, FORWARD.read_text(), _rules()
    made = Engine(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        unmount(folder)
        for device in {one.name for one in DEVICES.iterdir()} - devices:
            if device.startswith(("br-", "veth", "docker")):
                subprocess.run(["ip", "link", "delete", device], capture_output=True, check=False)
        for table, chains in TABLES.items():  # one that was not there before is not among the saved rules, and is emptied
            empty = "".join(f":{chain} ACCEPT [0:0]\n" for chain in chains)
            if f"*{table}\n" in _rules() and f"*{table}\n" not in rules:
                rules += f"*{table}\n{empty}COMMIT\n"
        subprocess.run(["iptables-restore"], input=rules, text=True, capture_output=True, check=False)
        FORWARD.write_text(forward)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        LOG.info("the engine has ended; mounts left: %d, firewall as before: %s", len(_mounts(folder)), "yes" if _plain(_rules()) == _plain(rules) else "no")


def _rules() -> str:
    return subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout


def _plain(rules: str) -> Sequence[str]:
    """Without comments, counters, and the empty tables that a first look makes."""
    return [line.split(" [")[0] for line in rules.splitlines() if line.startswith("-") or (line.startswith(":") and " - " in line)]


def _mounts(folder: Path) -> list[str]:
    return [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[1].startswith(f"{folder}/")]


def unmount(folder: Path) -> None:
    """Unmount all that is mounted under a folder, so that removing it reaches nothing else."""
    for mount in reversed(_mounts(folder)):
        subprocess.run(["umount", "-l", mount], capture_output=True, check=False)
