"""A server that outlives a script: another's model under our name is never taken for ours, and what dies while it scores comes back."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import psutil
import pytest
import requests
from script_fixtures import Workshop, data_flags, role
from serving_fixtures import FEATURES, elec_model, some_rows

from driftloop.data.streams import Stream
from driftloop.errors import ServingError
from driftloop.serving import archive, site, swap
from driftloop.serving.site import Site, TorchServeDeployment
from driftloop.serving.torchserve import Ports, TorchServe
from driftloop.settings import ROOT
from driftloop.system import processes
from driftloop.tracking.promotions import promotion_log
from driftloop.tracking.registry import CHAMPION, Registry
from driftloop.training.fitting import Learner
from driftloop.training.trained_model import KnownModel
from elec_datamodule import ElecDataModule
from elec_model import ElecModel
from monitoring.local.parts import free_torchserve_ports

NAMES = (f"kept{number}" for number in count())
RUN = "0123456789abcdef0123456789abcdef"
OTHER_RUN = "f" * 32
LEARNER = Learner(ElecModel, ElecDataModule, model_file=ROOT / "elec_model.py", handler_file=ROOT / "handler.py")
ROWS = some_rows(200).astype(np.float32)
TIMES = np.datetime64("2024-01-01", "ns") + np.arange(200) * np.timedelta64(3600 * 10**9, "ns")
STREAM = Stream("some", ROWS, np.zeros(200, dtype=np.int64), (0, 1), tuple(FEATURES), TIMES, 24, "some.csv", "")
FOREIGN = """
import json


class Other:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        return [json.dumps({"sentiment": "positive"}) for _ in data]
"""


@dataclass
class Ours:
    """The part of a registry that says whose runs are ours, and gives out version numbers."""

    runs: set[str]
    name: str = "kept"
    versions: dict[str, str] = field(default_factory=dict)
    champion: str | None = None
    forgotten: list[str] = field(default_factory=list)

    def knows(self, run_id: str) -> bool:
        return run_id in self.runs

    def version_of(self, run_id: str) -> str | None:
        return next((version for version in reversed(self.versions) if self.versions[version] == run_id), None)

    def register(self, *, source: str, run_id: str) -> str:
        version = str(len(self.versions) + 1)
        self.versions[version] = run_id
        return version

    def forget(self, version: str) -> None:
        self.forgotten.append(version)

    def promote(self, version: str, *, reason: str, tags: dict[str, str]) -> None:
        self.champion = version

    def holder(self, alias: str) -> str | None:
        return self.champion


def known(version: str, *, run_id: str = RUN, seed: int = 0) -> KnownModel:
    small = elec_model(seed=seed)
    return KnownModel(small.model, {"history": 0}, (0, 150), 0, small.card(version), run_id, "models:/m-x", version)


def local(model: KnownModel, rows: np.ndarray) -> np.ndarray:
    return model.model.probabilities(rows)


@pytest.fixture
def deployed(torchserve: TorchServe, model_store: Path, tmp_path: Path) -> Iterator[Callable[..., TorchServeDeployment]]:
    """Deployments under a name of their own on the session's server."""
    name, client = next(NAMES), torchserve.client

    def deploy(*runs: str, take_over: bool = False, restore: Callable[[str], KnownModel | None] = lambda _: None) -> TorchServeDeployment:
        registry: Any = Ours(set(runs), name)
        return TorchServeDeployment(
            Site(client, model_store), name=name, learner=LEARNER, stream=STREAM, registry=registry, restore=restore, take_over=take_over
        )

    yield deploy
    for version in sorted(client.versions(name=name), key=lambda one: one == client.default_version(name=name)):
        client.unregister(name=name, version=version)
    (model_store / f"swap-{name}.json").unlink(missing_ok=True)


def promote(ours: TorchServeDeployment, winner: KnownModel) -> KnownModel:
    """Promote a model; these registries take no descriptions."""
    with mock.patch.object(site, "describe"):
        return site.promote(
            ours.registry, ours, winner, decision=promotion_log.made("promoted", why="a test", script="a test"), store=cast(Any, None), stream=ours.stream
        )


