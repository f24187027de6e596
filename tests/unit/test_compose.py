"""The compose file: accepted by docker-compose, guarded, on the loopback, with commands that our programs take. `make containers-test` runs it."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftloop.settings import ROOT
from monitoring.__main__ import COMMANDS

TEXT = (ROOT / "docker-compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
PARTS = {"mongodb", "torchserve", "prediction-service", "shipper", "monitor", "batch", "prometheus", "alertmanager", "grafana", "mlflow", "prefect"}
SECRETS = {"MONGODB_PASSWORD", "MLFLOW_PASSWORD", "MLFLOW_SECRET_KEY", "PREFECT_PASSWORD", "GRAFANA_PASSWORD"}
needs_compose = pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed: apt-get install docker-compose")
MODULES = {"prediction_service": "prediction_service.__main__"}
OURS = [name for name, service in SERVICES.items() if re.match(r"python (-m|/app/)", service.get("command", ""))]
EVERY = pytest.mark.parametrize("name", SERVICES)


def dockerfile(name: str) -> str:
    return (ROOT / SERVICES[name]["build"]["dockerfile"]).read_text()


def hosts(text: str) -> set[str]:
    """Host names with a port in a text, those of this machine left out."""
    return {host for host in re.findall(r"([a-z][a-z-]*):\d{4,5}\b", text) if host != "localhost"}


def config(folder: Path, **secrets: str) -> subprocess.CompletedProcess[str]:
    """What docker-compose says of the file; the folder keeps an .env of this machine out of it."""
    shutil.copy(ROOT / "docker-compose.yaml", folder)
    env = {name: value for name, value in os.environ.items() if name not in SECRETS} | secrets
    return subprocess.run(["docker-compose", "config", "--quiet"], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


@needs_compose
def test_docker_compose_accepts_the_file(tmp_path: Path) -> None:
    done = config(tmp_path, **dict.fromkeys(SECRETS, "x"))
    assert (done.returncode, done.stderr) == (0, "")


@needs_compose
@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("value", [None, ""])
def test_without_a_password_nothing_starts_and_it_is_said_how_to_make_one(tmp_path: Path, name: str, value: str | None) -> None:
    given = {one: "x" for one in SECRETS if one != name} | ({} if value is None else {name: value})
    done = config(tmp_path, **given)
    assert done.returncode == 1
    assert name in done.stderr
    assert "run make secrets" in done.stderr


def test_every_password_is_a_variable_without_a_default() -> None:
    assert set(re.findall(r"\$\{(\w+):\?[^}]+\}", TEXT)) == SECRETS
    assert not re.search(r"\$\{\w+:?-", TEXT)
    secret = re.compile("PASSWORD|SECRET|AUTH_STRING|MONGODB_URI")
    assert [name for service in SERVICES.values() for name, value in service.get("environment", {}).items() if secret.search(name) and "${" not in value] == []


def test_no_secret_stands_on_a_command_line() -> None:
    for service in SERVICES.values():
        assert "${" not in str(service.get("command", "")) + str(service.get("healthcheck", ""))
        assert "mongodb_uri" not in service.get("command", "")


def test_the_secrets_are_made_by_one_command_each_time_others(tmp_path: Path) -> None:
    made = [subprocess.run(["sh", ROOT / "ops" / "docker" / "secrets.sh"], capture_output=True, text=True, check=True).stdout for _ in range(2)]
    values = [dict(line.split("=") for line in text.splitlines()) for text in made]
    assert [set(one) for one in values] == [SECRETS, SECRETS]
    every = [value for one in values for value in one.values()]
    assert len(set(every)) == 2 * len(SECRETS)
    assert all(re.fullmatch(r"[0-9a-f]{32}", value) for value in every)
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "ops" / "docker").mkdir(parents=True)
    shutil.copy(ROOT / "ops" / "docker" / "secrets.sh", tmp_path / "ops" / "docker")
    subprocess.run(["make", "secrets"], cwd=tmp_path, capture_output=True, check=True)
    first = (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    subprocess.run(["make", "secrets"], cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / ".env").read_text() == first


def test_all_parts_are_there() -> None:
    assert set(SERVICES) == PARTS


@EVERY
def test_ports_are_on_the_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)


def test_only_what_people_and_callers_need_has_a_port() -> None:
    assert {name for name, service in SERVICES.items() if service.get("ports")} == {
        "prediction-service",
        "grafana",
        "prometheus",
        "alertmanager",
        "mlflow",
        "monitor",  # alerts link to its /reports
        "prefect",
    }


@EVERY
def test_a_part_is_no_root_and_writes_only_where_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    if "build" in service:
        assert re.search(r"^USER 10001$", dockerfile(name), re.MULTILINE)
    elif not service["image"].startswith("prom/"):  # whose images are not root's
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])


@EVERY
def test_images_have_exact_tags(name: str) -> None:
    tag = SERVICES[name]["image"].partition(":")[2]
    assert tag == "local" if "build" in SERVICES[name] else re.fullmatch(r"v?\d+\.\d+\.\d+", tag)
    for base in re.findall(r"^FROM (\S+)", dockerfile(name), re.MULTILINE) if "build" in SERVICES[name] else []:
        assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base)


@EVERY
def test_a_part_says_whether_it_is_well_and_others_wait_for_that(name: str) -> None:
    service = SERVICES[name]
    assert "healthcheck" in service or name in {"shipper", "batch"}  # which serve nobody
    assert service["restart"] == "unless-stopped"
    for other, wanted in service.get("depends_on", {}).items():
        assert wanted["condition"] == "service_healthy"
        assert "healthcheck" in SERVICES[other]


def test_no_part_shares_anothers_network() -> None:
    """A container whose network belongs to another one is cut off when that one starts again."""
    assert not [name for name, service in SERVICES.items() if "network_mode" in service]


@pytest.mark.parametrize("name", OURS)
def test_our_programs_take_their_commands(name: str) -> None:
    _, *words = shlex.split(SERVICES[name]["command"])
    if words[0] == "-m":
        module, flags = (COMMANDS[words[2]][0], words[3:]) if words[1] == "monitoring" else (MODULES.get(words[1], words[1]), words[2:])
    else:
        module, flags = Path(words[0]).stem, words[1:]
    parsed = importlib.import_module(module).build_parser().parse_args(flags)
    if "streams" in vars(parsed):
        assert parsed.streams == "elec"


def test_the_programs_of_ours_are_all_checked() -> None:
    assert set(OURS) == {"torchserve", "prediction-service", "shipper", "monitor", "batch"}


def test_parts_call_each_other_by_names_that_exist_on_a_common_network() -> None:
    network = {name: set(service["networks"]) for name, service in SERVICES.items()}
    for name, service in SERVICES.items():
        text = f"{service.get('command', '')} {service.get('environment', '')}"
        for host in hosts(text) - {name}:
            assert network[host] & network[name], f"{name} cannot reach {host}"
    told = "".join((ROOT / "ops" / path).read_text() for path in ("prometheus/prometheus.yml", "alertmanager/alertmanager.yml"))
    assert hosts(told) <= PARTS


@pytest.mark.parametrize("path", sorted((ROOT / "ops" / "docker").glob("*.Dockerfile")), ids=lambda path: path.stem)
def test_what_goes_into_an_image_is_there(path: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    for line in re.findall(r"^COPY (?!--from)(.+)$", path.read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists()
            assert source == "." or f"!{source}" in ignored
    kept = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    assert [one for one in kept if one != "examples" and not list(ROOT.glob(one))] == []


def test_what_is_mounted_from_here_is_there() -> None:
    mounts = [volume for service in SERVICES.values() for volume in service.get("volumes", []) if volume.startswith("./")]
    assert len(mounts) == 5
    assert all((ROOT / volume.partition(":")[0]).exists() and volume.endswith(":ro") for volume in mounts)
