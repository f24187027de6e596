"""The images of the compose file: the project's own Dockerfile unchanged, on a stand-in for its base; stand-ins for those that no package registry gives.

Where the packages come from is read from this machine: Debian's mirror and the settings of apt and pip. What pip takes from this machine's own disk is served
to the build on the loopback, as the extra index that the Dockerfile has an argument for.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from driftloop.settings import ROOT
from tests.end_to_end.containers.engine import Engine, unmount

LOG = logging.getLogger("containers")
STANDINS = "tests/end_to_end/containers/standins"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
PYTHON = ("python3", "python3-pip", "python3-venv", "python-is-python3", "ca-certificates", "wget")
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
DOCKERFILE = "ops/docker/driftloop.Dockerfile"
BUILD_S = 2400.0


def build(engine: Engine, folder: Path) -> None:
    """Build all images but Grafana's, those that are there already apart; say how large they are."""
    base = _base_name()
    if not engine.run("docker", "images", "-q", base):
        began = time.monotonic()
        _import_base(engine, folder / "base", base)
        LOG.info("base %s: a stand-in from Debian's packages, made in %.0f s", base, time.monotonic() - began)
    for service, package, data in (("prometheus", "prometheus", "/prometheus"), ("alertmanager", "prometheus-alertmanager", "/alertmanager")):
        _docker_build(engine, folder, SERVICES[service]["image"], f"{STANDINS}/debian.Dockerfile", BASE=base, PACKAGE=package, FOLDER=data)
    _docker_build(engine, folder, SERVICES["mongodb"]["image"], f"{STANDINS}/mongo.Dockerfile", BASE=base)
    with _local_index(folder / "index") as index:
        _docker_build(engine, folder, SERVICES["mlflow"]["image"], DOCKERFILE, PIP_EXTRA_INDEX_URL=index)
    size = {name: int(engine.run("docker", "image", "inspect", "-f", "{{.Size}}", name)) for name in (base, SERVICES["mlflow"]["image"])}
    ours = size[SERVICES["mlflow"]["image"]]
    LOG.info("image %s: %.2f GB, of which %.2f GB are its base's", SERVICES["mlflow"]["image"], ours / 1e9, size[base] / 1e9)


def _base_name() -> str:
    (name,) = set(re.findall(r"^FROM (\S+)", (ROOT / DOCKERFILE).read_text(), re.MULTILINE))
    return name


def _docker_build(engine: Engine, folder: Path, tag: str, dockerfile: str, **arguments: str) -> None:
    began = time.monotonic()
    given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    context = ROOT
    if dockerfile.startswith(STANDINS):  # which .dockerignore keeps out
        context = folder / "context"
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(ROOT / STANDINS, context / STANDINS)
        for path in ROOT.glob("requirements*"):
            shutil.copy(path, context)
    command = ["docker", "build", "--network=host", *given, "-f", str(context / dockerfile), "-t", tag, str(context)]
    engine.run(*command, timeout_s=BUILD_S, log=folder / "build.log")
    LOG.info("%s is built, in %.0f s", tag, time.monotonic() - began)


def _import_base(engine: Engine, root: Path, name: str) -> None:
    """A Debian with Python under the name of the Dockerfile's base."""
    found = sources()
    try:
        _run("debootstrap", "--variant=minbase", found[0][1], str(root), found[0][0])
        (root / "etc" / "apt" / "sources.list").write_text("".join(f"deb {site} {release} main\n" for site, release in found))
        for path in (Path("/etc/apt/apt.conf"), *Path("/etc/apt/apt.conf.d").glob("*")):
            shutil.copy(path, root / path.relative_to("/")) if path.is_file() else None
        inside = ["chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
        (root / BUNDLE).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f"/{BUNDLE}", root / BUNDLE)
        _run(*inside, "update")
        _run(*inside, "install", "-y", "--no-install-recommends", *PYTHON)
        _run(*inside, "clean")
        shutil.copy(f"/{BUNDLE}", root / BUNDLE)  # its package has made one without this machine's own
        for path in (root / "usr" / "lib").glob("python3*/EXTERNALLY-MANAGED"):
            path.unlink()
        (root / "etc" / "pip.conf").write_text(_pip_settings())
        pack = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["docker", "import", "-", name], stdin=pack.stdout, env=engine.environment, capture_output=True, check=True)
    finally:
        unmount(root)  # of debootstrap, when it was cut off
        shutil.rmtree(root, ignore_errors=True)


def sources() -> list[tuple[str, str]]:
    """(site, release) of this machine's own Debian sources, that of the base's release first."""
    suite = _base_name().rpartition("-")[2]
    told = _run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(ORIGIN)", "Created-By: Packages")
    found = dict.fromkeys((site, release) for site, release, origin in (line.split(" ", 2) for line in told.splitlines()) if origin == "Debian")
    main = [one for one in found if one[1] == suite]
    if not main:
        raise RuntimeError(f"no source of apt's gives {suite}: {told}")
    return [*main[:1], *[one for one in found if one[1] in {f"{suite}-updates", f"{suite}-security"}]]


def _pip_settings() -> str:
    """pip's settings of this machine as the base's /etc/pip.conf; places on this disk left out."""
    found = {"cert": f"/{BUNDLE}"}
    for line in _run(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        key, words = name.rpartition(".")[2], value.strip("'\"").replace("\\n", " ").split()
        kept = [word for word in words if not word.startswith(("file:", "/"))]
        if key in PIP_SETTINGS and kept:
            found[key] = " ".join(kept)
    return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in found.items())


@contextlib.contextmanager
def _local_index(folder: Path) -> Iterator[str]:
    """The address of an index with the file of PyTorch that pip takes here: its CPU build may lie on this disk alone."""
    pin = next(line.split()[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("torch=="))
    (folder / "torch").mkdir(parents=True, exist_ok=True)
    _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder / "torch"), pin)
    handler = functools.partial(_Quiet, directory=str(folder))
    port = 18099 if os.environ.get("DRIFTLOOP_CONTAINERS_FOLDER") else 0  # kept layers are known by the address, too
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]}: exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-1500:]}")
    return done.stdout