def test_a_version_of_the_same_number_but_another_run_is_not_taken_for_ours(deployed: Callable[..., TorchServeDeployment]) -> None:
    theirs, ours = deployed(OTHER_RUN), deployed(RUN)
    theirs.put(known("2", run_id=OTHER_RUN, seed=1), move_alias=lambda: None)
    assert not ours.has_room_for(known("2"))
    with pytest.raises(ServingError, match=r"version 2 at .* belongs to another project or an earlier MLflow store.*--take_over"):
        ours.check_owner()
    winner = known("", seed=0)
    with pytest.raises(ServingError, match="--take_over"):
        promote(ours, winner)
    registry: Any = ours.registry
    assert not registry.versions, "nothing is registered for a swap that is refused"
    served, version = theirs.predict(ROWS[:3], ROWS[:0])
    assert version == "2"
    np.testing.assert_allclose(served, local(known("2", seed=1), ROWS[:3]), atol=1e-6)


def test_taken_over_it_is_replaced_without_a_gap_under_a_number_that_is_free(deployed: Callable[..., TorchServeDeployment]) -> None:
    theirs, ours = deployed(OTHER_RUN), deployed(RUN, take_over=True)
    theirs.put(known("1", run_id=OTHER_RUN, seed=1), move_alias=lambda: None)
    winner = promote(ours, known("", seed=0))
    registry: Any = ours.registry
    assert (winner.version, registry.champion, registry.forgotten) == ("2", "2", ["1"])
    assert ours.client.versions(name=ours.name) == ["2"]
    served, version = ours.predict(ROWS[:3], ROWS[:0])
    assert version == "2"
    np.testing.assert_allclose(served, local(winner, ROWS[:3]), atol=1e-6)
    with pytest.raises(ServingError, match="another store deployed there"):
        theirs.predict(ROWS[:3], ROWS[:0])


def test_a_version_of_ours_that_answers_wrongly_is_replaced(deployed: Callable[..., TorchServeDeployment]) -> None:
    ours = deployed(RUN)
    ours.put(known("1", seed=1), move_alias=lambda: None)  # the number and the run are right, the weights are not
    registry: Any = ours.registry
    registry.versions = {"1": RUN}
    winner = promote(ours, known("", seed=0))
    assert winner.version == "2" and ours.client.versions(name=ours.name) == ["2"]


def test_an_archive_of_an_early_driftloop_is_ours_when_it_answers_as_our_version_does(deployed: Callable[..., TorchServeDeployment], model_store: Path) -> None:
    ours = deployed(RUN, restore=known)
    early = elec_model(seed=0).archive(model_store, "1", name=ours.name)
    ours.client.register(early, name=ours.name, version="1")
    ours.check_owner()
    assert ours.has_room_for(known("1"))
    for restore in (lambda _: None, lambda version: known(version, seed=1)):  # no such version, or another model
        with pytest.raises(ServingError, match="--take_over"):
            deployed(RUN, restore=restore).check_owner()


