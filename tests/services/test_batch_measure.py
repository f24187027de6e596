"""Windows of a real log, measured."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest
from batch_records import DAY, ELEC, Known, reference, rows, when
from mongo_fixtures import Mongo, needs_mongodb

from driftloop.cli.call import read
from driftloop.settings import TABLE_LEARNER
from monitoring.batch import flow_command, measure_store, window
from monitoring.batch.measures import measure, window_measures
from monitoring.batch.measures.window_measures import Measures
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PredictionLog
from monitoring.records.events import Rejected

pytestmark = needs_mongodb
WEEK = 7 * DAY
KNOWN = Known(v1=reference(), v2=reference())


@pytest.fixture(scope="module")
def filled(mongo: Mongo) -> Iterator[PredictionLog]:
    """A calm week, one in which the KPI falls, one in which inputs move too; then days that are odd, each in its own way."""
    with PredictionLog(Database(mongo.fresh_uri())) as log:
        log.ready()
        log.add_labelled(
            rows(range(WEEK + 2 * DAY)) + rows(range(WEEK + 2 * DAY, 2 * WEEK), right=0.5) + rows(range(2 * WEEK, 3 * WEEK), right=0.5, shift=0.25)
        )
        day = 3 * WEEK
        log.add([prediction for prediction, _ in rows(range(day, day + DAY))])  # no labels
        log.add_labelled(rows(range(day + DAY, day + 2 * DAY), version="99"))
        log.add_labelled(rows(range(day + 2 * DAY, day + 3 * DAY), changed={"transfer": None, "wind": 3.0}))
        log.add_labelled(rows(range(day + 3 * DAY, day + 4 * DAY), version="", fallback="model_unavailable"))
        log.add_labelled(rows(range(day + 4 * DAY, day + 4 * DAY + 1)))
        bad = [Rejected(f"bad-{row}", "elec", when(row), "out_of_range", when(row), {"nswprice": 46826.2, "period": 0.5}) for row in range(day, day + 3)]
        log.add([*bad, Rejected("old", "elec", when(day), "missing")])
        log.add_labelled(rows(range(day + 8 * DAY, day + 8 * DAY + 3)))
        yield log


def measured(log: PredictionLog, start: int, stop: int, references: Known | None = KNOWN) -> Measures:
    of = window.parse(f"{when(start)}..{when(stop)}", newest=log.newest_time("elec"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure.measure(log, ELEC, of, references=references)  # type: ignore[arg-type]
    assert window_measures.from_json(found.as_json()).as_json() == found.as_json()
    return found


def day(number: int) -> tuple[int, int]:
    return 3 * WEEK + number * DAY, 3 * WEEK + (number + 1) * DAY


def test_a_calm_week_is_no_drift_and_every_row_is_counted_once(filled: PredictionLog) -> None:
    found = measured(filled, 0, WEEK)
    assert (found.verdict.drift, found.verdict.kind, found.next_step) == (False, "none", "Nothing.")
    assert (found.labels.rows, found.labels.labelled, found.kpi.rows, sum(block.kpi.rows for block in found.blocks)) == (WEEK,) * 4
    assert found.labels.days_late["median"] == pytest.approx(1)
    assert set(found.baselines) == {"fallback", "no_change", "same_time_yesterday", "majority"}
    assert found.baselines["same_time_yesterday"].rows == WEEK - DAY
    truth = [prediction.prediction == label.label for prediction, label in rows(range(WEEK))]
    assert found.kpi.value == pytest.approx(sum(truth) / WEEK)


def test_a_fallen_kpi_is_drift_and_the_next_step_is_a_retrain_on_rows_before_the_end_of_the_window(filled: PredictionLog) -> None:
    found = measured(filled, WEEK, 2 * WEEK)
    assert found.verdict.kpi_drift
    assert not found.verdict.data_drift
    assert [block.drift for block in found.blocks[:2]] == [False, False]
    assert found.blocks[-1].drift
    assert f"on the rows before {found.window.stop}" in found.next_step
    assert found.next_step.endswith(f"python -m monitoring batch run --window {found.window.name} --stream elec --on_drift retrain")


def test_a_stream_that_names_no_table_is_retrained_through_a_hook(filled: PredictionLog) -> None:
    named = replace(ELEC, learner=TABLE_LEARNER)
    found = measure.measure(filled, named, window.parse(f"{when(WEEK)}..{when(2 * WEEK)}", newest=filled.newest_time("elec")), references=KNOWN)  # type: ignore[arg-type]
    assert "with a retrain hook that runs and knows the model's table" in found.next_step
    command = found.next_step[found.next_step.index("--window") :]
    assert command.endswith("--stream elec --on_drift retrain --hook_url http://127.0.0.1:8020")
    assert read(flow_command.RunFlags, flow_command.build_parser().parse_args(["run", *shlex.split(command)])).hook_url == "http://127.0.0.1:8020"


def test_moved_inputs_are_told_the_farthest_first(filled: PredictionLog) -> None:
    found = measured(filled, 2 * WEEK, 3 * WEEK)
    assert found.verdict.data_drift
    assert found.verdict.kind in {"data", "both"}
    assert [test.moved for test in found.features] == sorted((test.moved for test in found.features), reverse=True)
    assert {test.feature for test in found.features if test.moved} >= {"nswprice", "transfer"}
    assert all(sum(test.reference) == pytest.approx(1) and sum(test.current) == pytest.approx(1) for test in found.features)
    assert all(len(test.edges) == len(test.current) + 1 for test in found.features)


def test_the_same_log_gives_the_same_document_and_it_is_kept_once(filled: PredictionLog) -> None:
    first, again = measured(filled, WEEK, 2 * WEEK), measured(filled, WEEK, 2 * WEEK)
    assert first.as_json() == again.as_json()
    measure_store.write(filled, measured(filled, 0, WEEK))
    measure_store.write(filled, first)
    measure_store.write(filled, again)
    kept = measure_store.read(filled, "elec")
    assert [one.window.start for one in kept] == [when(0), when(WEEK)]
    assert kept[1].as_json() == first.as_json()


def test_without_labels_the_inputs_are_judged_and_labels_are_waited_for(filled: PredictionLog) -> None:
    found = measured(filled, *day(0))
    assert (found.labels.labelled, found.kpi.rows, found.blocks) == (0, 0, ())
    assert found.verdict.kpi_drift is False
    assert "rows without labels" in found.estimate


def test_refused_rows_are_counted_by_reason_and_an_impossible_value_that_moves_a_mean_is_data_quality(filled: PredictionLog) -> None:
    found = measured(filled, *day(0))
    assert (found.quality.rows, found.quality.refused) == (DAY, 4)
    assert found.quality.reasons == {"nswprice out_of_range": 3, "missing": 1}
    assert found.quality.bad
    assert len(found.quality.jumps) == 1
    assert "46,826.2" in found.quality.jumps[0]


def test_a_version_that_the_registry_does_not_know_is_measured_with_a_note(filled: PredictionLog) -> None:
    found = measured(filled, *day(1))
    assert found.versions[0].version == "99"
    assert any("version 99: there is none" in note for note in found.notes)
    assert found.kpi.rows == DAY
    assert measured(filled, *day(1), references=None).verdict.kind == "none"


def test_a_column_without_values_and_a_new_one_are_data_quality(filled: PredictionLog) -> None:
    found = measured(filled, *day(2))
    assert (found.quality.missing_columns, found.quality.unknown_columns, found.quality.bad) == (("transfer",), ("wind",), True)
    assert found.quality.reasons["transfer missing"] == DAY
    (transfer,) = (test for test in found.features if test.feature == "transfer")
    assert (transfer.missing, transfer.moved, transfer.distance != transfer.distance) == (DAY, False, True)


def test_rows_of_the_fallback_say_nothing_of_a_model(filled: PredictionLog) -> None:
    found = measured(filled, *day(3))
    assert (found.by_fallback, found.versions, found.kpi.rows, found.verdict.kind) == (DAY, (), 0, "cannot tell")


def test_one_row_and_an_empty_window_are_measured_and_claim_nothing(filled: PredictionLog) -> None:
    one, none = measured(filled, *day(4)), measured(filled, *day(6))
    assert (one.labels.rows, one.verdict.kind, none.labels.rows, none.verdict.kind) == (1, "cannot tell", 0, "cannot tell")
    assert "No predictions were logged" in none.next_step


def test_rows_within_the_training_are_called_in_sample(filled: PredictionLog) -> None:
    found = measured(filled, 0, WEEK, Known(v1=reference(end_row=WEEK)))
    assert found.versions[0].in_sample == WEEK
    assert "In-sample" in found.verdict.kpi_message
    assert any("In-sample" in note for note in found.notes)


def test_two_versions_are_judged_each_by_itself(filled: PredictionLog) -> None:
    found = measured(filled, 2 * WEEK, 3 * WEEK + 2 * DAY)
    assert [one.version for one in found.versions] == ["1", "99"]
    assert sum(one.rows for one in found.versions) == found.labels.rows


def test_a_reference_without_spans_still_works(filled: PredictionLog) -> None:
    found = measured(filled, 2 * WEEK, 3 * WEEK, Known(v1=reference(with_spans=False)))
    assert found.verdict.data_drift
