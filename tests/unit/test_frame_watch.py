"""`driftloop.watch`: verdicts on a table of predictions that somebody else made."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from predictions_sample import FALL, REFERENCE, ROWS, predictions, values

import driftloop as dl
from driftloop.errors import DataError, DriftloopError, SettingsError
from driftloop.settings import ROOT
from driftloop.system.json_values import plain

COLUMNS = {"target": "y_true", "prediction": "y_pred"}
WITH_PROBABILITY = COLUMNS | {"probability": "proba"}


@pytest.fixture(autouse=True)
def no_library_warns() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def watched(table: pd.DataFrame, **settings: Any) -> dl.FrameWatch:
    return dl.watch(table, **({"time": "when", "reference": REFERENCE} | COLUMNS | settings))


@pytest.fixture(scope="module")
def fallen() -> dl.FrameWatch:
    return watched(predictions(), **WITH_PROBABILITY, block="W")


def test_a_fall_is_found_after_it_began_and_the_reference_period_is_silent(fallen: dl.FrameWatch) -> None:
    drifted = fallen.blocks.query("drift")
    assert fallen.drift
    assert (drifted.period == "judged").all()
    assert drifted.start.min() > pd.Timestamp("2024-01-01") + pd.Timedelta(hours=FALL) - pd.Timedelta(days=7)


def test_the_answer_has_a_sentence_and_its_numbers(fallen: dl.FrameWatch) -> None:
    assert "e-value" in fallen.verdict.message
    assert fallen.verdict.statistic >= fallen.verdict.threshold
    assert fallen.verdict.false_alarm_rate == 0.05
    assert str(fallen).startswith("The accuracy of the model is ")
    assert "reference period" in str(fallen)
    assert fallen.kind in {"concept", "cannot tell"}
    assert fallen.forecast.message
    assert 0.7 < fallen.estimate.value < 1
    assert any(note.startswith("No threshold was given") for note in fallen.notes)


def test_a_concept_drift_is_told_from_a_data_drift() -> None:
    assert watched(predictions(rows=12_000, fall=8000, after=0.6), block=200).kind == "concept"


def test_blocks_cover_every_row_once(fallen: dl.FrameWatch) -> None:
    assert fallen.blocks.rows.sum() == ROWS
    assert list(fallen.blocks.index) == list(range(len(fallen.blocks)))
    assert list(fallen.blocks.columns[:5]) == ["period", "start", "end", "rows", "accuracy"]


def test_a_steady_model_gets_no_alarm() -> None:
    found = watched(predictions(fall=ROWS), block="W")
    assert not found.drift
    assert found.kind == "none"


def test_a_threshold_replaces_the_reference_period() -> None:
    assert not watched(predictions(), threshold=0.7).drift
    found = watched(predictions(), threshold=0.95)
    assert found.drift
    assert not any("No threshold" in note for note in found.notes)


def test_the_rows_may_be_in_any_order(fallen: dl.FrameWatch) -> None:
    shuffled = watched(predictions().sample(frac=1, random_state=1), **WITH_PROBABILITY, block="W")
    pd.testing.assert_frame_equal(shuffled.blocks, fallen.blocks)
    assert "the rows were sorted by time" in shuffled.notes


def test_a_regression_is_judged_by_its_errors() -> None:
    found = watched(values(), block="W", unit="minutes")
    assert found.drift
    assert "MAE" in str(found) and "minutes" in str(found)
    assert found.blocks.query("drift").index.min() > found.blocks.query("start < '2024-06-24'").index.max() - 2


@pytest.mark.parametrize("kpi", ["brier", "log_loss", "roc_auc", "f1", "balanced_accuracy", "average_precision"])
def test_every_kpi_of_classes_can_be_asked_for(kpi: str) -> None:
    found = watched(predictions(), **WITH_PROBABILITY, kpi=kpi)
    assert kpi in found.blocks
    assert found.blocks[kpi].notna().all()


def test_cost_and_rmse_can_be_asked_for() -> None:
    assert watched(predictions(), cost="0:1=5,1:0=1").drift
    assert "rmse" in watched(values(), kpi="rmse").blocks


def test_the_report_stands_alone_and_speaks_of_no_retrain(fallen: dl.FrameWatch, tmp_path: Path) -> None:
    html = fallen.report(tmp_path / "r.html").read_text()
    assert "reference period" in html
    assert not any(word in html for word in ("served model", "unretrained", "Retrains", "Model versions", "nan<"))
    assert "<iframe srcdoc=" in fallen._repr_html_()
    assert len(fallen.plot().data) > 3


def test_the_json_is_plain(fallen: dl.FrameWatch) -> None:
    body = json.loads(json.dumps(plain(fallen.as_json()), allow_nan=False))
    assert body["drift"] and body["drifted_blocks"] >= 1
    assert body["reference"]["rows"] == REFERENCE
    assert not {"retrains", "versions", "served_version", "accuracy_without_retraining"} & set(body)


# What people bring


def test_text_labels_true_and_false_and_numbers_as_text_are_classes() -> None:
    table, plainly = predictions(), watched(predictions()).blocks.accuracy
    texts = table.assign(y_true=table.y_true.map({0: "bad", 1: "good"}), y_pred=table.y_pred.map({0: "bad", 1: "good"}))
    booleans = table.assign(y_pred=table.y_pred.astype(bool))
    floats = table.assign(y_true=table.y_true.astype(float).astype(str))
    for other in (texts, booleans, floats):
        pd.testing.assert_series_equal(watched(other).blocks.accuracy, plainly)


def test_three_classes_with_a_column_of_probabilities_each() -> None:
    table = predictions()
    names = np.array(["a", "bb", "xbb"])
    true, rng = names[np.arange(ROWS) % 3], np.random.default_rng(2)
    chances = rng.dirichlet([1, 1, 1], ROWS)
    three = table.assign(y_true=true, y_pred=names[chances.argmax(axis=1)], p_a=chances[:, 0], p_bb=chances[:, 1], p_xbb=chances[:, 2])
    found = watched(three, probability=["p_xbb", "p_a", "p_bb"], leave_out=["proba"], kpi="brier")
    assert found.blocks.brier.mean() == pytest.approx(
        np.mean([((row - (names == label)) ** 2).sum() / 2 for row, label in zip(chances, true, strict=True)]), abs=0.01
    )


def test_a_probability_of_the_other_class_is_recognised() -> None:
    table = predictions()
    one, other = (watched(given, **WITH_PROBABILITY, kpi="brier").blocks.brier for given in (table, table.assign(proba=1 - table.proba)))
    pd.testing.assert_series_equal(one, other)


def test_a_model_may_decide_at_another_probability_than_half() -> None:
    table = predictions()
    table["proba"] = table.proba / 4  # decides at 1/8
    assert watched(table, **WITH_PROBABILITY, block="W").blocks.accuracy.mean() == pytest.approx(0.86, abs=0.03)


def test_labels_that_the_reference_period_never_had_are_wrong_answers_and_said() -> None:
    table = predictions(fall=ROWS).astype({"y_true": object})
    table.loc[FALL:, "y_true"] = np.where(np.arange(ROWS - FALL) % 3 == 0, 2, table.y_true[FALL:])
    found = watched(table, **WITH_PROBABILITY | {"probability": ()})
    assert found.drift
    assert any("never had the label 2" in note for note in found.notes)


def test_blocks_without_labels_cannot_be_judged_and_are_estimated() -> None:
    table = predictions(fall=ROWS).astype({"y_true": float})
    table.loc[5000:, "y_true"] = np.nan
    found = watched(table, **WITH_PROBABILITY, block="W")
    late = found.blocks.query("start > '2024-08-01'")
    assert late.accuracy.isna().all() and (late.kind == "cannot tell").all() and not late.drift.any()
    assert late.estimated.between(0.8, 1).all()
    assert not found.drift
    assert any("1,000 rows have no label" in note for note in found.notes)
    assert "cannot be judged yet" in str(found)


def test_no_label_at_all_after_the_reference_period() -> None:
    table = predictions().astype({"y_true": float})
    table.loc[REFERENCE:, "y_true"] = np.nan
    found = watched(table, **WITH_PROBABILITY)
    assert not found.drift
    assert found.kind == "cannot tell"
    assert "undefined after the reference period" in str(found)
    assert found.as_json()["rows"] == 0


def test_one_block_is_enough() -> None:
    assert len(watched(predictions(), block=ROWS - REFERENCE).blocks.query("period == 'judged'")) == 1


def test_a_table_of_nothing_but_labels_and_predictions() -> None:
    found = dl.watch(predictions()[["y_true", "y_pred"]], **COLUMNS, reference=REFERENCE)
    assert found.drift
    assert found.kind == "cannot tell"
    assert any("the table has no inputs" in told for told in found.findings)
    assert "no --probability" in found.estimate.message


def test_times_in_the_index_and_with_a_zone() -> None:
    table = predictions().drop(columns="when")
    table.index = pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="Europe/Berlin")
    found = dl.watch(table, **COLUMNS, reference="2024-04-01T00:00+02:00", block="D", leave_out=["proba"])
    assert found.result.period.until == "2024-03-31T22:00:00"
    assert found.blocks.start[0] == pd.Timestamp("2023-12-31 23:00")


def test_rows_without_a_prediction_are_left_out_and_counted() -> None:
    table = predictions().astype({"y_pred": float})
    table.loc[:9, "y_pred"] = np.nan
    found = watched(table, reference=REFERENCE - 10)
    assert found.blocks.rows.sum() == ROWS - 10
    assert any("10 rows have no prediction, or no probability" in note for note in found.notes)


def test_a_reference_period_that_drifts_is_said_to() -> None:
    assert any("drifting itself" in note for note in watched(predictions(fall=1200, after=0.7)).notes)


def test_numbers_of_rows_may_be_those_of_numpy() -> None:
    found = watched(predictions(), reference=np.int64(REFERENCE), block=np.int64(900))
    assert list(found.blocks.query("period == 'judged'").rows) == [900] * 4


def test_a_model_that_is_never_wrong_and_one_that_always_is_are_no_worse_than_before() -> None:
    table = predictions()
    for answers in (table.y_true, 1 - table.y_true):
        found = watched(table.assign(y_pred=answers))
        assert not found.drift
        assert "the same as" in str(found)


def test_a_file_is_read_like_a_frame(tmp_path: Path) -> None:
    predictions().to_csv(tmp_path / "mine.csv", index=False)
    predictions().to_parquet(tmp_path / "mine.parquet")
    expected = watched(predictions()).blocks
    for name in ("mine.csv", "mine.parquet"):
        found = dl.watch(tmp_path / name, **COLUMNS, time="when", reference=REFERENCE)
        pd.testing.assert_frame_equal(found.blocks, expected)
        assert found.result.stream == "mine"


def test_a_class_of_a_text_file_that_may_mean_missing_is_refused(tmp_path: Path) -> None:
    table = predictions().astype({"y_true": object})
    table.loc[5, "y_true"] = "NA"
    table.to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(DataError, match="row 6: the label is 'NA', which may be a class or mean missing"):
        dl.watch(tmp_path / "mine.csv", **COLUMNS, time="when", reference=REFERENCE)


ONES = predictions().assign(y_true=1, y_pred=1)
BAD: dict[str, tuple[pd.DataFrame, dict[str, Any], type[DriftloopError], str]] = {
    "no such column": (predictions(), {"prediction": "y_pre"}, DataError, "did you mean 'y_pred'"),
    "one column for two": (predictions(), {"prediction": "y_true"}, SettingsError, "--target and --prediction are both 'y_true'"),
    "two columns of one name": (pd.concat([predictions(), predictions()[["x"]]], axis=1), {}, DataError, "two columns are called 'x'"),
    "no rows": (predictions()[:0], {}, DataError, "the table has no rows"),
    "an empty reference": (
        predictions(),
        {"reference": "2023-01-01"},
        SettingsError,
        "until 2023-01-01 has no row: the 6,000 rows are from 2024-01-01T00:00:00",
    ),
    "nothing after the reference": (predictions(), {"reference": "2030-01-01"}, SettingsError, "leaves no row to judge"),
    "a reference without labels": (
        predictions().assign(y_true=[*[None] * REFERENCE, *[1, 0] * ((ROWS - REFERENCE) // 2)]),
        {},
        DataError,
        "the reference period of 2,400 rows has no label",
    ),
    "a short reference": (predictions(), {"reference": 10}, DataError, "has 10 rows with a label, needs at least 16"),
    "a reference of no rows": (predictions(), {"reference": 0}, SettingsError, "reference is 0"),
    "a reference that is no time": (predictions(), {"reference": "soon"}, SettingsError, "'soon' is not a time"),
    "no class but one": (ONES, {}, DataError, "two classes at least are needed"),
    "probabilities as predictions": (predictions(), {"prediction": "proba", "task": "classification"}, DataError, "looks like regression"),
    "other names for the classes": (
        predictions().assign(y_pred=predictions().y_pred.map({0: "no", 1: "yes"})),
        {},
        DataError,
        "no prediction in 'y_pred' ('no', 'yes') is a label of 'y_true' ('0', '1'): write classes alike",
    ),
    "probabilities over 1": (predictions().assign(proba=predictions().proba * 100), WITH_PROBABILITY, DataError, "not in 0..1"),
    "probabilities that do not sum to 1": (
        predictions().assign(p_0=0.3, p_1=0.3),
        {"probability": ["p_0", "p_1"]},
        DataError,
        "row 1: the probabilities sum to 0.6, not 1, as in 6,000 rows",
    ),
    "a class without a probability": (predictions().assign(p_x=0.3, p_1=0.7), {"probability": ["p_x", "p_1"]}, DataError, "no column ends with the class '0'"),
    "probabilities of values": (values().assign(proba=0.5), WITH_PROBABILITY, SettingsError, "which has none"),
    "a KPI of probabilities without any": (predictions(), {"kpi": "brier"}, SettingsError, "--kpi brier needs the probabilities"),
    "a KPI of the other task": (predictions(), {"kpi": "rmse"}, SettingsError, "does not fit a classification"),
    "a KPI that is none": (predictions(), {"kpi": "beauty"}, SettingsError, "--kpi beauty does not fit"),
    "a threshold out of range": (predictions(), {"threshold": 80}, SettingsError, "has to lie between 0 and 1"),
    "an alpha out of range": (predictions(), {"alpha": 0}, SettingsError, "--alpha"),
    "a block that is none": (predictions(), {"block": "Q"}, SettingsError, "block is 'Q'"),
    "a block of no rows": (predictions(), {"block": 0}, SettingsError, "block is 0"),
    "a block larger than the table": (predictions(), {"block": 10_000}, SettingsError, "only 3600 rows"),
    "a bad time": (predictions().assign(when=[*predictions().when[1:], "soon"]), {}, DataError, "row 6000: when is 'soon'"),
    "a word among values": (
        values().astype({"y_pred": object}).assign(y_pred=lambda table: [*table.y_pred[1:], "many"]),
        {},
        DataError,
        "row 6000: the prediction 'y_pred' is 'many', not a number",
    ),
    "a task that is none": (predictions(), {"task": "ranking"}, SettingsError, "--task is 'ranking'"),
    "values without an error": (values().assign(y_pred=values().y_true), {}, DataError, "is 0, which is no threshold"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gives_one_clear_line(name: str) -> None:
    table, settings, kind, told = BAD[name]
    with pytest.raises(kind) as caught:
        watched(table, **settings)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


# The library


def test_the_import_is_light_and_the_call_loads_neither_torch_nor_mlflow() -> None:
    code = (
        "import sys, time; begun = time.process_time(); import driftloop as dl; took = time.process_time() - begun\n"
        "heavy = {'torch', 'mlflow', 'pytorch_lightning', 'lightning', 'river', 'pymongo', 'pandas'} & set(sys.modules)\n"
        "sys.path.insert(0, 'tests/support'); from predictions_sample import predictions\n"
        "found = dl.watch(predictions(), target='y_true', prediction='y_pred', reference=2400); found._repr_html_()\n"
        "print(took < 1.5, heavy, found.drift, {'torch', 'mlflow', 'pytorch_lightning', 'lightning', 'river', 'pymongo'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "True set() True set()"


def test_watch_can_be_called_whatever_was_imported_before() -> None:
    import driftloop.watch.kpi_choice  # noqa: F401 - binds the room's name in the package

    assert callable(dl.watch)
    assert watched(predictions()).drift
    with pytest.raises(AttributeError, match="has no attribute 'wach'"):
        _ = dl.wach


def test_the_examples_of_the_docs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    parts = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "any_model.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    predictions().rename(columns={"when": "timestamp", "proba": "y_proba"}).to_csv("predictions.csv", index=False)
    names: dict[str, Any] = {}
    for code in parts:
        if "mlflow" not in code:  # that example is in tests/services/test_registry_model.py
            exec(compile(code, "docs/any_model.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "The accuracy of the model is" in printed and printed.endswith("True\n")
    assert Path("r.html").exists()