def test_a_model_that_becomes_the_default_while_ours_loads_keeps_its_requests(
    deployed: Callable[..., TorchServeDeployment], model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, client = deployed(RUN), deployed(RUN).client
    foreign = elec_model(seed=3).archive(model_store, "7", name=ours.name)
    wait = client.wait_ready

    def and_meanwhile(**which: Any) -> None:
        wait(**which)
        client.register(foreign, name=ours.name, version="7")
        client.set_default(name=ours.name, version="7")

    monkeypatch.setattr(ours.client, "wait_ready", and_meanwhile)
    with pytest.raises(ServingError, match="someone else made version 7 the default"):
        ours.put(known("1"), move_alias=pytest.fail)
    assert client.versions(name=ours.name) == ["7"] == [client.default_version(name=ours.name)]


def test_a_number_that_another_takes_while_ours_is_packed_stays_theirs(
    deployed: Callable[..., TorchServeDeployment], model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = deployed(RUN)
    client = ours.client
    foreign = elec_model(seed=3).archive(model_store, "1", name=ours.name)
    versions, looks = client.versions, []

    def late(*, name: str) -> list[str]:
        looks.append(name)
        seen = versions(name=name)
        if len(looks) == 2:  # the last look before the registration
            client._manage("POST", "/models", params={"url": str(foreign), "initial_workers": "1", "synchronous": "true"}, timeout=60)
        return seen

    monkeypatch.setattr(client, "versions", late)
    with pytest.raises(ServingError, match="registered by someone else in the meantime"):
        ours.put(known("1"), move_alias=pytest.fail)
    assert swap.run_of(client, name=ours.name, version="1") == ""


def workers(server: TorchServe) -> list[psutil.Process]:
    return [one for one in psutil.Process(server.pid).children(recursive=True) if "model_service_worker" in " ".join(one.cmdline())]


def kill(process: psutil.Process) -> None:
    process.kill()
    process.wait(timeout=10)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TorchServe, Path]]:
    """A server whose processes may be killed."""
    folder = tmp_path_factory.mktemp("own")
    with TorchServe(folder) as server:
        yield server, folder
        server.close(grace_s=0)


def test_a_worker_that_is_killed_is_waited_for_and_a_killed_server_of_ours_started_again(own: tuple[TorchServe, Path]) -> None:
    server, folder = own
    registry: Any = Ours({RUN})
    ours = TorchServeDeployment(
        Site(server.client, folder, server.revive), name="kept", learner=LEARNER, stream=STREAM, registry=registry, restore=lambda _: None
    )
    model = known("1")
    ours.put(model, move_alias=lambda: None)
    expected = local(model, ROWS[:20])
    for victim in (lambda: workers(server)[0], lambda: next(one for one in psutil.Process(server.pid).children() if "java" in one.name())):
        kill(victim())
        served, version = ours.predict(ROWS[:20], ROWS[:0])
        assert version == "1"
        np.testing.assert_allclose(served, expected, atol=1e-6)
    assert server.pid and ours.client.versions(name="kept") == ["1"]


def test_a_server_that_others_keep_and_restart_is_given_our_model_again(own: tuple[TorchServe, Path]) -> None:
    server, folder = own
    registry: Any = Ours({RUN}, "again")
    ours = TorchServeDeployment(Site(server.client, folder), name="again", learner=LEARNER, stream=STREAM, registry=registry, restore=lambda _: None)
    model = known("3")
    ours.put(model, move_alias=lambda: None)
    kill(next(one for one in psutil.Process(server.pid).children() if "java" in one.name()))
    restart = threading.Timer(1.0, server.revive)
    restart.start()
    served, version = ours.predict(ROWS[:20], ROWS[:0])
    restart.join()
    assert version == "3"
    np.testing.assert_allclose(served, local(model, ROWS[:20]), atol=1e-6)


@pytest.mark.slow
def test_another_teams_version_beside_ours_is_left_alone(deployed: Callable[..., TorchServeDeployment], model_store: Path) -> None:
    ours = deployed(RUN)
    ours.put(known("1"), move_alias=lambda: None)
    foreign = elec_model(seed=3).archive(model_store, "2", name=ours.name)
    ours.client.register(foreign, name=ours.name, version="2")
    registry: Any = ours.registry
    registry.versions = {"1": RUN}
    registry.runs.add(OTHER_RUN)
    winner = promote(ours, known("", run_id=OTHER_RUN, seed=1))
    assert winner.version == "3" and set(ours.client.versions(name=ours.name)) == {"2", "3"}, "their number is theirs, and so is their model"


DEADLY = """
import os


class Deadly(ElecModel):
    def probabilities(self, rows, *, first=0):
        if rows[first, 0] > 1000:
            os.kill(os.getpid(), 9)
        return super().probabilities(rows, first=first)
"""


