"""A version that is updated in place on the real TorchServe: every worker answers from the newest weights, also one that has just started."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from serving_fixtures import FEATURES, elec_model, some_rows

from driftloop.data.streams import Stream
from driftloop.errors import ServingError
from driftloop.serving.site import Site, TorchServeDeployment
from driftloop.serving.torchserve import TorchServe
from driftloop.training.trained_model import KnownModel
from learner import ELEC

NAMES = (f"updated{number}" for number in count())
RUN = "0123456789abcdef0123456789abcdef"
ROWS = some_rows(200)
TIMES = np.datetime64("2024-01-01", "ns") + np.arange(200) * np.timedelta64(3600 * 10**9, "ns")
STREAM = Stream("some", ROWS, np.zeros(200, dtype=np.int64), (0, 1), tuple(FEATURES), TIMES, 24, "some.csv", "")


def known(seed: int, version: str = "1") -> KnownModel:
    small = elec_model(seed=seed)
    return KnownModel(small.model, {"history": 0}, (0, 150), 0, small.card(version), RUN, "models:/m-x", version)


class Ours:
    """A registry whose runs are all ours."""

    def knows(self, run_id: str) -> bool:
        return True


@pytest.fixture
def deployed(torchserve: TorchServe, model_store: Path) -> Iterator[TorchServeDeployment]:
    registry: Any = Ours()
    site, name = Site(torchserve.client, model_store), next(NAMES)
    ours = TorchServeDeployment(site, name=name, learner=ELEC, stream=STREAM, registry=registry, restore=lambda _: None, workers=2, updatable=True)
    yield ours
    for version in sorted(ours.client.versions(name=name), key=lambda one: one == ours.client.default_version(name=name)):
        ours.client.unregister(name=name, version=version)
    ours.journal.unlink(missing_ok=True)


def answers(ours: TorchServeDeployment, times: int = 6) -> list[np.ndarray]:
    return [ours.predict(ROWS[:20], ROWS[:0])[0] for _ in range(times)]


def test_all_workers_answer_from_each_update_and_no_request_is_lost(deployed: TorchServeDeployment) -> None:
    deployed.put(known(0), move_alias=lambda: None)
    assert all(np.allclose(answer, known(0).model.probabilities(ROWS[:20]), atol=1e-6) for answer in answers(deployed))
    done, failed, expected = threading.Event(), list[Exception](), [known(seed).model.probabilities(ROWS[:20]) for seed in range(4)]

    def ask() -> None:
        while not done.is_set():
            try:
                answer = deployed.client.predict(ROWS[:20], name=deployed.name).probabilities
                assert any(np.allclose(answer, one, atol=1e-6) for one in expected)  # one state or another, never a mixture
            except (ServingError, AssertionError) as exc:
                failed.append(exc)

    asking = threading.Thread(target=ask)
    asking.start()
    for seed in (1, 2, 3):
        deployed.update(known(seed))
        assert all(np.allclose(answer, expected[seed], atol=1e-6) for answer in answers(deployed))
    done.set()
    asking.join()
    assert not failed and deployed.client.versions(name=deployed.name) == ["1"]


def test_a_worker_that_starts_again_has_the_newest_weights(deployed: TorchServeDeployment) -> None:
    deployed.put(known(0), move_alias=lambda: None)
    deployed.update(known(1))
    for worker in deployed.client.describe(name=deployed.name)["workers"]:
        psutil.Process(worker["pid"]).kill()
    assert all(np.allclose(answer, known(1).model.probabilities(ROWS[:20]), atol=1e-6) for answer in answers(deployed))


def test_a_swap_begins_with_the_archived_weights_and_drops_the_updates_before(deployed: TorchServeDeployment, model_store: Path) -> None:
    deployed.put(known(0), move_alias=lambda: None)
    deployed.update(known(1))
    assert not deployed.has_room_for(known(0))  # version 1 has other weights by now: the number is taken
    deployed.put(known(1, "2"), move_alias=lambda: None)
    assert deployed.has_room_for(known(1, "2"))
    deployed.update(known(2, "2"))
    assert [path.name for path in model_store.glob(f"updates-{deployed.name}-*")] == [f"updates-{deployed.name}-2-{RUN}"]


def test_a_version_that_was_served_without_updates_is_no_place_for_them(deployed: TorchServeDeployment) -> None:
    deployed.updatable = False
    deployed.put(known(0), move_alias=lambda: None)
    assert deployed.has_room_for(known(0))
    deployed.updatable = True
    assert not deployed.has_room_for(known(0))


def test_workers_that_do_not_see_the_folder_are_one_line(deployed: TorchServeDeployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.put(known(0), move_alias=lambda: None)
    monkeypatch.setattr(deployed, "_states", lambda _: tmp_path / "elsewhere")
    with pytest.raises(ServingError, match=r"did not take update 1 .* its workers must see that folder") as told:
        deployed.update(known(1))
    assert "\n" not in str(told.value)
