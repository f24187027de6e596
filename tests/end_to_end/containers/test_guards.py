"""What the compose file promises about privileges, networks and passwords, seen inside the running containers."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.containers import images
from tests.end_to_end.containers.images import SERVICES
from tests.end_to_end.containers.stack import MLFLOW, PREFECT, RUN, Stack

EVERY = pytest.mark.parametrize("service", RUN)
INSIDE = [service for service in RUN if SERVICES[service]["networks"] == ["inside"]]
OURS = [service for service in RUN if "build" in SERVICES[service]]
AWAY = "198.51.100.1"  # of a network for documentation
CONNECT = """
import socket
try:
    socket.create_connection((%r, %d), timeout=3)
    print("connected")
except OSError as exc:
    print(type(exc).__name__, exc)
"""


@EVERY
def test_no_process_has_a_privilege_or_can_get_one(stack: Stack, service: str) -> None:
    pids = stack.processes(service)
    assert pids
    for pid in pids:
        status = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
        assert "0" not in status["Uid"].split() + status["Gid"].split(), status["Name"]
        assert status["NoNewPrivs"] == "1"
        for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[which], 16) == 0, which


@EVERY
def test_nothing_but_its_volumes_and_tmp_can_be_written(stack: Stack, service: str) -> None:
    for folder in ("/", "/etc", "/usr/bin", "/opt", "/app" if service in OURS else "/var"):
        said = stack.inside(service, "sh", "-c", f"touch {folder}/probe 2>&1; echo $?").split()
        assert said[-1] != "0", folder
    root = stack.inside(service, "sh", "-c", "grep ' / ' /proc/mounts")
    assert re.search(r" ro[, ]", root)
    assert stack.inside(service, "sh", "-c", "touch /tmp/probe && rm /tmp/probe && echo fine").strip() == "fine"


@pytest.mark.parametrize("service", INSIDE)
def test_a_part_of_the_internal_network_has_no_way_out(stack: Stack, service: str) -> None:
    outside = mirror()
    assert "connected" in stack.python("monitor", CONNECT % outside)  # which is on both networks
    assert "connected" not in stack.python(service, CONNECT % outside)
    assert not stack.inspect(service)["HostConfig"]["PortBindings"]


def mirror() -> tuple[str, int]:
    """Address and port of another machine that answers: the one that this machine's Debian packages come from."""
    found = urlsplit(images.sources()[0][0])
    return socket.gethostbyname(str(found.hostname)), found.port or (443 if found.scheme == "https" else 80)


def test_what_faces_the_outside_is_published_on_the_loopback_only(stack: Stack) -> None:
    bound = [one for service in RUN for ports in (stack.inspect(service)["NetworkSettings"]["Ports"] or {}).values() for one in ports or []]
    assert {one["HostIp"] for one in bound} == {"127.0.0.1"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((AWAY, 80))
        address = probe.getsockname()[0]
    for one in bound:
        with socket.socket() as probe:
            probe.settimeout(3)
            assert probe.connect_ex((address, int(one["HostPort"]))) != 0


def test_the_model_api_is_refused_to_every_other_container(stack: Stack) -> None:
    assert "connected" in stack.python("monitor", CONNECT % ("torchserve", 8080))
    assert "refused" in stack.python("monitor", CONNECT % ("torchserve", 8081))


def test_mongodb_mlflow_and_prefect_refuse_who_has_no_password(stack: Stack) -> None:
    find = "import pymongo; pymongo.MongoClient(%r, serverSelectionTimeoutMS=5000).driftloop.predictions.find_one(); print('read')"
    for login in ("", "driftloop:wrong@"):
        with pytest.raises(RuntimeError, match="uthenticat"):
            stack.python("monitor", find % f"mongodb://{login}mongodb:27017/driftloop?authSource=admin&directConnection=true")
    assert stack.python("monitor", f"import os; {find % 'URI'}".replace("'URI'", "os.environ['MONGODB_URI']")) == "read"
    assert stack.http.get(MLFLOW, timeout=30).status_code == 401
    for auth in (None, ("driftloop", "wrong")):
        assert stack.http.post(f"{MLFLOW}/api/2.0/mlflow/experiments/search", json={"max_results": 1}, auth=auth, timeout=30).status_code == 401
        assert stack.http.post(f"{PREFECT}/api/deployments/filter", json={}, auth=auth, timeout=30).status_code == 401


def test_no_password_is_on_a_command_line_in_a_log_or_in_a_run(stack: Stack) -> None:
    secrets = list(stack.secrets.values())
    lines = [Path(f"/proc/{pid}/cmdline").read_text() for service in RUN for pid in stack.processes(service)]
    assert len(lines) > 2 * len(RUN)
    assert not [line for line in lines if any(secret in line for secret in secrets) or "mongodb://" in line]
    assert not [service for service in RUN if any(secret in stack.logs(service) for secret in secrets)]
    login = ("driftloop", stack.secrets["MLFLOW_PASSWORD"])
    known = stack.post(f"{MLFLOW}/api/2.0/mlflow/experiments/search", {"max_results": 100}, auth=login)["experiments"]
    ids = [one["experiment_id"] for one in known]
    runs = stack.post(f"{MLFLOW}/api/2.0/mlflow/runs/search", {"experiment_ids": ids, "max_results": 1000}, auth=login)["runs"]
    assert len(runs) > 3
    assert not [run["info"]["run_id"] for run in runs if "mongodb://" in str(run) or any(secret in str(run) for secret in secrets)]