@pytest.mark.slow
def test_a_row_that_kills_its_worker_each_time_ends_in_one_line(own: tuple[TorchServe, Path], tmp_path: Path) -> None:
    server, folder = own
    file = tmp_path / "deadly.py"
    file.write_text((ROOT / "elec_model.py").read_text() + DEADLY)
    small, name = elec_model(), "deadly"
    card = {**small.card("1"), "class": "Deadly", "module": "deadly.py"}
    mar = archive.build_mar(
        name=name, version="1", card=card, state_dict=small.model.state_dict(), model_file=file, handler_file=LEARNER.handler_file, store=folder
    )
    client = server.client
    client.register(mar, name=name, version="1")
    registry: Any = Ours({RUN})
    ours = TorchServeDeployment(Site(client, folder), name=name, learner=LEARNER, stream=STREAM, registry=registry, restore=lambda _: None)
    with pytest.raises(ServingError, match=r"no answer in 3 attempts \(.*Worker died.*check these rows") as caught:
        ours.predict(ROWS[:1] + 2000, ROWS[:0])
    assert "\n" not in str(caught.value)
    assert ours.predict(ROWS[:1], ROWS[:0])[1] == "1", "the server itself continues"


def test_a_kept_server_that_has_ended_is_waited_for_and_then_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "COME_BACK_S", 0.3)
    client = site.TorchServeClient.from_url(f"http://127.0.0.1:{Ports.free().inference}")
    registry: Any = Ours({RUN})
    ours = TorchServeDeployment(Site(client, tmp_path), name="kept", learner=LEARNER, stream=STREAM, registry=registry, restore=lambda _: None)
    with pytest.raises(ServingError, match="did not come back within"):
        ours.predict(ROWS[:1], ROWS[:0])


@dataclass(frozen=True)
class Kept:
    """A workshop whose folder is the store of a server that outlives the scripts."""

    workshop: Workshop
    server: TorchServe

    @property
    def url(self) -> str:
        return self.server.client.inference_url

    def served(self, path: str) -> Any:
        rows = {"instances": [[0.2, 0.7], [0.7, 0.2]]}
        return requests.post(f"{self.url}/predictions/{path}", json=rows, timeout=30).json()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    ports = free_torchserve_ports()
    with TorchServe(tmp_path / ".driftloop" / f"127.0.0.1-{ports.inference}", ports=ports) as server:
        yield Kept(Workshop(tmp_path), server)
        server.close(grace_s=0)


def test_scripts_take_no_other_model_of_their_name_without_being_told_to(kept: Kept, drifting_csv: Path, tmp_path: Path) -> None:
    flags = (*data_flags(drifting_csv), "--history", 0, "--max_epochs", 1, "--train_base", "--torchserve_url", kept.url)
    watch = ("--test_data_rows", 20, "--block_size", 20, "--drift_rule", "never", "--on_drift", "ignore")
    put_foreign(kept, tmp_path, name="drift_model", version="1.0")
    for script, more in (("deploy_model", watch), ("lifecycle", watch), ("retrain_model", ())):
        refused = kept.workshop.run(script, *(flag for flag in flags if flag != "--train_base" or script != "lifecycle"), *more)
        assert refused.code == 6 and "drift_model version 1.0 at " in refused.complaint(script) and "--take_over" in refused.err
    assert kept.served("drift_model/1.0") == {"sentiment": "positive"}
    assert not kept.workshop.runs() and not kept.workshop.client.search_registered_models(), "refused before anything is trained or registered"

    done = kept.workshop.run("deploy_model", *flags, *watch, "--take_over")
    assert done.code == 0, done.err
    first = kept.served("drift_model")
    assert first["model_version"] == "1" and kept.server.client.versions(name="drift_model") == ["1"]
    assert kept.workshop.run("deploy_model", *flags, *watch).code == 0, "what we have put there ourselves is ours"

    new = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'new.db'}"}  # a store begun again numbers its versions from 1
    begun = kept.workshop.run("deploy_model", *flags, *watch, "--seed", 11, **new)
    assert begun.code == 6 and kept.served("drift_model") == first
    assert kept.workshop.run("deploy_model", *flags, *watch, "--seed", 11, "--take_over", **new).code == 0
    with kept.workshop.entered(**new):
        import mlflow

        registry = Registry(mlflow.MlflowClient(new["MLFLOW_TRACKING_URI"], registry_uri=new["MLFLOW_TRACKING_URI"]), "drift_model")
        champion = registry.holder(CHAMPION)
        assert champion is not None
        last = kept.served("drift_model")
        assert (last["model_version"], last["run_id"]) == (champion, registry.run_of(champion)) and last["run_id"] != first["run_id"]
    assert kept.workshop.run("retrain_model", *flags, "--total_trials", 1, "--validation_rows", 60).code == 6, "to the old store it is foreign now"


