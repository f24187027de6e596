"""rollback_model.py undoes a swap by the protocol of a promotion, says who and why, and changes nothing where it cannot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from script_fixtures import Ran, Workshop, data_flags

from driftloop.serving import exclusive, swap
from driftloop.serving.torchserve import TorchServe
from driftloop.tracking.promotions import promotion_log
from driftloop.tracking.promotions.promotion_log import Promotion
from driftloop.tracking.registry import CHAMPION, PREVIOUS, Registry
from monitoring.local.parts import free_torchserve_ports

NAME = "drift_model"


@dataclass(frozen=True)
class TwoVersions:
    """A server of ours with a champion that replaced another version, and the flags that read its table."""

    workshop: Workshop
    server: TorchServe
    flags: tuple[object, ...]
    runs: tuple[str, str]  # that trained versions 1 and 2

    def back(self, *more: object, served: bool = True, **environment: str) -> Ran:
        where = (*self.flags, "--torchserve_url", self.server.client.inference_url) if served else ()
        return self.workshop.run("rollback_model", "--json", *where, *more, **environment)

    @property
    def registry(self) -> Registry:
        return Registry(self.workshop.client, NAME)

    def served(self) -> tuple[str, str]:
        """The version that answers, and the run that trained it."""
        answer = requests.post(f"{self.server.client.inference_url}/predictions/{NAME}", json={"instances": [[0.2, 0.7]]}, timeout=30).json()
        return answer["model_version"], answer["run_id"]

    def state(self) -> tuple[Any, ...]:
        registered = [(one.version, one.tags, one.description) for one in self.workshop.client.search_model_versions(f"name = '{NAME}'")]
        return self.registry.holder(CHAMPION), self.registry.holder(PREVIOUS), registered, self.served(), self.server.client.versions(name=NAME)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, drifting_csv: Path) -> Iterator[TwoVersions]:
    folder, ports = tmp_path_factory.mktemp("two"), free_torchserve_ports()
    workshop, flags = Workshop(folder), data_flags(drifting_csv)
    fit = (*flags, "--history", 0, "--max_epochs", 1, "--json")
    with TorchServe(folder / ".driftloop" / f"127.0.0.1-{ports.inference}", ports=ports) as server:
        serve = ("deploy_model", *fit, "--serve_only", "--train_base", "--torchserve_url", server.client.inference_url)
        first = workshop.run(*serve).result["run_id"]
        second = workshop.run("base_model", *fit, "--seed", 11).result["run_id"]
        with workshop.entered():
            workshop.client.set_tag(second, "mlflow.parentRunId", first)  # as a retrain's
            registry = Registry(workshop.client, NAME)
            registry.promote(registry.register(source=f"runs:/{second}/model", run_id=second), reason="fixes 24 errors")
        assert workshop.run(*serve, "--base_run_id", first).result["version"] == "2"
        yield TwoVersions(workshop, server, flags, (first, second))
        server.close(grace_s=0)


def test_it_goes_back_and_forth_without_a_gap_and_says_who_and_why(two: TwoVersions) -> None:
    before = two.state()
    assert before[3] == ("2", two.runs[1])

    done = two.back("--reason", "complaints about night hours", DRIFTLOOP_ASKED_BY="ann")
    assert done.code == 0, done.err
    assert done.result == {"version": "1", "from_version": "2", "run_id": two.runs[0], "who": "ann", "reason": "complaints about night hours"}
    assert (two.served(), two.registry.holder(CHAMPION), two.registry.holder(PREVIOUS)) == (("1", two.runs[0]), "1", None)
    assert two.server.client.versions(name=NAME) == ["1"], "the version that was left is drained and unregistered"
    version = two.workshop.client.get_model_version(NAME, "1")
    assert "rolled back from version 2 by ann: complaints about night hours" in version.description.lower()
    newest = promotion_log.newest_first(two.registry)[0]
    assert (newest.action, newest.script, newest.before, newest.after) == ("rolled back", "rollback_model.py", "2", "1")

    again = two.back()
    assert again.code == 4 and "has no previous version: none served before version 1" in again.complaint("rollback_model")
    forth = two.back("--version", 2)
    assert forth.code == 0 and two.served() == ("2", two.runs[1])
    assert (two.registry.holder(CHAMPION), two.registry.holder(PREVIOUS)) == ("2", "1")


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--version", 2), 2, "--version 2: it is the champion of drift_model already"),
        (("--version", 9), 4, "drift_model has no version 9: give one of 1, 2"),
        (("--register_model_name", "nobodys"), 4, "there is no registered model 'nobodys'"),
        (("--version", "x"), 2, "--version"),
    ],
)
def test_what_cannot_be_gone_back_to_changes_nothing(two: TwoVersions, flags: tuple[object, ...], code: int, words: str) -> None:
    before = two.state()
    for served in (True, False):
        refused = two.back(*flags, served=served)
        assert refused.code == code and words in refused.complaint("rollback_model")
    assert two.state() == before


def test_a_table_of_another_schema_is_refused_before_anything_changes(two: TwoVersions) -> None:
    before = two.state()
    refused = two.back("--features", "x1")
    assert refused.code == 3 and "was trained on features x1, x2" in refused.complaint("rollback_model")
    assert two.state() == before


def test_while_another_watches_or_swaps_nothing_is_changed(two: TwoVersions) -> None:
    before, folder = two.state(), two.server.model_store
    with exclusive.alone(folder / f"owner-{NAME}.lock", taken=""):
        refused = two.back()
        assert refused.code == 6 and f"another process watches {NAME}" in refused.complaint("rollback_model")
    with exclusive.alone(folder / f"swap-{NAME}.lock", taken=""):
        refused = two.back()
        assert refused.code == 6 and "another process is swapping models there" in refused.complaint("rollback_model")
    assert two.state()[:2] + two.state()[3:] == before[:2] + before[3:]


def test_a_rollback_that_was_cut_off_is_finished_as_what_it_was(two: TwoVersions) -> None:
    made = promotion_log.made("rolled back", why="complaints", script="rollback_model.py", run_id=two.runs[1])
    text = Promotion.text(made.__class__(**{**vars(made), "before": "1", "after": "2"}))
    entry = {"name": NAME, "version": "2", "previous_version": "1", "step": swap.MOVE_ALIAS, "run_id": two.runs[1], "previous_run_id": two.runs[0]}
    (two.server.model_store / f"swap-{NAME}.json").write_text(json.dumps(entry | {"decision": text}))
    refused = two.back("--version", 2)  # recovers first, and finds the version in service already
    assert refused.code == 2
    refused = two.back("--version", 2)
    assert refused.code == 2 and two.served() == ("2", two.runs[1]) and two.registry.holder(CHAMPION) == "2"


def test_without_a_server_only_the_aliases_move_and_a_model_that_is_gone_is_not_made_champion(two: TwoVersions) -> None:
    moved = two.back(served=False)
    assert moved.code == 0 and "no server was changed" in moved.err
    assert (two.registry.holder(CHAMPION), two.served()[0]) == ("1", "2")
    assert two.back("--version", 2, served=False).code == 0
    folder = Path(two.workshop.client.get_run(two.runs[0]).info.artifact_uri.removeprefix("file://"))
    shutil.move(folder / "network", folder / "elsewhere")
    before = two.state()
    for served in (True, False):
        gone = two.back(served=served)
        assert gone.code == 4 and f"run {two.runs[0]} has no trained model" in gone.complaint("rollback_model")
    assert two.state() == before
