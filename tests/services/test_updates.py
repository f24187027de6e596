"""A network in service learns the labels of each block: its last layer by a filter, or the whole by a warm fit; the workers take its weights in place."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from car_table import car_stream
from handler_context import FakeContext, initialized
from serving_fixtures import elec_model, some_rows

from driftloop.data import synthetic
from driftloop.data.streams import Stream
from driftloop.errors import ServingError
from driftloop.serving import states
from driftloop.settings import DEFAULT_PARAMS
from driftloop.training import fitting, trained_model
from driftloop.training.online import last_layer
from driftloop.training.online.last_layer import LastLayer
from driftloop.training.online.updating import updater
from driftloop.training.online.warm_fit import WarmFit
from driftloop.training.table.table_learner import TABLE
from handler import ElecHandler
from learner import ELEC

FIRST, ROWS, BLOCK = 600, 1400, 50


def fitted_to(stream: Stream) -> Any:
    return fitting.fit(ELEC, stream, dict(DEFAULT_PARAMS), train=(0, FIRST), max_epochs=3, seed=7).model


@pytest.fixture(scope="module")
def stream() -> Stream:
    return synthetic.make("sea", rows=ROWS, seed=3, drift="abrupt", at=FIRST + 100).stream


@pytest.fixture(scope="module")
def model(stream: Stream) -> Any:
    return fitted_to(stream)


def right(model: Any, stream: Stream, start: int, stop: int) -> int:
    return int((trained_model.predictions(model, stream, start, stop) == stream.labels[start:stop]).sum())


def played(made: Any, model: Any, stream: Stream) -> tuple[int, int]:
    """Correct predictions after the change of the updated network and of the one that stays, each block predicted before it is learned."""
    updated, now, stays = model, 0, 0
    for start in range(FIRST, ROWS, BLOCK):
        now += right(updated, stream, start, start + BLOCK)
        stays += right(model, stream, start, start + BLOCK)
        updated = made.learn(start, start + BLOCK)
    return now, stays


def test_a_network_whose_last_layer_is_filtered_follows_a_drift(model: Any, stream: Stream) -> None:
    now, stays = played(LastLayer(model, stream, (0, FIRST)), model, stream)
    assert now > stays + 20


def test_only_the_last_layer_changes_and_the_network_it_came_from_does_not(model: Any, stream: Stream) -> None:
    before = copy.deepcopy(model.state_dict())
    updated = LastLayer(model, stream, (0, FIRST)).learn(FIRST, FIRST + BLOCK)
    changed = {name for name, weight in updated.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == {"head.2.weight", "head.2.bias"}
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_an_update_knows_no_label_of_a_later_row(model: Any, stream: Stream) -> None:
    other = dataclasses.replace(stream, labels=np.concatenate([stream.labels[: FIRST + BLOCK], 1 - stream.labels[FIRST + BLOCK :]]))
    one, two = (LastLayer(model, rows, (0, FIRST)).learn(FIRST, FIRST + BLOCK) for rows in (stream, other))
    assert all(torch.equal(weight, two.state_dict()[name]) for name, weight in one.state_dict().items())


def test_before_it_has_learned_a_thing_the_filter_is_the_trained_layer(model: Any, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LastLayer, "_step", lambda *_: None)
    same = LastLayer(model, stream, (0, FIRST)).learn(FIRST, ROWS)
    assert np.abs(trained_model.predict(same, stream, 0, ROWS) - trained_model.predict(model, stream, 0, ROWS)).max() < 1e-5


def test_of_many_classes_the_last_layer_is_filtered_too(stream: Stream) -> None:
    classes = (stream.rows[:, 0] > 3).astype(np.int64) + (stream.rows[:, 0] > 7)
    moved = np.where(np.arange(ROWS) < FIRST + 100, classes, (classes + 1) % 3)
    three = dataclasses.replace(stream, labels=moved, label_names=("a", "b", "c"))
    trained = fitted_to(three)
    now, stays = played(LastLayer(trained, three, (0, FIRST)), trained, three)
    assert now > stays + 200


def test_rows_without_end_or_sense_leave_finite_weights(model: Any, stream: Stream) -> None:
    rows = stream.rows.copy()
    rows[FIRST : FIRST + BLOCK] = 1e300
    wild = dataclasses.replace(stream, rows=rows, labels=np.where(np.arange(ROWS) % 2, 0, 1))
    made = LastLayer(model, wild, (0, FIRST))
    for start in range(FIRST, ROWS, BLOCK):
        assert fitting.is_finite(made.learn(start, start + BLOCK))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_network_without_such_a_layer_is_fitted_on_from_its_own_weights(task: str, tmp_path: Path) -> None:
    cars = car_stream(tmp_path, task=task)
    stop = 200
    fitted = fitting.fit(TABLE, cars, {**TABLE.base_params, "width": 8}, train=(0, stop), max_epochs=1, seed=7)
    known = trained_model.KnownModel(fitted.model, fitted.params, fitted.trained, 0, {}, "", "")
    assert not last_layer.fits(known.model, cars, (0, stop))
    made = updater(TABLE, cars, known, block_rows=20, seed=7)
    assert isinstance(made, WarmFit)
    before = copy.deepcopy(known.model.state_dict())
    updated = made.learn(stop, stop + 40)
    assert any(not torch.equal(weight, before[name]) for name, weight in updated.state_dict().items())
    assert all(torch.equal(weight, before[name]) for name, weight in known.model.state_dict().items())
    assert dict(updated.hparams) == dict(known.model.hparams)  # the archive's card is made from them


def test_the_window_model_gets_the_filter(model: Any, stream: Stream) -> None:
    known = trained_model.KnownModel(model, dict(DEFAULT_PARAMS), (0, FIRST), 0, {}, "", "")
    assert isinstance(updater(ELEC, stream, known, block_rows=20, seed=7), LastLayer)


# The workers


RUN = "0" * 32


@pytest.fixture
def served(tmp_path: Path) -> tuple[ElecHandler, ElecHandler, Path, Any]:
    """Two workers of one version that is updated in place, the folder of its updates, and its model."""
    small, where = elec_model(), states.folder(tmp_path, name="elec", version="3", run_id=RUN)
    home = tmp_path / "model"
    home.mkdir()
    card = small.card("3") | {"run_id": RUN, "updates": str(where)}
    (home / "model.json").write_text(json.dumps(card))
    (home / "elec_model.py").write_bytes(small.file.read_bytes())
    torch.save(small.model.state_dict(), home / "weights.pt")
    return initialized(home), initialized(home), where, small.model


def asked(worker: ElecHandler, tmp_path: Path) -> tuple[np.ndarray, int]:
    (answer,) = worker.handle([{"body": {"instances": some_rows(5).tolist()}}], FakeContext(tmp_path))
    found = json.loads(answer)
    return np.array([one["probabilities"] for one in found["predictions"]]), found["update"]


def state(seed: int) -> dict[str, torch.Tensor]:
    return dict(elec_model(seed=seed).model.state_dict())


def test_every_worker_answers_from_the_newest_state(served: Any, tmp_path: Path) -> None:
    one, two, where, model = served
    assert asked(one, tmp_path)[1] == 0 and np.allclose(asked(one, tmp_path)[0], model.probabilities(some_rows(5)), atol=1e-7)
    for update in (1, 2):
        states.write(where, state(update), update=update, run_id=RUN)
        for worker in (one, two):
            answer, number = asked(worker, tmp_path)
            assert number == update and np.array_equal(answer, elec_model(seed=update).model.probabilities(some_rows(5)).astype(np.float64))
    assert initialized(tmp_path / "model").update == 0  # a new worker looks at its first batch
    assert asked(initialized(tmp_path / "model"), tmp_path)[1] == 2


def not_finite(where: Path) -> None:
    states.write(where, {name: tensor * torch.nan for name, tensor in state(2).items()}, update=2, run_id=RUN)


def another_shape(where: Path) -> None:
    states.write(where, dict(elec_model(history=4).model.state_dict()), update=2, run_id=RUN)


def another_run(where: Path) -> None:
    states.write(where, state(2), update=2, run_id="1" * 32)


def half_written(where: Path) -> None:
    (where / states.STATE).write_bytes((where / states.STATE).read_bytes()[:200])
    os.utime(where / states.STATE, ns=(1, 1))


@pytest.mark.parametrize("spoil", [not_finite, another_shape, another_run, half_written, states.drop])
def test_a_state_that_does_not_fit_leaves_the_one_in_service(spoil: Any, served: Any, tmp_path: Path) -> None:
    one, _, where, _ = served
    states.write(where, state(1), update=1, run_id=RUN)
    before = asked(one, tmp_path)
    spoil(where)
    after = asked(one, tmp_path)
    assert after[1] == 1 and np.array_equal(before[0], after[0])
    states.write(where, state(3), update=3, run_id=RUN)
    assert asked(one, tmp_path)[1] == 3


def test_a_version_that_is_not_updated_looks_for_nothing_and_says_nothing(tmp_path: Path) -> None:
    small = elec_model()
    (tmp_path / "model.json").write_text(json.dumps(small.card("3")))
    (tmp_path / "elec_model.py").write_bytes(small.file.read_bytes())
    torch.save(small.model.state_dict(), tmp_path / "weights.pt")
    (answer,) = initialized(tmp_path).handle([{"body": {"instances": some_rows(1).tolist()}}], FakeContext(tmp_path))
    assert "update" not in json.loads(answer)


def test_updates_of_other_models_stay(tmp_path: Path) -> None:
    ours, old, other = (states.folder(tmp_path, name=name, version=version, run_id=RUN) for name, version in (("a", "2"), ("a", "1"), ("a-3", "1")))
    for where in (ours, old, other):
        states.write(where, state(1), update=1, run_id=RUN)
    states.drop_others(tmp_path, name="a", keep=ours)
    assert ours.is_dir() and other.is_dir() and not old.exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServingError, match="update 4 cannot be written"):
        states.write(tmp_path / "file" / "below", state(1), update=4, run_id=RUN)
