"""A stream with segments: the monitor names the one that has become worse, and no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from monitor_records import ELEC, label, prediction, when
from monitor_sample import feed, told

from benchmarks import online_segments
from driftloop.errors import SettingsError
from driftloop.metrics.task import CLASSIFICATION, REGRESSION, Task
from monitoring import stream_settings
from monitoring.features import Feature
from monitoring.online import status_page
from monitoring.online.monitor import Monitor
from monitoring.online.segments.served_segments import MOST_SEGMENTS, ServedSegments
from monitoring.stream_settings import StreamConfig

FUEL = Feature("fuel", texts=("gas", "oil", "wind"), required=False)
STREAM = replace(ELEC, features=(FUEL,), segments=("fuel",), fallback_by=(), block_size=100)


BOARD = replace(STREAM, features=(*ELEC.features[1:], FUEL), threshold=0.5)  # of whole records
FALL = 2500


def run(fuels: np.ndarray, right: np.ndarray, config: StreamConfig = STREAM, *, task: Task = CLASSIFICATION) -> ServedSegments:
    made = ServedSegments(config, task)
    for start in range(0, len(right), config.block_size):
        rows = slice(start, start + config.block_size)
        made.update([(value,) for value in fuels[rows]], 1.0 - right[rows], time=f"{start:06}")
    return made


def answered(rows: int = 4500, *, since: int = FALL, seed: int = 3, **changed: Any) -> list[dict[str, Any]]:
    """Predictions; those of fuel wind are mostly wrong from a row on, all others right in 9 of 10."""
    rng = np.random.default_rng(seed)
    fuels = rng.choice(["gas", "oil", "wind"], rows)
    right = rng.random(rows) < np.where((fuels == "wind") & (np.arange(rows) >= since), 0.4, 0.9)
    return [prediction(row, right=bool(right[row]), features={"fuel": str(fuels[row])}, **changed) for row in range(rows)]


def labels_of(predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [label(one_row(one)) for one in predictions]


def one_row(record: dict[str, Any]) -> int:
    return int(record["id"].removeprefix("row-"))


def named(made: Monitor) -> list[str]:
    return [one["name"] for one in told(made)["segments"] if one["drift"]]


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


@pytest.mark.parametrize("kind", [online_segments.KINDS[2], online_segments.KINDS[3], online_segments.KINDS[4]], ids=lambda kind: kind.name)
def test_autocorrelated_errors_of_a_steady_stream_name_no_segment(kind: online_segments.OnlineKind) -> None:
    """A few of the watches of benchmarks/online_segments.md."""
    assert online_segments.row(kind, 10, watches=6)[3].startswith("0.0 ")


def test_with_a_label_delay_a_segment_is_judged_on_mature_rows_alone() -> None:
    """Ten days are 480 rows: of the first 4,500 the rows before 4,020 are mature. Later ones that were answered wrongly have their label already."""
    made, records = Monitor({"elec": replace(BOARD, label_delay=timedelta(days=10))}), answered(6500, since=4020)
    young = [one for one in labels_of(records[4020:4500]) if records[one_row(one)]["prediction"] != one["label"]]
    feed(made, [*records[:4500], *young, *labels_of(records[:4020])])
    assert told(made)["labels"]["early"] == len(young) and named(made) == []
    feed(made, [*records[4500:], *labels_of(records)])
    assert named(made) == ["fuel=wind"]


def test_each_version_has_its_own_reference_period() -> None:
    made, first = Monitor({"elec": BOARD}), answered()
    feed(made, first + labels_of(first))
    assert named(made) == ["fuel=wind"]
    second = [{**one, "version": "2"} for one in answered(9000, since=0)[4500:]]  # as bad as it was at once
    feed(made, second[:500] + labels_of(second[:500]))
    assert told(made)["segments"] == [] and "segments: 5 of the 20 blocks are there that later ones are compared with" in told(made)["note"]
    feed(made, second[500:] + labels_of(second[500:]))
    assert len(told(made)["segments"]) == 3 and named(made) == []


@pytest.mark.parametrize("kpi", ["f1", "balanced_accuracy", "roc_auc", "brier", "cost"])
def test_a_segment_is_named_under_every_kind_of_kpi(kpi: str) -> None:
    costs = {"cost": "1:0=5"} if kpi == "cost" else {}
    made = Monitor({"elec": replace(BOARD, kpi=kpi, shares=(0.5, 0.5), **costs)})
    records = answered(6000)
    feed(made, records + labels_of(records))
    assert named(made) == ["fuel=wind"]


def test_a_kpi_of_whole_blocks_that_is_undefined_in_a_segment_leaves_it_out_and_says_so() -> None:
    made = Monitor({"elec": replace(BOARD, kpi="roc_auc", shares=(0.5, 0.5))})
    records = answered(3000, since=9999)
    records = [{**one, "features": one["features"] | ({"fuel": "oil"} if at % 2 or at % 200 else {"fuel": "wind"})} for at, one in enumerate(records)]
    feed(made, records + labels_of(records))
    unjudged = [one["name"] for one in told(made)["segments"] if one["e_value"] is None]
    assert unjudged == ["fuel=wind"]
    assert "segments: 1 with fewer than 16 blocks with a defined ROC AUC in the reference period are too small to be judged" in told(made)["note"]


def test_a_regression_names_the_segment_whose_errors_grow() -> None:
    rng = np.random.default_rng(5)
    fuels = rng.choice(np.array(["gas", "oil", "wind"], object), 5000)
    losses = rng.exponential(3, 5000) * np.where((fuels == "wind") & (np.arange(5000) >= FALL), 2, 1)
    found = run(fuels, 1 - losses, replace(STREAM, task="regression", kpi="mae"), task=REGRESSION).known()
    assert [one.name for one in found if one.drift] == ["fuel=wind"] and found[0].kpi > 1.5 * found[0].kpi_before


def test_few_and_late_labels_in_any_order_name_the_same_segment() -> None:
    rng, made, records = np.random.default_rng(6), Monitor({"elec": BOARD}), answered(9000, since=5000)
    labels = [one for one in labels_of(records) if rng.random() < 0.6]
    events = [(row + rng.integers(0, 90), one) for one in records for row in [one_row(one)]] + [(one_row(one) + rng.integers(0, 300), one) for one in labels]
    feed(made, [one for _, one in sorted(events, key=lambda event: event[0])])
    before = told(made)["segments"]
    assert named(made) == ["fuel=wind"]
    judged = 9000 - 3000
    feed(made, [{**one, "label": 1 - one["label"], "labelled_at": when(20_000)} for one in labels if one_row(one) < judged])  # corrected after they were judged
    assert told(made)["segments"] == before


def test_events_without_the_column_are_a_segment_of_their_own() -> None:
    made, records = Monitor({"elec": BOARD}), answered(4000, since=9999)
    for one in records[::3]:
        del one["features"]["fuel"]
    feed(made, records + labels_of(records))
    assert {one["name"] for one in told(made)["segments"]} == {"fuel=gas", "fuel=oil", "fuel=wind", "fuel=missing"}
    assert named(made) == []


def test_ten_thousand_values_make_a_bounded_number_of_label_sets() -> None:
    made = Monitor({"elec": replace(BOARD, segments=("fuel", "transfer"))})
    records = answered(4000, since=9999)
    rng = np.random.default_rng(7)
    for at, one in enumerate(records):
        one["features"] |= {"fuel": f"f{rng.integers(10_000)}", "transfer": None if at > 3000 and at % 2 else one["features"]["transfer"]}
    feed(made, records + labels_of(records))
    samples = [line for line in made.metrics.text().decode().splitlines() if line.startswith("driftloop_segment_kpi{")]
    assert len(told(made)["segments"]) == MOST_SEGMENTS >= len(samples) and any('segment="fuel=new"' in line for line in samples)
    assert "with fewer than 50 rows in the reference period are too small to be judged" in told(made)["note"]


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
