"""A label that the reference period never had and that the model has no probability of: it is counted as wrong, and ends nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import driftloop as dl
from driftloop.errors import DataError

ROWS = 3000
CLASSES = np.array(["ant", "cat", "dog"])
COLUMNS = [f"p_{name}" for name in CLASSES]
HOW: dict[str, Any] = {"target": "label", "prediction": "predicted", "time": "time", "reference": 1500, "block": 100}


def table(classes: np.ndarray) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    labels = rng.choice(classes, ROWS)
    predicted = np.where(rng.random(ROWS) < 0.8, labels, rng.choice(classes, ROWS))
    chances = np.where(predicted[:, None] == classes, 0.8, 0.2 / (len(classes) - 1))
    made = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=ROWS, freq="h"), "label": labels, "predicted": predicted})
    return made.assign(**{f"p_{name}": chances[:, at] for at, name in enumerate(classes)}, size=rng.random(ROWS))


def with_birds(given: pd.DataFrame) -> pd.DataFrame:
    later = (np.arange(ROWS) >= 2500) & (np.arange(ROWS) % 7 == 0)
    return given.assign(label=given.label.where(~later, "bird"))


@pytest.mark.parametrize("kpi", ["accuracy", "log_loss", "brier"])
@pytest.mark.parametrize("classes", [CLASSES, CLASSES[1:]], ids=["a column for each class", "one column for two"])
def test_it_is_a_class_of_probability_0_in_one_watch_and_in_updates(classes: np.ndarray, kpi: str) -> None:
    rows, probability = with_birds(table(classes)), COLUMNS if len(classes) > 2 else "p_dog"
    whole = dl.watch(rows, probability=probability, kpi=kpi, **HOW)
    assert "The model has no probability of the label 'bird': it counts as 0." in whole.notes
    assert whole.blocks[kpi].notna().all()
    watch = dl.watch(rows[:2000], probability=probability, kpi=kpi, **HOW)
    for first in range(2000, ROWS, 100):
        watch.update(rows[first : first + 100])
    assert watch.verdict == whole.verdict
    pd.testing.assert_frame_equal(watch.blocks, whole.blocks, rtol=1e-9, atol=1e-12)


def test_a_class_that_is_predicted_needs_its_probability() -> None:
    rows = table(CLASSES)
    rows.loc[2500:, "predicted"] = "bird"
    with pytest.raises(DataError, match="no column ends with the class 'bird'"):
        dl.watch(rows, probability=COLUMNS, **HOW)


def test_a_watch_in_a_prompt_is_its_sentence() -> None:
    watch = dl.watch(table(CLASSES), probability=COLUMNS, **HOW)
    assert repr(watch) == str(watch) and len(repr(watch)) < 1000


@pytest.mark.parametrize(("block", "told"), [(500, True), (50, False)])
def test_a_reference_period_of_few_blocks_is_noted_where_it_costs(block: int, told: bool) -> None:
    notes = dl.watch(table(CLASSES), **HOW | {"block": block, "features": ["size"]}).notes
    assert any("too few to see whether the accuracy wanders" in note for note in notes) is told
