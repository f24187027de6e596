"""What the monitor makes of a stream's records: KPI, verdicts, estimate, data drift, data quality."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from monitor_records import ELEC, label, labelled, prediction, rejected, when
from monitor_sample import Kept, feed, monitor, some_reference, told

from driftloop.drift.forecast import crossing, error_scores
from driftloop.drift.rules.probation import Probation
from driftloop.drift.rules.significant import Significant
from driftloop.errors import TrackingError
from driftloop.training.reference import Reference
from monitoring import stream_settings
from monitoring.online import intake, watcher
from monitoring.online.monitor import Monitor
from monitoring.online.watcher import Watcher

BLOCK = ELEC.block_size


def series(made: Monitor) -> dict[str, float]:
    """Every driftloop sample of /metrics."""
    lines = made.metrics.text().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line.startswith("driftloop"))}


@pytest.mark.parametrize("order", ["as it was", "labels first", "shuffled", "all twice", "shuffled and all twice"])
def test_the_order_and_number_of_deliveries_change_neither_kpi_nor_blocks(order: str) -> None:
    records = labelled(range(4 * BLOCK), share_right=0.9)
    plain = monitor()
    feed(plain, records)
    other = monitor()
    changed = sorted(records, key=lambda record: record["kind"]) if order == "labels first" else records * (2 if "twice" in order else 1)
    if "shuffled" in order:
        changed = [changed[at] for at in np.random.default_rng(3).permutation(len(changed))]
    feed(other, changed, batch=1000)
    same = ("kpi", "baselines", "blocks", "coverage", "version", "last", "invalid")
    assert {key: told(other)[key] for key in same} == {key: told(plain)[key] for key in same}
    assert series(other)['driftloop_monitor_records_total{kind="label",stream="elec"}'] == 4 * BLOCK


def test_the_verdict_of_each_block_is_that_of_the_lifecycles_rule_on_the_same_errors() -> None:
    records = labelled(range(20 * BLOCK), share_right=0.9) + labelled(range(20 * BLOCK, 26 * BLOCK), share_right=0.4)
    made = monitor()
    rule = Probation(Significant(threshold=ELEC.threshold, alpha=ELEC.alpha), threshold=ELEC.threshold, alpha=ELEC.alpha)
    drifted = []
    for start in range(0, len(records), 2 * BLOCK):
        block = records[start : start + 2 * BLOCK]
        made.ingest("elec", block)
        expected = rule.update(np.array([answer["prediction"] != truth["label"] for answer, truth in zip(block[::2], block[1::2], strict=True)]))
        known = made.watchers["elec"].known()
        assert known.verdict == expected
        drifted.append(known.drift["performance"])
    assert not any(drifted[:20])
    assert drifted[-3:] == [True] * 3


def drifted(made: Monitor, *, version: str = "1", start: int = 0) -> int:
    """Feed blocks of a version that is wrong most of the time; the row after them."""
    stop = start + 8 * BLOCK
    feed(made, labelled(range(start, stop), share_right=0.3, version=version))
    assert made.watchers["elec"].known().drift["performance"]
    return stop


def test_a_lucky_block_does_not_end_a_proven_drift_but_many_good_ones_do() -> None:
    made = monitor()
    row = drifted(made)
    feed(made, labelled(range(row, row + BLOCK), share_right=0.99))
    assert made.watchers["elec"].known().drift["performance"]
    feed(made, labelled(range(row + BLOCK, row + 80 * BLOCK), share_right=0.99))
    assert not made.watchers["elec"].known().drift["performance"]


def test_another_version_starts_with_no_verdict_and_the_one_before_is_still_judged_as_it_was() -> None:
    made = monitor()
    row = drifted(made)
    feed(made, [prediction(row, version="2")])
    fresh = told(made)
    assert (fresh["version"], fresh["kind"], fresh["kpi"]["rows"], fresh["blocks"], fresh["acceptable"]) == ("2", "cannot tell", 0, 0, True)
    assert (fresh["health"], fresh["reason"]) == ("no labels", "the KPI is unknown: no labels yet")
    assert not any("driftloop_kpi{" in name for name in series(made))
    feed(made, labelled(range(row + 1, row + 1 + BLOCK), version="2"))
    assert told(made)["kpi"]["value"] == 1.0
    feed(made, [prediction(row + 2 * BLOCK, version="1")])
    back = told(made)
    assert (back["version"], back["kinds"]["performance"], back["blocks"]) == ("1", True, 8)


def test_after_a_proven_drift_the_next_version_is_on_probation() -> None:
    made = monitor()
    row = drifted(made)
    feed(made, labelled(range(row, row + BLOCK), share_right=0.7, seed=2, version="2"))
    assert told(made)["message"].startswith("on probation after a drift")


def test_a_model_that_drifts_is_unacceptable_only_where_the_fallback_did_better_on_the_same_rows() -> None:
    worse, better = monitor(), monitor()
    feed(worse, [record | ({"baseline": None} if record["kind"] == "prediction" else {}) for record in labelled(range(8 * BLOCK), share_right=0.3)])
    feed(better, labelled(range(8 * BLOCK), share_right=0.3))  # the fallback is right in half of the rows
    assert told(worse)["acceptable"] is True
    assert told(better)["acceptable"] is False
    assert "fallback is better: accuracy 0.500 against" in told(better)["reason"]
    fine = monitor()
    feed(fine, labelled(range(8 * BLOCK), share_right=0.9))
    assert told(fine)["acceptable"] is True


def test_rows_that_the_fallback_answered_are_rows_but_say_nothing_of_the_model() -> None:
    made = monitor()
    feed(made, labelled(range(BLOCK), share_right=1.0))
    feed(made, labelled(range(BLOCK, 4 * BLOCK), share_right=0.0, fallback="model_unavailable", version="9", probabilities=None))
    known = told(made)
    assert (known["version"], known["kpi"]["rows"], known["kpi"]["value"], known["blocks"], known["coverage"]) == ("1", BLOCK, 1.0, 1, 1.0)


def test_coverage_is_the_labelled_share_of_the_newest_predictions() -> None:
    made = monitor()
    feed(made, [prediction(row) for row in range(100)] + [label(row) for row in range(25)])
    assert told(made)["coverage"] == 0.25


def test_what_is_not_known_has_no_series_and_nothing_is_ever_nan() -> None:
    made = monitor()
    assert set(series(made)) == {
        'driftloop_kpi_threshold{kpi="accuracy",stream="elec"}',
        'driftloop_kpi_threshold{kpi="mae",stream="taxi"}',
        'driftloop_stream_info{kpi="accuracy",stream="elec",task="classification",unit=""}',
        'driftloop_stream_info{kpi="mae",stream="taxi",task="regression",unit="minutes"}',
    }
    for records in ([label(0)], [prediction(0)], [prediction(row) for row in range(1, 200)], labelled(range(1, 120)), labelled(range(120, 5 * BLOCK))):
        feed(made, records)
        told(made)
        assert not [name for name, value in series(made).items() if np.isnan(value)]
        assert "row-" not in made.metrics.text().decode()
    assert 'driftloop_forecast_blocks{edge="early",stream="elec"}' in series(made)
    assert not any("feature" in name for name in series(made))


TAXI = replace(stream_settings.load()["taxi"], block_size=50)


def rides(errors: np.ndarray, *, start: int = 0, version: str = "1") -> list[dict[str, Any]]:
    """Labelled trips of the taxi stream whose predictions are off by these minutes."""
    trip = {feature.name: feature.plain for feature in TAXI.features}
    of_taxi = {"stream": "taxi", "model": "taxi_model", "features": trip, "probability": None, "probabilities": None, "baseline": 20.0, "version": version}
    found = []
    for row, error in enumerate(errors.tolist(), start):
        found += [{**prediction(row), **of_taxi, "prediction": 20.0 + error}, {**label(row), "stream": "taxi", "label": 20.0}]
    return found


def test_the_crossing_of_a_regression_is_forecast_as_in_the_lifecycles_watch() -> None:
    made = Monitor({"taxi": TAXI})
    errors = np.repeat(2.0 + 0.1 * np.arange(12), 50) + np.tile([0.5, -0.5], 300)
    feed(made, rides(errors))
    found = told(made, "taxi")["forecast"]
    scores = error_scores.scores(np.split(errors, 12), threshold=3.5)
    expected = crossing.predict(*scores, threshold=error_scores.LEVEL, words=crossing.CrossingWords.of_error("MAE", 3.5, "minutes"))
    assert found == asdict(expected)
    assert found["source"] == "trend" and 1 <= found["early"] <= found["middle"] <= found["late"]
    assert found["message"].startswith("the true MAE rises above 3.5 minutes in ")
    assert series(made)['driftloop_forecast_blocks{edge="early",stream="taxi"}'] == found["early"]


def test_a_regressions_version_has_lasted_until_its_error_was_above_the_threshold() -> None:
    made = Monitor({"taxi": TAXI})
    feed(made, rides(np.repeat([2.0, 3.4, 3.6, 3.0], 50)))
    feed(made, rides(np.full(100, 3.0), start=200, version="2"))
    lasted = {name: served.lifetime() for name, served in made.watchers["taxi"].intake.versions.items()}
    assert lasted == {"1": crossing.Lifetime(3, crossed=True), "2": crossing.Lifetime(2, crossed=False)}


def test_the_estimate_without_labels_stands_beside_its_error() -> None:
    made = monitor()
    feed(made, labelled(range(6 * BLOCK), share_right=0.75))
    estimate = told(made)["estimate"]
    assert estimate["accuracy"] == pytest.approx(0.75, abs=0.1)
    assert not estimate["trustworthy"]
    assert series(made)['driftloop_kpi_estimate_error{stream="elec"}'] == pytest.approx(estimate["error"])


def test_probabilities_that_are_none_or_do_not_add_up_are_done_without() -> None:
    made = monitor()
    feed(made, labelled(range(3 * BLOCK), probabilities=None) + labelled(range(3 * BLOCK, 6 * BLOCK), probabilities=[0.9, 0.9]))
    known = told(made)
    assert (known["blocks"], known["estimate"]) == (6, None)


def shifted(rows: range, **features: float | None) -> list[dict[str, Any]]:
    return [prediction(row, features=dict(features)) for row in rows]


def moved(known: dict[str, Any]) -> set[str]:
    return {test["feature"] for test in known["features"] if test["moved"]}


def test_a_feature_that_moves_is_named_and_the_others_stay() -> None:
    made = monitor(Kept(lambda _: some_reference()))
    feed(made, shifted(range(400)))
    calm = told(made)
    assert (moved(calm), calm["kinds"]["data"]) == (set(), False)
    other = monitor(Kept(lambda _: some_reference()))
    feed(other, shifted(range(400), transfer=0.95))
    found = told(other)
    assert (moved(found), found["kind"]) == ({"transfer"}, "data")
    assert series(other)['driftloop_feature_moved{feature="transfer",stream="elec"}'] == 1.0


def test_a_constant_that_stays_has_not_moved_though_json_holds_more_digits_than_the_reference() -> None:
    made = monitor(Kept(lambda _: some_reference(transfer=0.7)))
    feed(made, shifted(range(400), transfer=0.7))
    found = {test["feature"]: test["distance"] for test in told(made)["features"]}
    assert found["transfer"] == 0.0


@pytest.mark.parametrize("value", [None, 7.5, -1e300])
def test_missing_and_impossible_values_are_bad_quality_and_no_data_drift(value: float | None) -> None:
    made = monitor(Kept(lambda _: some_reference()))
    feed(made, shifted(range(300)) + shifted(range(300, 400), vicprice=value))
    known = told(made)
    assert (moved(known), known["kind"], known["invalid"]["value"]) == (set(), "quality", 0.25)


def test_refused_rows_are_bad_quality_and_count_once_each() -> None:
    made = monitor()
    feed(made, [prediction(row) for row in range(90)] + [rejected(row) for row in range(10)] * 3)
    known = told(made)
    assert (known["invalid"]["value"], known["invalid"]["rows"], known["kind"]) == (0.1, 100, "quality")
    assert series(made)['driftloop_last_record_timestamp_seconds{kind="rejected",stream="elec"}'] > 0


def test_a_single_bad_row_is_no_verdict_about_quality() -> None:
    made = monitor()
    feed(made, [rejected(0)])
    assert told(made)["kinds"] == {"quality": False}


def test_features_are_compared_at_most_every_few_seconds_and_never_while_records_are_taken() -> None:
    now = [0.0]
    one = Watcher(ELEC, find_reference=lambda _: some_reference(), clock=lambda: now[0])
    made = monitor()
    made.watchers["elec"] = one
    feed(made, shifted(range(400)))
    assert one.known().features == ()
    first = told(made)["features"]
    feed(made, shifted(range(400, 800), period=0.9))
    now[0] += watcher.COMPARE_SECONDS - 0.1
    assert told(made)["features"] == first
    now[0] += 0.2
    assert moved(told(made)) == {"period"}


def test_a_reference_that_cannot_be_had_is_told_and_asked_for_again_and_blocks_are_judged_without() -> None:
    now, asked = [0.0], []

    def find(version: str) -> Reference:
        asked.append(version)
        if len(asked) == 1:
            raise TrackingError("the store is unreachable")
        return some_reference()

    one = Watcher(ELEC, find_reference=find, clock=lambda: now[0])
    made = monitor()
    made.watchers["elec"] = one
    feed(made, labelled(range(3 * BLOCK)))
    assert one.known().blocks == 0  # the rule learns from the reference before it judges
    assert (told(made)["blocks"], told(made)["note"], len(asked)) == (3, "the store is unreachable", 1)
    now[0] += watcher.RETRY_SECONDS
    feed(made, shifted(range(3 * BLOCK, 4 * BLOCK)))
    found = told(made)
    assert (found["note"], len(found["features"]), len(asked)) == ("", 6, 2)


def test_a_reference_of_other_features_is_told() -> None:
    strange = some_reference()
    made = monitor(Kept(lambda _: replace(strange, about=replace(strange.about, features=tuple("abcdef")))))
    feed(made, shifted(range(100)))
    known = told(made)
    assert "correct the streams file" in known["note"]
    assert known["features"] == []


def test_the_rule_learns_from_the_reference_how_errors_come_together() -> None:
    together = some_reference(4800)
    together.predictions[:] = np.where((np.arange(4800) // 240) % 2, 1 - together.labels, together.labels)  # wrong five days, right five days
    alone = some_reference(4800)
    evidence = []
    for reference in (together, alone):
        made = monitor(Kept(lambda _, found=reference: found))
        feed(made, labelled(range(BLOCK), share_right=0.5))
        evidence.append(told(made)["evidence"])
    assert evidence[0] < evidence[1] / 2


def test_a_proven_drift_is_told_of_its_kind_once_enough_rows_lie_after_it() -> None:
    made = monitor()
    flip = 30 * BLOCK
    feed(made, labelled(range(flip), share_right=0.95))
    kinds = []
    for start in range(flip, flip + 12 * BLOCK, BLOCK):
        feed(made, labelled(range(start, start + BLOCK), share_right=0.1, seed=start))
        known = told(made)
        kinds.append(known["kind"])
        if known["kind_message"]:
            assert known["health"] == "drifted"
            assert known["kind_message"].startswith("Cannot tell the kind of drift: ") is (known["kind"] == "cannot tell")
    assert set(kinds[:6]) == {"cannot tell"}
    assert kinds[-1] == "concept"
    assert known["kind_message"].startswith("Concept drift: ")
    assert series(made)['driftloop_drift{kind="concept",stream="elec"}'] == 1.0


def test_a_regression_stream_has_its_error_with_an_interval_and_says_that_it_has_no_rule() -> None:
    made = monitor()
    rides = [
        prediction(
            row,
            stream="taxi",
            probabilities=None,
            probability=None,
            prediction=10.0 + row % 3,
            baseline=14.0,
            features={"pickup_zone": 4, "distance_miles": 2.5},
        )
        for row in range(1000)
    ]
    made.ingest("taxi", rides)
    made.ingest("taxi", [label(row, stream="taxi", label=11.0) for row in range(1000)])
    known = told(made, "taxi")
    assert known["kpi"]["value"] == pytest.approx(2 / 3, abs=0.01)
    assert known["kpi"]["lower"] < known["kpi"]["value"] < known["kpi"]["upper"]
    assert (known["baselines"]["fallback"]["value"], known["blocks"]) == (3.0, 2)
    assert known["kinds"]["performance"] is False
    assert known["estimate"]["mae"] == pytest.approx(2 / 3, abs=0.05)
    assert " minutes without labels" in known["estimate"]["message"]
    assert series(made)['driftloop_kpi_estimated{stream="taxi"}'] == known["estimate"]["mae"]


def test_memory_is_bounded_also_for_versions_and_labels_without_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.online.rolling.Join.__init__.__kwdefaults__", {"most": 100})
    made = monitor()
    for start in range(0, 4000, 500):
        feed(made, [prediction(row, version=f"v{row // 100}") for row in range(start, start + 500)])
        feed(made, [label(row + 100_000) for row in range(start, start + 500)] + [rejected(row) for row in range(start, start + 500)])
    taken = made.watchers["elec"].intake
    assert len(taken.versions) == intake.MOST_VERSIONS
    assert max(len(taken._join._rows), len(taken._join._early), len(taken._rejected._early)) == 100
    assert told(made)["version"] == "v39"


def test_the_version_in_use_is_that_of_the_newest_answer_whenever_it_arrives() -> None:
    made = monitor()
    feed(made, [prediction(5, version="2"), prediction(1, version="1", served_at=when(1))])
    assert told(made)["version"] == "2"


def test_labels_have_come_up_to_the_rows_that_bring_a_time_of_their_own() -> None:
    made, now = monitor(), "2099-01-01T00:00:00.000Z"
    feed(made, labelled(range(BLOCK), served_at="2024-06-01T00:00:00.000Z"))
    until = told(made)["newest_labelled_time"]
    feed(made, [{**prediction(BLOCK), "time": now, "served_at": now}, label(BLOCK)])
    assert told(made)["newest_labelled_time"] == until
    alone = monitor()
    feed(alone, [{**prediction(BLOCK), "time": now, "served_at": now}, label(BLOCK)])
    assert told(alone)["newest_labelled_time"] == now
