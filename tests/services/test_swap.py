"""A swap loses no request, an unfit version changes nothing, and a crash at any step is mended."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from light_model import SLOW
from serving_fixtures import light_model, some_rows

from driftloop.errors import ServingError, TrackingError
from driftloop.serving import swap
from driftloop.serving.archive import run_in
from driftloop.serving.golden import Golden

ROWS, CONTEXT = some_rows(4), some_rows(0)
NAMES = (f"swap{number}" for number in count())


class Crash(BaseException):
    """Stands for SIGKILL: nothing in the project catches it."""


class FakeServer:
    """The part of a TorchServe that a swap sees, in memory: version -> probabilities."""

    def __init__(self, *versions: str) -> None:
        self.models = {version: light_model(seed=int(version)).model for version in versions}
        self.default = versions[0] if versions else None
        self.loads = True
        self.urls = {}

    def versions(self, *, name):
        return list(self.models)

    def describe(self, *, name, version):
        return {"modelUrl": self.urls.get(version, f"light-{version}.mar")}

    def default_version(self, *, name):
        return self.default

    def register(self, mar, *, name, version):
        if not self.loads:
            raise ServingError("did not load")
        self.models[version] = light_model(seed=int(version)).model
        self.urls[version] = str(mar)
        self.default = self.default or version

    def wait_ready(self, *, name, version):
        assert version in self.models

    def set_default(self, *, name, version):
        assert version in self.models
        self.default = version

    def pending_requests(self, *, name, version):
        return 0

    def knock(self, *, name, version):
        assert version != self.default, "a version that takes requests is not to be drained"

    def unregister(self, *, name, version):
        assert version != self.default or len(self.models) == 1
        del self.models[version]
        self.default = self.default if self.models else None

    def predict(self, rows, *, name, context, version, columns):
        return SimpleNamespace(
            probabilities=self.models[version].probabilities(rows), versions=(version,) * len(rows), version=version, run_ids={run_in(self.urls[version])}
        )


class Alias:
    """The registry's alias."""

    def __init__(self, version):
        self.version = version

    def move(self, version):
        self.version = version


@pytest.fixture(autouse=True)
def short_quiet(request, monkeypatch):
    if "torchserve" not in request.fixturenames:
        monkeypatch.setattr(swap, "QUIET_S", 0.0)


def swap_in(client, journal, *, version="2", previous="1", name="light", mar=None, alias=None, golden=None, move=None, run_id="", **options):
    alias = alias or Alias(previous)
    return swap.swap_in(
        client,
        mar=mar or Path(f"light-{version}{'-' * bool(run_id)}{run_id}.mar"),
        name=name,
        version=version,
        run_id=run_id,
        previous_version=previous,
        known=Golden(ROWS, CONTEXT, light_model(seed=int(version)).model.probabilities(ROWS) if golden is None else golden),
        journal=journal,
        move_alias=move or (lambda: alias.move(version)),
        **options,
    )


@pytest.fixture
def serving(torchserve, model_store):
    """A name of its own on the real server, version 1 served; the name and the archive of any version."""
    name = next(NAMES)
    first = light_model(seed=1).archive(model_store, "1", name=name)
    torchserve.client.register(first, name=name, version="1")

    def archive(version: str) -> Path:
        return light_model(seed=int(version)).archive(model_store, version, name=name)

    yield name, archive
    for version in sorted(torchserve.client.versions(name=name), key=lambda one: one == torchserve.client.default_version(name=name)):
        torchserve.client.unregister(name=name, version=version)


def test_a_swap_under_load_loses_no_request(torchserve, serving, tmp_path):
    client, (name, archive) = torchserve.client, serving
    alias, stop = Alias("1"), threading.Event()
    local = {version: light_model(seed=int(version)).model.probabilities(ROWS) for version in ("1", "2")}

    def ask() -> list[str]:
        answered = []
        while not stop.is_set():
            answer = client.predict(ROWS, name=name)
            np.testing.assert_allclose(answer.probabilities, local[answer.version], rtol=0, atol=1e-6)
            answered.append(answer.version)
        return answered

    with ThreadPoolExecutor(4) as threads:
        streams = [threads.submit(ask) for _ in range(4)]
        try:
            drained = swap_in(client, tmp_path / "journal", name=name, mar=archive("2"), alias=alias)
            time.sleep(0.3)
        finally:
            stop.set()
        answered = [stream.result() for stream in streams]
    for versions in answered:
        assert set(versions) == {"1", "2"} and versions == sorted(versions)
    assert drained and alias.version == "2"
    assert client.versions(name=name) == ["2"] and swap.read_journal(tmp_path / "journal").step == swap.DONE


def test_a_request_in_work_longer_than_the_quiet_second_is_answered(torchserve, serving, tmp_path):
    client, (name, archive) = torchserve.client, serving
    slow = np.array([[SLOW + 4, 0, 0]])
    with ThreadPoolExecutor(1) as thread:
        moved = threading.Event()

        def ask_last() -> None:
            answer.append(thread.submit(client.predict, slow, name=name, version="1"))
            moved.set()

        answer: list = []
        swap_in(client, tmp_path / "journal", name=name, mar=archive("2"), move=ask_last)
        assert moved.is_set() and answer[0].result().version == "1"
    assert client.versions(name=name) == ["2"]


