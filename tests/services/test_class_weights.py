"""Balanced class weights let the table learner find more rows of a rare class; a learner that takes none is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from driftloop.data import streams
from driftloop.data.streams import Stream
from driftloop.errors import SettingsError
from driftloop.training import trained_model
from driftloop.training.fitting import fit
from driftloop.training.table.table_learner import BASE_PARAMS, TABLE
from driftloop.watch import preparation
from learner import ELEC


@pytest.fixture
def rare(tmp_path: Path) -> Stream:
    """A label of which one row in twelve is "yes"."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 2))
    label = np.where(x[:, 0] + rng.normal(size=1500) > 2, "yes", "no")
    times = pd.date_range("2024-01-01", periods=1500, freq="h")
    path = tmp_path / "rare.csv"
    pd.DataFrame({"time": times, "a": x[:, 0], "b": x[:, 1], "target": label}).to_csv(path, index=False)
    return streams.load(path, time_column="time", values_as_they_are=True, missing="learn", task_name="")


def test_balanced_weights_find_more_rows_of_the_rare_class(rare: Stream) -> None:
    found = []
    for weights in ({}, {"class_weights": "balanced"}):
        fitted = fit(TABLE, rare, BASE_PARAMS | {"width": 16} | weights, train=(0, 1000), max_epochs=3, seed=7)
        predicted, labels = trained_model.predictions(fitted.model, rare, 1000, 1500), rare.labels[1000:1500]
        found.append(float((predicted == 1)[labels == 1].mean()))
    assert found[1] > found[0] + 0.2
    weights = trained_model.card_of(fitted, learner=TABLE, stream=rare)["arguments"]["class_weights"]
    assert weights[1] > 5 and weights[0] < 1


def test_a_learner_or_a_label_without_class_weights_is_refused(rare: Stream) -> None:
    asked = SimpleNamespace(class_weights="balanced")
    with pytest.raises(SettingsError, match="ElecModel takes none"):
        preparation._check_class_weights(asked, ELEC, rare)
    with pytest.raises(SettingsError, match="the label is a value"):
        preparation._check_class_weights(asked, TABLE, SimpleNamespace(task="regression"))
    preparation._check_class_weights(asked, TABLE, rare)
