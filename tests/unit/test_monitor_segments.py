"""A stream with segments: the monitor names the one that has become worse, and no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from monitor_records import ELEC, label, prediction
from monitor_sample import feed, told

from driftloop.errors import SettingsError
from driftloop.metrics.task import CLASSIFICATION
from monitoring import stream_settings
from monitoring.features import Feature
from monitoring.online import status_page
from monitoring.online.monitor import Monitor
from monitoring.online.segments.served_segments import MOST_SEGMENTS, ServedSegments
from monitoring.stream_settings import StreamConfig

FUEL = Feature("fuel", texts=("gas", "oil", "wind"), required=False)
STREAM = replace(ELEC, features=(FUEL,), segments=("fuel",), fallback_by=(), block_size=100)


def run(fuels: np.ndarray, right: np.ndarray, config: StreamConfig = STREAM) -> ServedSegments:
    made = ServedSegments(config, CLASSIFICATION)
    for start in range(0, len(right), config.block_size):
        rows = slice(start, start + config.block_size)
        made.update([(value,) for value in fuels[rows]], 1.0 - right[rows], time=f"{start:06}")
    return made


def test_a_fall_in_a_small_segment_is_named_while_the_whole_is_fine() -> None:
    rng = np.random.default_rng(3)
    config = replace(STREAM, features=(*ELEC.features[1:], FUEL), threshold=0.8)
    made = Monitor({"elec": config})
    fuels = rng.choice(["gas", "oil", "wind"], 8000, p=[0.6, 0.35, 0.05])
    worse = (fuels == "wind") & (np.arange(8000) >= 3000)
    right = rng.random(8000) < np.where(worse, 0.4, 0.9)
    feed(made, [one for row in range(8000) for one in (prediction(row, right=bool(right[row]), features={"fuel": str(fuels[row])}), label(row))])
    found = told(made)
    assert [one["name"] for one in found["segments"] if one["drift"]] == ["fuel=wind"]
    assert found["segments"][0]["name"] == "fuel=wind" and found["segments"][0]["e_value"] >= 1 / config.alpha
    assert not found["kinds"]["performance"]
    text = made.metrics.text().decode()
    assert 'driftloop_segment_drift{segment="fuel=wind",stream="elec"} 1.0' in text
    assert 'driftloop_segment_kpi{segment="fuel=gas",stream="elec"} 0.' in text
    card = status_page.front(made, url="http://localhost").streams[0]
    assert next(fact.value for fact in card.facts if fact.name == "segments").startswith("worse than before: fuel=wind, accuracy 0.")


@pytest.mark.parametrize("segments", [2, 10])
def test_steady_streams_keep_the_false_alarm_rate_over_all_segments(segments: int) -> None:
    alarms = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        fuels = rng.integers(0, segments, 5000).astype(str).astype(object)
        alarms += any(one.drift for one in run(fuels, rng.random(5000) < 0.85).known())
    assert alarms <= 50 * STREAM.alpha


def test_missing_values_are_a_segment_and_new_ones_are_shown_not_judged() -> None:
    rng = np.random.default_rng(1)
    fuels = rng.choice(np.array(["gas", "oil", np.nan], object), 4000)
    fuels[3500:3600] = "coal"
    found = {one.name: one for one in run(fuels, rng.random(4000) < 0.9).known()}
    assert set(found) == {"fuel=gas", "fuel=oil", "fuel=missing", "fuel=new"}
    assert found["fuel=new"].rows == 100 and np.isnan(found["fuel=new"].e_value) and found["fuel=missing"].e_value >= 0


def test_values_that_are_missing_only_after_the_reference_period_are_shown() -> None:
    rng = np.random.default_rng(1)
    values = rng.random(4000)
    values[3500:3550] = np.nan
    found = run(values, rng.random(4000) < 0.9, replace(STREAM, features=(Feature("wind", required=False),), segments=("wind",))).known()
    assert found[-1].name == "wind=missing" and found[-1].rows == 50 and not found[-1].drift


def test_at_most_so_many_segments_are_judged_and_the_rest_is_said() -> None:
    rng = np.random.default_rng(1)
    fuels = rng.integers(0, 90, 4000).astype(str).astype(object)
    made = run(fuels, rng.random(4000) < 0.9)
    assert len(made.known()) == MOST_SEGMENTS
    assert "40 with fewest rows are not judged" in made.note


def test_a_restart_that_reads_the_same_rows_again_comes_to_the_same_state() -> None:
    rng = np.random.default_rng(2)
    fuels, right = rng.choice(["gas", "oil"], 4000), rng.random(4000) < 0.9
    assert run(fuels, right).known() == run(fuels, right).known() != ()


@pytest.mark.parametrize("feature", [Feature("zone", 0, 30, categorical=True), Feature("wind", 0, 30), Feature("fuel", boolean=True)])
def test_categories_stay_as_they_are_and_numbers_are_cut(feature: Feature) -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, 2 if feature.boolean else 20, 4000).astype(float)
    names = {one.name for one in run(values, rng.random(4000) < 0.9, replace(STREAM, features=(feature,), segments=(feature.name,))).known()}
    assert len(names) == {"zone": 20, "wind": 4, "fuel": 2}[feature.name]


def test_a_segment_that_is_no_feature_is_refused_at_the_start(tmp_path: Path) -> None:
    given = yaml.safe_load(stream_settings.BUNDLED.read_text())
    given["elec"]["segments"] = ["fuel"]
    (tmp_path / "streams.yaml").write_text(yaml.safe_dump(given))
    with pytest.raises(SettingsError, match=r"segments has .'fuel'., which is no feature"):
        stream_settings.load(tmp_path / "streams.yaml")
