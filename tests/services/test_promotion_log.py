"""The promotion log states who decided what, when and why, in a SQLite store and over HTTP; and going back by its tags undoes swap after swap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from store_fixtures import StoreWorkshop, store

from driftloop.errors import DataError, TrackingError
from driftloop.settings import ASKED_BY
from driftloop.tracking import mlflow_store
from driftloop.tracking.promotions import promotion_log
from driftloop.tracking.promotions.promotion_log import DEPLOYED, PROMOTED, REFUSED, ROLLED_BACK, TAG, Promotion
from driftloop.tracking.registry import CHAMPION, PREVIOUS, Registry
from monitoring.http.answers import new_app
from monitoring.online.promotions import promotions_view


@pytest.fixture(scope="module", params=["sqlite", "http"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreWorkshop]:
    with store(request.param, tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.fixture
def registry(opened: StoreWorkshop, request: pytest.FixtureRequest) -> Iterator[Registry]:
    """A registered model with three versions, of which none serves."""
    with opened.entered():
        client = mlflow_store.open_store("one").client
        found = Registry(client, f"model{abs(hash(request.node.nodeid))}")
        for _ in range(3):
            run_id = client.create_run("1").info.run_id
            found.register(source=f"runs:/{run_id}/model", run_id=run_id)
        yield found


def decide(registry: Registry, action: str, version: str, why: str = "a test") -> Promotion:
    made = promotion_log.made(action, why=why, script="lifecycle.py", run_id=registry.run_of(version), evidence={"p_value": 0.01}, rows=(10, 58))
    made = replace(made, before=registry.holder(CHAMPION) or "", after=version)
    promotion_log.carry_out(registry, made)
    return made


def aliases(registry: Registry) -> tuple[str | None, str | None]:
    return registry.holder(CHAMPION), registry.holder(PREVIOUS)


def test_every_decision_is_read_back_newest_first(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    first = decide(registry, DEPLOYED, "1")
    monkeypatch.setenv(ASKED_BY, "the alert ModelDrift")
    second = decide(registry, PROMOTED, "2", why="fixes 24 errors\nin two lines, ünïcode | and more")
    refused = promotion_log.made(REFUSED, why="no better", script="retrain_model.py", run_id="r" * 32, rows=(58, 106))
    promotion_log.refuse(registry, refused)
    assert promotion_log.newest_first(registry) == [replace(refused, before="2", after="2"), second, first]
    assert (second.who, second.before, second.after, second.rows) == ("the alert ModelDrift", "1", "2", (10, 58))


def test_a_champion_that_stays_and_a_decision_that_is_carried_out_again_are_not_logged_twice(registry: Registry) -> None:
    made = decide(registry, PROMOTED, "1")
    promotion_log.carry_out(registry, made)  # as the recovery of a swap does
    decide(registry, DEPLOYED, "1")
    assert promotion_log.newest_first(registry) == [made]


def test_a_decision_that_the_server_refused_is_logged_as_refused(registry: Registry) -> None:
    decide(registry, DEPLOYED, "1")
    made = replace(promotion_log.made(PROMOTED, why="better", script="lifecycle.py"), before="1", after="2")
    registry.tag("2", {TAG + made.at: made.text()})
    promotion_log.refuse(registry, made, why="not swapped in: no memory")
    newest = promotion_log.newest_first(registry)[0]
    assert (newest.action, newest.why, newest.before, newest.after, newest.at) == (REFUSED, "not swapped in: no memory", "1", "1", made.at)
    assert len(promotion_log.newest_first(registry)) == 2


def test_without_a_champion_a_refusal_is_no_fault_and_the_log_is_empty(registry: Registry) -> None:
    promotion_log.refuse(registry, promotion_log.made(REFUSED, why="no better", script="retrain_model.py"))
    assert promotion_log.newest_first(registry) == []
    assert promotion_log.newest_first(Registry(registry.client, "unknown")) == []


def test_going_back_undoes_one_swap_after_another(registry: Registry) -> None:
    assert registry.previous() is None
    for version in "123":
        decide(registry, PROMOTED, version)
    assert (registry.previous(), registry.before("3")) == ("2", ["2", "1"])
    decide(registry, ROLLED_BACK, "2", why="complaints")
    assert aliases(registry) == ("2", "1")
    decide(registry, ROLLED_BACK, "1")
    assert aliases(registry) == ("1", None)
    assert registry.previous() is None
    decide(registry, ROLLED_BACK, "3")  # forward again, which is a swap
    assert aliases(registry) == ("3", "1")
    assert registry.client.get_model_version(registry.name, "3").tags["driftloop.rolled_back"] == "to version 2: complaints"


def test_going_back_twice_at_once_is_going_back_once(registry: Registry) -> None:
    for version in "12":
        decide(registry, PROMOTED, version)
    made = [replace(promotion_log.made(ROLLED_BACK, why=why, script="rollback_model.py"), before="2", after="1") for why in ("one", "two")]
    for decision in made:
        promotion_log.carry_out(registry, decision)
    assert aliases(registry) == ("1", None)


def test_a_champion_that_a_person_made_in_mlflow_can_be_left(registry: Registry) -> None:
    decide(registry, DEPLOYED, "1")
    registry.client.set_registered_model_alias(registry.name, PREVIOUS, "1")
    registry.client.set_registered_model_alias(registry.name, CHAMPION, "3")
    assert registry.previous() == "1"


def test_a_version_that_was_deleted_is_not_gone_back_to(registry: Registry) -> None:
    for version in "12":
        decide(registry, PROMOTED, version)
    registry.client.delete_model_version(registry.name, "1")
    assert registry.previous() is None


def test_a_tag_that_is_no_decision_is_named(registry: Registry) -> None:
    registry.tag("1", {f"{TAG}x": "{}"})
    with pytest.raises(DataError, match="no entry of the promotion log"):
        promotion_log.newest_first(registry)


def test_a_long_reason_is_cut_and_a_user_without_a_name_has_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion_log.getpass, "getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    made = promotion_log.made(PROMOTED, why="x" * 9000, script="lifecycle.py")
    assert len(made.why) == promotion_log.LONGEST
    assert made.who.startswith("user ")


# GET /promotions of the monitor


def answers(read: promotions_view.Log | None) -> FlaskClient:
    app = new_app("monitoring", max_bytes=1000, at_most="1 record")
    promotions_view.add_route(app, {"elec": "drift_model", "taxi": "taxi_model"}, read)
    return app.test_client()


def test_the_monitor_answers_the_log_of_all_its_streams_or_of_one(registry: Registry) -> None:
    decide(registry, DEPLOYED, "1")
    second = decide(registry, PROMOTED, "2")
    logs = {"drift_model": promotion_log.newest_first(registry), "taxi_model": []}
    client = answers(lambda model: logs[model])
    found = client.get("/promotions").get_json()
    assert (found["total"], [one["action"] for one in found["promotions"]]) == (2, ["promoted", "deployed"])
    newest = found["promotions"][0]
    assert (newest["stream"], newest["model"], newest["from"], newest["to"]) == ("elec", "drift_model", "1", "2")
    assert (newest["rows"], newest["evidence"], newest["at"]) == ({"first": 10, "stop": 58}, {"p_value": 0.01}, second.at)
    assert client.get("/promotions?stream=taxi").get_json() == {"promotions": [], "total": 0}


def test_a_stream_that_is_not_there_a_missing_registry_and_one_that_is_unreachable_are_named() -> None:
    def away(_: str) -> list[Promotion]:
        raise TrackingError("the store does not answer")

    for client, path, status, code in (
        (answers(lambda _: []), "/promotions?stream=x", 404, "unknown_stream"),
        (answers(lambda _: []), "/promotions?stream=elec&stream=taxi", 404, "unknown_stream"),
        (answers(None), "/promotions", 404, "no_registry"),
        (answers(away), "/promotions", 503, "registry_away"),
    ):
        refused = client.get(path)
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (status, code)