def test_wrong_golden_predictions_change_nothing(torchserve, serving, tmp_path):
    client, (name, archive) = torchserve.client, serving
    alias = Alias("1")
    wrong = light_model(seed=2).model.probabilities(ROWS) + np.float32(1e-5)
    with pytest.raises(ServingError, match=r"step golden: golden predictions differ by 1e-05.*version 1 keeps serving"):
        swap_in(client, tmp_path / "journal", name=name, mar=archive("2"), alias=alias, golden=wrong)
    assert client.versions(name=name) == ["1"] and client.default_version(name=name) == "1" and alias.version == "1"
    assert client.predict(ROWS, name=name).version == "1"


@pytest.mark.parametrize("deaths", [1, swap.ATTEMPTS])
def test_a_worker_that_dies_while_it_is_proven_is_asked_again_but_not_for_ever(torchserve, serving, tmp_path, monkeypatch, deaths):
    name, archive = serving
    client, dying = torchserve.client, iter(range(deaths))
    ask = client.predict

    def predict(rows, *, version, **options):
        if next(dying, None) is not None:
            (worker,) = client.describe(name=name, version=version)["workers"]
            psutil.Process(worker["pid"]).kill()
        return ask(rows, version=version, **options)

    monkeypatch.setattr(client, "predict", predict)
    if deaths < swap.ATTEMPTS:
        assert swap_in(client, tmp_path / "journal", name=name, mar=archive("2"))
    else:
        with pytest.raises(ServingError, match=r"step golden: .*; version 1 keeps serving"):
            swap_in(client, tmp_path / "journal", name=name, mar=archive("2"))
    assert client.default_version(name=name) == ("2" if deaths < swap.ATTEMPTS else "1")


def test_a_first_version_that_is_undone_leaves_the_name_unknown(torchserve, model_store, tmp_path):
    client, name = torchserve.client, next(NAMES)
    mar = light_model(seed=2).archive(model_store, "2", name=name)

    def fail() -> None:
        raise TrackingError("the registry is unreachable")

    with pytest.raises(ServingError, match="step move_alias: the registry is unreachable; nothing is served"):
        swap_in(client, tmp_path / "journal", name=name, mar=mar, previous=None, move=fail)
    assert client.versions(name=name) == []


@pytest.mark.parametrize("step", [swap.GOLDEN, swap.MOVE_ALIAS])
def test_a_real_server_is_mended_after_a_crash(torchserve, serving, tmp_path, monkeypatch, step):
    client, (name, archive) = torchserve.client, serving
    journal, alias = tmp_path / "journal", Alias("1")
    with monkeypatch.context() as patched:
        crash_at(patched, step)
        with pytest.raises(Crash):
            swap_in(client, journal, name=name, mar=archive("2"), alias=alias)
    assert swap.recover(client, journal, move_alias=alias.move) is not None
    served = "2" if step in swap.FORWARD else "1"
    assert client.versions(name=name) == [served] == [client.default_version(name=name)] == [alias.version]
    assert client.predict(ROWS, name=name).version == served


def crash_at(patched: pytest.MonkeyPatch, step: str) -> None:
    """Crash once the journal holds `step` and before that step is done."""
    write = swap._write

    def write_and_crash(journal, entry):
        written = write(journal, entry)
        if entry.step == step:
            raise Crash
        return written

    patched.setattr(swap, "_write", write_and_crash)


@pytest.mark.parametrize("restarted", [False, True], ids=["server lives", "server restarted"])
@pytest.mark.parametrize("step", [swap.REGISTER, swap.GOLDEN, *swap.FORWARD])
def test_a_crash_at_any_step_is_mended_once_and_for_all(tmp_path, monkeypatch, step, restarted):
    server, journal, alias = FakeServer("1"), tmp_path / "journal", Alias("1")
    with monkeypatch.context() as patched:
        crash_at(patched, step)
        with pytest.raises(Crash):
            swap_in(server, journal, alias=alias)
    with (
        pytest.raises(ServingError, match="recover it first")
        if step not in (swap.DRAIN, swap.UNREGISTER)
        else pytest.raises(ServingError, match="registered already")
    ):
        swap_in(server, journal)
    server = FakeServer() if restarted else server
    entry = swap.recover(server, journal, move_alias=alias.move)
    after = (list(server.models), server.default, alias.version, entry)
    finished = step in swap.FORWARD[1:] or (step == swap.SET_DEFAULT and not restarted)
    expected = "2" if finished else "1"
    assert alias.version == expected and server.models.keys() == (set() if restarted else {expected})
    assert swap.recover(server, journal, move_alias=alias.move) is None
    assert after[:3] == (list(server.models), server.default, alias.version)
    assert server.default is None if restarted else server.default == expected


