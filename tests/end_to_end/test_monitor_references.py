"""The monitor finds the training reference of the version that serves, and the champion, in a real MLflow registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from monitor_records import prediction
from script_fixtures import KNOWN, Workshop, data_flags

from driftloop.errors import DataError, TrackingError
from driftloop.tracking import mlflow_store
from driftloop.tracking.registry import Registry
from monitoring.features import Feature
from monitoring.online.monitor import Monitor
from monitoring.references import Folder, Registered
from monitoring.stream_settings import StreamConfig

MODEL = "watched"
STREAM = StreamConfig(
    name="drifting",
    task="classification",
    kpi="accuracy",
    model=MODEL,
    features=(Feature("x1", 0, 1), Feature("x2", 0, 1)),
    block_size=20,
    threshold=0.8,
    fallback_by=("x1",),
    labels=(0, 1),
)


@pytest.fixture(scope="module")
def registered(workshop: Workshop, drifting_csv: Path) -> Iterator[Registered]:
    """A store with a base model whose version 1 is champion, while the tests run in it."""
    ran = workshop.run("base_model", *data_flags(drifting_csv), "--mlflow_experiment_name", "watched", "--json")
    assert ran.code == 0, ran.err
    run = workshop.runs("watched")[0]
    with workshop.entered():
        registry = Registry(mlflow_store.open_store(None).client, MODEL)
        registry.promote(registry.register(source=run.data.tags["driftloop.model_uri"], run_id=run.info.run_id), reason="a test")
        yield Registered()


def test_a_registered_version_has_the_reference_of_the_run_that_trained_it(registered: Registered) -> None:
    found = registered.find("drifting", MODEL, "1")
    assert (found.about.features, found.about.trained, len(found)) == (("x1", "x2"), (0, KNOWN), KNOWN)


def test_the_champion_is_the_registrys_and_nobody_is_where_there_is_no_model(registered: Registered) -> None:
    assert registered.champion(MODEL) == "1"
    assert registered.champion("nobody") == ""


def test_a_version_that_is_not_registered_is_told(registered: Registered) -> None:
    with pytest.raises(TrackingError, match="version 99"):
        registered.find("drifting", MODEL, "99")


@pytest.mark.parametrize(("power", "moved"), [(1, False), (3, True)])
def test_rows_as_the_model_was_trained_on_have_not_moved_and_others_have(registered: Registered, power: int, moved: bool) -> None:
    made = Monitor({"drifting": STREAM}, references=registered)
    rows = registered.find("drifting", MODEL, "1").rows[-200:]
    records = [prediction(row, stream="drifting") | {"features": {"x1": float(x1) ** power, "x2": float(x2)}} for row, (x1, x2) in enumerate(rows)]
    made.ingest("drifting", records)
    made.watchers["drifting"].think()
    assert made.watchers["drifting"].known().drift["data"] is moved


def test_a_folder_without_the_streams_reference_is_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(DataError, match="elec"):
        folder.find("elec", MODEL, "1")
    assert folder.champion(MODEL) == ""