def put_foreign(kept: Kept, folder: Path, *, name: str, version: str) -> None:
    """Let somebody else register a model of theirs."""
    (folder / "other_handler.py").write_text(FOREIGN)
    (folder / "w.bin").write_text("x")
    store = kept.server.model_store
    command = ["torch-model-archiver", "--model-name", name, "--version", version, "--handler", "other_handler.py", "--serialized-file", "w.bin"]
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    assert processes.run([*command, "--export-path", str(store)], timeout_s=60, env=path, folder=folder).code == 0
    kept.server.client.register(store / f"{name}.mar", name=name, version=version)


def test_a_journal_of_another_store_moves_no_alias_of_ours(kept: Kept, drifting_csv: Path) -> None:
    flags = (*data_flags(drifting_csv), "--history", 0, "--max_epochs", 1, "--train_base", "--torchserve_url", kept.url)
    watch = ("--test_data_rows", 20, "--block_size", 20, "--drift_rule", "never", "--on_drift", "ignore")
    journal = kept.server.model_store / "swap-drift_model.json"
    entry = {"name": "drift_model", "version": "4", "previous_version": "3", "step": swap.MOVE_ALIAS, "run_id": OTHER_RUN}
    journal.write_text(json.dumps(entry))
    refused = kept.workshop.run("deploy_model", *flags, *watch)
    assert refused.code == 6 and "by another MLflow store was interrupted" in refused.complaint("deploy_model")
    assert not kept.workshop.runs() and not kept.workshop.client.search_registered_models()
    assert kept.workshop.run("deploy_model", *flags, *watch, "--take_over").code == 0


def test_serving_alone_scores_nothing_and_serves_the_winner_of_a_swap_that_was_cut_off(kept: Kept, drifting_csv: Path) -> None:
    flags = (*data_flags(drifting_csv), "--history", 0, "--max_epochs", 1)
    serve = (*flags, "--json", "--serve_only", "--test_data_rows", 1_000_000)  # more rows than there are, as after a champion that was trained on the last one
    refused = kept.workshop.run("deploy_model", *serve, "--train_base")
    assert refused.code == 2 and "--serve_only is given without --torchserve_url" in refused.complaint("deploy_model")
    first = kept.workshop.run("deploy_model", *serve, "--train_base", "--torchserve_url", kept.url)
    assert first.code == 0, first.err
    served = json.loads(first.out.splitlines()[-1])
    assert kept.served("drift_model")["run_id"] == served["run_id"]
    assert {role(run) for run in kept.workshop.runs()} == {"base", "trial"}

    second = kept.workshop.run("base_model", *flags, "--json", "--seed", 11)
    winner = json.loads(second.out.splitlines()[-1])["run_id"]
    with kept.workshop.entered():
        client = kept.workshop.client
        client.set_tag(winner, "mlflow.parentRunId", served["run_id"])  # as a retrain's
        assert Registry(client, "drift_model").register(source=f"runs:/{winner}/model", run_id=winner) == "2"
    entry = {"name": "drift_model", "version": "2", "previous_version": "1", "step": swap.MOVE_ALIAS, "run_id": winner, "previous_run_id": served["run_id"]}
    (kept.server.model_store / "swap-drift_model.json").write_text(json.dumps(entry))
    kept.server.client.unregister(name="drift_model", version="1")  # as a server that has started again
    again = kept.workshop.run("deploy_model", *serve, "--torchserve_url", kept.url, "--base_run_id", served["run_id"])
    assert again.code == 0, again.err
    assert kept.served("drift_model")["run_id"] == winner
    assert Registry(kept.workshop.client, "drift_model").holder(CHAMPION) == "2"
