"""A model that takes values as they are, on a real TorchServe: it gets texts and nulls, and answers as the local model does."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from car_table import LEARNER, TRAINED, car_model, car_stream, known_model

from driftloop.data.schema.schema import Column
from driftloop.errors import ArchiveError, ServingError
from driftloop.serving import archive, golden, request_values, torchserve_client
from driftloop.serving.golden import Golden
from driftloop.serving.site import Site, TorchServeDeployment
from driftloop.training import trained_model

NAMES = (f"cars{number}" for number in count())
FUEL = Column("fuel", "feature", "category", categories=("gas", "é🔌"))
POWER = Column("power", "feature", "number")


@pytest.fixture(params=["classification", "regression"])
def stream(request, tmp_path):
    return car_stream(tmp_path, task=request.param)


@pytest.mark.parametrize("history", [0, 3])
def test_a_deployed_model_is_asked_with_texts_and_nulls_and_answers_like_the_local_one(torchserve, model_store, stream, history, monkeypatch):
    known, sent, ask = known_model(stream, car_model(stream, history=history)), [], torchserve_client.TorchServeClient._call

    def heard(self, method, url, **options):
        sent.append(options.get("data"))
        return ask(self, method, url, **options)

    monkeypatch.setattr(torchserve_client.TorchServeClient, "_call", heard)
    client, name = torchserve.client, next(NAMES)
    deployment = TorchServeDeployment(Site(client, model_store), name=name, learner=LEARNER, stream=stream, registry=None, restore=lambda _: None)
    deployment.put(known, move_alias=lambda: None)  # golden predictions included
    start = TRAINED + 40  # among them rows with a fuel that the training rows do not have
    served, version = deployment.predict(stream.rows[start:], stream.rows[start - history : start])
    local = trained_model.predict(known.model, stream, start, len(stream))
    assert version == "1" and golden.difference(served, local) <= 1e-6
    asked = [json.loads(body, parse_constant=pytest.fail)["instances"] for body in sent if body]
    assert asked[0][-2] == [None] * 7 and "unseen" in asked[0][-1], "the golden rows hold one without values, and one of unseen texts"
    assert {"hydrogen", "gas", None} < {row[3] for row in asked[-1]} and {row[4] for row in asked[-1]} == {True, False, None}
    client.unregister(name=name, version="1")


def test_golden_predictions_find_a_card_whose_categories_are_in_another_order(torchserve, model_store, tmp_path):
    stream, name = car_stream(tmp_path), next(NAMES)
    known = known_model(stream, car_model(stream))
    wrong = [{**column, "categories": column["categories"][::-1]} for column in known.card["columns"]]
    client = torchserve.client
    site = Site(client, model_store)
    deployment = TorchServeDeployment(site, name=name, learner=LEARNER, stream=stream, registry=None, restore=lambda _: None)
    with pytest.raises(ServingError, match="golden predictions differ"):
        deployment.put(replace(known, card=known.card | {"columns": wrong}), move_alias=lambda: None)
    assert client.versions(name=name) == []


@pytest.mark.parametrize("unusual", [-2, -1])
def test_a_server_that_takes_missing_or_unseen_values_otherwise_is_found_out(tmp_path, unusual):
    stream = car_stream(tmp_path)
    known = known_model(stream, car_model(stream))
    deployment = TorchServeDeployment(Site(None, tmp_path), name="cars", learner=LEARNER, stream=stream, registry=None, restore=lambda _: None)
    expected = deployment._golden(known)
    others = expected.outputs.copy()
    others[unusual] = others[unusual, ::-1]

    class Client:
        def predict(self, rows, *, columns, **_):
            json.dumps(request_values.of_rows(rows, columns), allow_nan=False)
            return torchserve_client.ServedAnswer(others, ("1",) * len(rows))

    with pytest.raises(ServingError, match="golden predictions differ"):
        golden.prove(Client(), expected, name="cars", version="1", run_ids={""})


def test_golden_rows_of_a_numeric_model_are_its_newest_training_rows_alone(tmp_path):
    stream = replace(car_stream(tmp_path), rows=np.arange(2800.0).reshape(400, 7))
    known = known_model(stream, car_model(stream))
    numeric = replace(LEARNER, values_as_they_are=False)
    deployment = TorchServeDeployment(Site(None, tmp_path), name="cars", learner=numeric, stream=stream, registry=None, restore=lambda _: None)
    found = deployment._golden(known)
    assert isinstance(found, Golden) and found.columns == () and np.array_equal(found.rows, stream.rows[TRAINED - 8 : TRAINED])


def test_infinity_is_never_sent_and_nan_only_to_a_model_that_takes_missing_values(torchserve):
    bad, gap = np.array([[0.0, np.inf]]), np.array([[0.0, np.nan]])
    for rows, columns in ((bad, [FUEL, POWER]), (bad, []), (gap, [])):
        with pytest.raises(ServingError, match="not finite"):
            torchserve.client.predict(rows, name="nobody", columns=columns)
    assert request_values.of_rows(gap, [FUEL, POWER]) == [["gas", None]]


def test_requests_with_long_texts_stay_under_the_servers_limit():
    column = Column("note", "feature", "category", categories=tuple(f"{at} {'🚗' * 3000}" for at in range(20)))
    rows = np.random.default_rng(0).integers(0, 20, (2000, 1)).astype(float)
    parts = list(torchserve_client._requests(rows, rows[:5], [column]))
    assert np.array_equal(np.concatenate([chunk for chunk, _ in parts]), rows) and len(parts) > 1
    for chunk, before in parts:
        assert len(json.dumps([request_values.of_rows(chunk, [column]), request_values.of_rows(before, [column])])) < torchserve_client.MAX_REQUEST_BYTES + 1000


def test_a_card_with_columns_is_archived_and_one_with_another_key_is_not(tmp_path):
    stream = car_stream(tmp_path)
    known = known_model(stream, car_model(stream))
    card = {key: known.card[key] for key in (archive.CARD_KEYS | {"columns", "task"}) & known.card.keys()} | {"version": "1"}
    parts = {"state_dict": known.model.state_dict(), "model_file": LEARNER.model_file, "handler_file": LEARNER.handler_file, "store": tmp_path}
    mar = archive.build_mar(name="cars", version="1", card=card, **parts)
    columns = archive.check_mar(mar, name="cars", version="1")["columns"]
    assert [(column["name"], column["kind"], len(column["categories"])) for column in columns] == [
        ("km", "number", 0),
        ("discount", "number", 0),
        ("power", "number", 0),
        ("fuel", "category", 4),
        ("sold", "boolean", 0),
        ("checked", "boolean", 2),
        ("zone", "category", 3),
    ]
    with pytest.raises(ArchiveError, match="give exactly"):
        archive.build_mar(name="cars", version="1", card=card | {"colour": 1}, **parts)