@pytest.mark.parametrize("step", [swap.REGISTER, swap.SET_DEFAULT, swap.DRAIN, swap.UNDO])
def test_a_crash_while_mending_is_mended_too(tmp_path, monkeypatch, step):
    server, journal, alias = FakeServer("1", "2"), tmp_path / "journal", Alias("1")
    swap._write(journal, swap.Entry("light", "2", "1", step))
    for crash in (swap.UNDO, swap.DRAIN, swap.UNREGISTER):
        with monkeypatch.context() as patched:
            crash_at(patched, crash)
            try:
                swap.recover(server, journal, move_alias=alias.move)
            except Crash:
                continue
    swap.recover(server, journal, move_alias=alias.move)
    assert list(server.models) == [server.default] == [alias.version]
    assert alias.version == ("2" if step in swap.FORWARD else "1")


def test_a_version_that_does_not_load_changes_nothing(tmp_path):
    server = FakeServer("1")
    server.loads = False
    with pytest.raises(ServingError, match="step register: did not load; version 1 keeps serving"):
        swap_in(server, tmp_path / "journal")
    assert list(server.models) == ["1"] and swap.read_journal(tmp_path / "journal").step == swap.UNDONE


def test_an_alias_that_cannot_be_moved_gives_the_default_back(tmp_path):
    server = FakeServer("1")

    def fail() -> None:
        assert server.default == "2"
        raise TrackingError("the registry is unreachable")

    with pytest.raises(ServingError, match="the registry is unreachable"):
        swap_in(server, tmp_path / "journal", move=fail)
    assert list(server.models) == ["1"] and server.default == "1"
    assert "registry is unreachable" in swap.read_journal(tmp_path / "journal").reason


def test_when_undoing_fails_too_both_reasons_are_told_and_the_next_start_tries_again(tmp_path, monkeypatch):
    server, journal, alias = FakeServer("1"), tmp_path / "journal", Alias("1")

    def away(**_):
        raise ServingError("the server is unreachable")

    with monkeypatch.context() as patched:
        patched.setattr(server, "unregister", away)
        with pytest.raises(ServingError, match=r"golden predictions differ.*the server is unreachable"):
            swap_in(server, journal, golden=np.zeros((4, 2)))
    recovered = swap.recover(server, journal, move_alias=alias.move)
    assert recovered and recovered.step == swap.UNDONE and "golden" in recovered.reason and list(server.models) == ["1"]


def test_an_old_version_that_stays_busy_is_left_and_retired_before_the_next_swap(tmp_path, monkeypatch):
    server, journal = FakeServer("1"), tmp_path / "journal"
    monkeypatch.setattr(swap, "QUIET_S", 0.1)
    with monkeypatch.context() as patched:
        patched.setattr(server, "pending_requests", lambda **_: 1)
        assert not swap_in(server, journal, drain_timeout_s=0.1)
        assert set(server.models) == {"1", "2"} and server.default == "2"
    assert swap_in(server, journal, version="3", previous="2")
    assert list(server.models) == ["3"]


@pytest.mark.parametrize("golden", [np.zeros((3, 2)), np.full((4, 2), np.nan)], ids=["other shape", "nan"])
def test_golden_probabilities_that_cannot_be_met_are_not_met(tmp_path, golden):
    with pytest.raises(ServingError, match="golden predictions differ"):
        swap_in(FakeServer("1"), tmp_path / "journal", golden=golden)


@pytest.mark.parametrize(
    ("versions", "previous", "message"),
    [(("1", "2"), "1", "2 is registered already"), (("3",), "1", "1 is to be replaced but is not served; registered: 3"), ((), "1", "registered: none")],
)
def test_a_swap_that_does_not_fit_the_server_is_refused_untouched(tmp_path, versions, previous, message):
    server = FakeServer(*versions)
    with pytest.raises(ServingError, match=message):
        swap_in(server, tmp_path / "journal", previous=previous)
    assert tuple(server.models) == versions and not (tmp_path / "journal").exists()


def test_without_a_journal_there_is_nothing_to_mend(tmp_path):
    assert swap.recover(FakeServer(), tmp_path / "journal", move_alias=pytest.fail) is None


@pytest.mark.parametrize("content", ["", "[]", '{"name": "light"}', json.dumps(asdict(swap.Entry("light", "2", "1", "dance")))])
def test_a_journal_that_cannot_be_read_is_said_and_kept(tmp_path, content):
    journal = tmp_path / "journal"
    journal.write_text(content)
    with pytest.raises(ServingError, match="the swap journal"):
        swap.recover(FakeServer(), journal, move_alias=pytest.fail)
    assert journal.read_text() == content


def test_a_journal_that_cannot_be_written_stops_the_swap_before_it_begins(tmp_path):
    server = FakeServer("1")
    (tmp_path / "file").write_text("")
    with pytest.raises(ServingError, match="journal"):
        swap_in(server, tmp_path / "file" / "journal")
    assert list(server.models) == ["1"]
