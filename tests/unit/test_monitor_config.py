"""The streams file: what it says is what is known, and what is wrong in it is refused in one line."""

from __future__ import annotations

import copy
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from driftloop.data import streams
from driftloop.errors import SettingsError
from driftloop.metrics.kpi_names import KPIS
from driftloop.settings import TABLE_LEARNER
from monitoring import described, features, prometheus, stream_settings, stream_table
from monitoring.records import checks

GOOD = {
    "task": "classification",
    "kpi": "accuracy",
    "model": "m",
    "labels": ["a", "b"],
    "block_size": 10,
    "threshold": 0.7,
    "fallback_by": ["x"],
    "features": {"x": {"low": 0, "high": 1}, "z": {"low": 1, "high": 3, "categorical": True, "required": False}},
}


def load(tmp_path: Path, content: Any) -> dict[str, stream_settings.StreamConfig]:
    path = tmp_path / "streams.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return stream_settings.load(path)


def test_the_bundled_elec_has_the_bundled_datas_columns_labels_and_ranges() -> None:
    elec, data = stream_settings.load()["elec"], streams.load()
    assert (elec.feature_names, elec.labels) == (data.features, data.label_names)
    assert {feature.fault(float(value)) for row in data.rows[::1000] for feature, value in zip(elec.features, row, strict=True)} == {""}


def test_a_file_of_ones_own_is_read_with_defaults_filled_in(tmp_path: Path) -> None:
    found = load(tmp_path, {"mine": GOOD})["mine"]
    assert (found.name, found.alpha, found.labels, found.fallback_by, found.higher_is_better) == ("mine", 0.05, ("a", "b"), ("x",), True)
    assert found.features[1] == features.Feature("z", 1, 3, categorical=True, required=False)


@pytest.mark.parametrize("name", [name for name, kpi in KPIS.items() if kpi.task == "classification"])
def test_a_stream_of_classes_takes_every_kpi_of_classes(tmp_path: Path, name: str) -> None:
    found = load(tmp_path, {"mine": {**GOOD, "kpi": name, **({"cost": "a:b=5, b:a=1"} if name == "cost" else {})}})["mine"]
    assert (found.kpi, found.higher_is_better) == (name, KPIS[name].higher)
    goal = replace(found, shares=(0.7, 0.3)).goal
    assert (goal.task.kpi, goal.threshold, goal.alpha) == (name, 0.7, 0.05)
    assert goal.met(0.8) is KPIS[name].higher
    flags = {"accuracy": "", "cost": " --kpi cost --cost 'a:b=5, b:a=1'"}.get(name, f" --kpi {name}")
    assert found.retrain_script == f"retrain_model.py --learner {found.learner}{flags}"


@pytest.mark.parametrize("name", [name for name, kpi in KPIS.items() if kpi.task == "regression"])
def test_a_stream_of_values_takes_every_kpi_of_values(tmp_path: Path, name: str) -> None:
    given = {key: value for key, value in GOOD.items() if key != "labels"} | {"task": "regression", "kpi": name, "threshold": 12.5, "unit": "EUR"}
    found = load(tmp_path, {"mine": given})["mine"]
    assert (found.goal.task.kpi, found.goal.unit, found.higher_is_better) == (name, "EUR", False)


def test_without_features_the_task_is_the_kpis(tmp_path: Path) -> None:
    content = {"mine": {"model": "m", "kpi": "log_loss", "threshold": 4.0, "block_size": 10, "fallback_by": []}}
    assert load(tmp_path, content)["mine"].task == "classification"


WRONG_KPIS: list[tuple[dict[str, Any], str]] = [
    ({"kpi": "gini"}, "there is no kpi 'gini': give accuracy, balanced_accuracy, brier, .* of a classification; mae, rmse of a regression"),
    ({"kpi": "rmse"}, "kpi 'rmse' with task 'classification'"),
    ({"kpi": {"a": 1}}, "there is no kpi {'a': 1}"),
    ({"kpi": "cost"}, "kpi cost needs cost, what wrong predictions cost, such as 'good:bad=5,bad:good=1'"),
    ({"kpi": "cost", "cost": " "}, "kpi cost needs cost"),
    ({"kpi": "cost", "cost": 5}, "cost must be a text"),
    ({"kpi": "cost", "cost": {"a": {"b": 5}}}, "cost must be a text"),
    ({"kpi": "cost", "cost": "a:c=5"}, "cost: 'a:c=5' is not true:predicted=cost with labels of this table .a, b."),
    ({"kpi": "cost", "cost": "a:b=-1"}, "cost: the cost in 'a:b=-1'"),
    ({"kpi": "cost", "cost": "a:b=1,a:b=2"}, "cost: 'a:b' is given twice"),
    ({"kpi": "cost", "cost": "a:a=1"}, "no wrong prediction costs more than a right one"),
    ({"kpi": "cost", "cost": "a:b=0.5", "threshold": 0.5}, "threshold 0.5 must be below 0.5 for the cost per row"),
    ({"kpi": "brier", "cost": "a:b=1"}, "cost is given, but the kpi is brier: leave it out, or give kpi: cost"),
    ({"cost": "a:b=1"}, "cost is given, but the kpi is accuracy"),
    ({"kpi": "brier", "threshold": 1.0}, "threshold 1 must be below 1 for the Brier score"),
    ({"kpi": "log_loss", "threshold": 10}, "threshold 10 must be below 10 for the log loss"),
    ({"kpi": "roc_auc", "threshold": 2}, "threshold 2 must be below 1 for the ROC AUC"),
    ({"kpi": "f1", "threshold": 0}, "threshold must be above 0"),
    ({"shares": [0.5, 0.5]}, "unknown setting shares"),
]


@pytest.mark.parametrize(("changed", "said"), WRONG_KPIS)
def test_a_kpi_that_cannot_be_judged_by_is_refused_in_one_line(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        load(tmp_path, {"mine": {**GOOD, **changed}})
    assert "\n" not in str(caught.value) and "stream mine" in str(caught.value)


WRONG: list[tuple[str, Any, str]] = [
    ("task", "ranking", "kpi"),
    ("kpi", "mae", "kpi"),
    ("kpi", ["accuracy"], "kpi"),
    ("model", "", "model"),
    ("labels", ["a"], "labels"),
    ("labels", ["a", "a"], "labels"),
    ("labels", [0, "b"], "labels"),
    ("labels", [0.5, 1.5], "labels"),
    ("labels", [True, False], "put them in quotes"),
    ("labels", ["a", None], "put them in quotes"),
    ("labels", 5, "labels"),
    ("labels", ["50k", "$50k"], "labels has .*50k.*, which cannot be recorded"),
    ("labels", ["a", "b\x07"], "cannot be recorded"),
    ("labels", ["a", "b" * 201], "cannot be recorded"),
    ("labels", [0, 2**63], "cannot be recorded"),
    ("block_size", 0, "block_size"),
    ("block_size", 10.5, "block_size"),
    ("threshold", 1.0, "threshold"),
    ("threshold", 0, "threshold"),
    ("threshold", "high", "threshold"),
    ("threshold", math.nan, "threshold"),
    ("alpha", 1, "alpha"),
    ("fallback_by", ["y"], "fallback_by"),
    ("fallback_by", [["x"]], "fallback_by"),
    ("features", {}, "features"),
    ("features", ["x"], "features"),
    ("features", {"$where": {"low": 0, "high": 1}}, "feature"),
    ("features", {"x": None}, "x"),
    ("features", {"x": {"low": 0}}, "high"),
    ("features", {"x": {"low": 1, "high": 1}}, "low"),
    ("features", {"x": {"low": 0, "high": math.inf}}, "high"),
    ("features", {"x": {"low": 0.5, "high": 3, "categorical": True}}, "categories"),
    ("features", {"x": {"low": 0, "high": 1, "required": "no"}}, "required"),
    ("features", {"x": {"low": 0, "high": 1, "unit": "m"}}, "unit"),
    ("colour", "red", "colour"),
    ("learner", "learner.py", "give MODULE:NAME, such as learner:ELEC"),
    ("learner", "", "give MODULE:NAME"),
    ("learner", None, "give MODULE:NAME"),
    ("learner", "a:B --seed 3", "give MODULE:NAME"),
    ("data", 5, "data 5: give the path"),
    ("data", None, "data None: give the path"),
    ("data", ["a.csv", "b.csv"], "data .*: give the path"),
    ("data", "a\0.csv", "data .*: give the path"),
    ("retrained", "retrain_model.py", "unknown setting retrained; known are .*learner"),
    ("retrain", "retrain_model.py", "retrain is the command for a model with served: elsewhere or model_uri; one of ours has a learner"),
]


@pytest.mark.parametrize(("key", "value", "named"), WRONG)
def test_a_wrong_setting_is_named(tmp_path: Path, key: str, value: Any, named: str) -> None:
    with pytest.raises(SettingsError, match=named) as told:
        load(tmp_path, {"mine": {**copy.deepcopy(GOOD), key: value}})
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("key", [key for key in GOOD if key not in {"labels", "features"}])
def test_a_missing_setting_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(SettingsError, match=key):
        load(tmp_path, {"mine": {name: value for name, value in GOOD.items() if name != key}})


@pytest.mark.parametrize("content", ["", "[]", "{", "a: 1", "1: {}", "'Big Name': {}", "\x00", "!!python/object:os.system {}"])
def test_a_file_that_holds_no_streams_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(SettingsError, match="streams"):
        load(tmp_path, content)


def test_a_page_of_text_is_said_not_to_be_yaml_in_one_plain_line(tmp_path: Path) -> None:
    readme = stream_settings.BUNDLED.parent.parent / "README.md"
    with pytest.raises(SettingsError) as told:
        stream_settings.load(readme)
    assert re.fullmatch(rf"streams {re.escape(str(readme))}: is not YAML \(line \d+, column \d+\): give a file like streams\.yaml", str(told.value))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        stream_settings.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("value", "fault"),
    [(0, ""), (1, ""), (0.5, ""), (-0.01, "out_of_range"), (1.01, "out_of_range"), (10**400, "out_of_range"), (None, "missing")]
    + [(wrong, "not_a_number") for wrong in (True, "0.5", math.nan, math.inf, [0.5], {"$gt": 0})],
)
def test_a_value_is_fine_or_has_one_fault(value: Any, fault: str) -> None:
    assert features.Feature("x", 0, 1).fault(value) == fault


def test_every_fault_of_a_value_is_a_reason_that_a_rejected_record_may_give() -> None:
    assert {"missing", "not_a_number", "out_of_range", "unknown_category"} <= set(checks.REASONS)


def test_every_metric_is_declared_once_with_a_name_and_labels_that_prometheus_takes() -> None:
    declared = (*prometheus.SERVICE, *prometheus.MONITOR, *prometheus.HOOK)
    assert len(prometheus.METRICS) == len(declared)
    for metric in declared:
        assert metric.name.startswith("driftloop_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not {"id", "run_id", "error", "message"} & set(metric.labels)


def test_the_services_metrics_are_those_declared() -> None:
    service = prometheus.ServiceMetrics()
    service.requests.labels("/predict", "200").inc()
    service.spool_bytes.set_function(lambda: 5.0)
    text = service.text().decode()
    assert 'driftloop_requests_total{route="/predict",status="200"} 1.0' in text
    assert "driftloop_spool_bytes 5.0" in text
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE driftloop")} == {metric.name for metric in prometheus.SERVICE}


def test_a_streams_file_of_another_encoding_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes("elec: {} # Wärme".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"is not UTF-8 text \(byte 13 is 0xe4\): save it as UTF-8"):
        stream_settings.load(tmp_path / "s.yaml")


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.6), (-0.1, 0.3), (0.1, 20_000_001.0), (-1e300, 1e39), (1.7e9, 1.7e9 + 1000)])
def test_both_bounds_of_a_range_are_inside_as_the_table_and_as_float32_hold_them(low: float, high: float) -> None:
    feature = features.Feature("x", low, high)
    inside = [low, high, (low + high) / 2, *(float(np.float32(edge)) for edge in (low, high) if abs(edge) < 1e38)]
    assert {feature.fault(value) for value in inside} == {""}
    assert {feature.fault(value) for value in (low - 1e-6 * abs(low) - 1e-6, high * (1 + 1e-6))} == {"out_of_range"}


def test_labels_that_look_alike_are_shown_with_their_quotes() -> None:
    stream = replace(stream_settings.load()["elec"], labels=("0", "1"))
    assert "has labels '0', '1', its model has 0, 1" in stream.labels_fault((0, 1))


FUEL = features.Feature("fuel", required=False, texts=("diesel", "gas", "1"))
FAULTS: list[tuple[features.Feature, list[Any], str]] = [
    (FUEL, ["gas", "coal", "", "g" * 200, "\n", 1, 1.0, True, None, 1e30], ""),
    (FUEL, ["g" * 201, "\ud800", math.nan, math.inf, 2**63, ["gas"], {"gas": 1}, b"gas"], "not_a_text"),
    (features.Feature("new", boolean=True), [True, False, 0, 1, 1.0], ""),
    (features.Feature("new", boolean=True), [2, -1, 0.5, "true", math.nan, [True], {}], "not_a_boolean"),
    (features.Feature("x"), [1e308, -5, 10**300], ""),
    (features.Feature("x"), [10**400, -(10**400)], "out_of_range"),
    (features.Feature("x"), [True, "1", math.nan, math.inf, [1], {"x": 1}], "not_a_number"),
    (features.Feature("x"), [None], "missing"),
]


@pytest.mark.parametrize(("feature", "values", "fault"), FAULTS)
def test_a_described_feature_takes_every_value_that_its_model_takes_and_names_others(feature: features.Feature, values: list[Any], fault: str) -> None:
    assert [feature.fault(value) for value in values] == [fault] * len(values)


def test_rows_of_texts_and_truths_become_the_models_codes() -> None:
    new, x = features.Feature("new", boolean=True, required=False), features.Feature("x", required=False)
    found = [[feature.code(value) for value in values] for feature, values in ((x, [2, None]), (FUEL, ["gas", "coal", 1.0, None]), (new, [True, 0, None]))]
    assert found == [[2, pytest.approx(math.nan, nan_ok=True)], [1, 3, 2, pytest.approx(math.nan, nan_ok=True)], [1, 0, pytest.approx(math.nan, nan_ok=True)]]
    stream = replace(stream_settings.load()["elec"], features=(x, FUEL, new))
    assert [column.kind for column in stream.columns] == ["number", "category", "boolean"] and stream.columns[1].categories == FUEL.texts


def test_streams_of_numbers_in_limits_have_no_columns() -> None:
    assert {stream.columns for stream in stream_settings.load().values()} == {()}


def test_a_stream_without_features_waits_for_its_models(tmp_path: Path) -> None:
    short = {key: GOOD[key] for key in ("kpi", "model", "block_size", "threshold", "fallback_by")}
    found = load(tmp_path, {"mine": short})["mine"]
    assert (found.features, found.labels, found.task, found.learner) == ((), (), "classification", TABLE_LEARNER)
    with pytest.raises(SettingsError, match="stream mine: nothing says which table its model is served from and retrained on"):
        found.retrain_alone()


def test_a_table_is_looked_for_from_the_streams_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = {key: GOOD[key] for key in ("kpi", "model", "block_size", "threshold", "fallback_by")}
    found = {data: load(tmp_path, {"mine": {**short, "data": data}})["mine"] for data in ("a/my.csv", "/x/my.csv", "")}
    assert [one.data for one in found.values()] == [str(tmp_path / "a/my.csv"), "/x/my.csv", ""]
    assert [one.retrains_alone for one in found.values()] == [True, True, False]
    assert found["a/my.csv"].retrain_alone() == f"retrain_model.py --learner {TABLE_LEARNER}"
    monkeypatch.chdir(tmp_path.parent)
    assert stream_settings.load(f"{tmp_path.name}/streams.yaml")["mine"].data == ""
    load(tmp_path, {"mine": {**short, "data": "my.csv"}})
    assert stream_settings.load(f"{tmp_path.name}/streams.yaml")["mine"].data == str(tmp_path / "my.csv")


def test_a_table_that_is_not_there_is_named_in_one_line(tmp_path: Path) -> None:
    stream = replace(stream_settings.load()["elec"], data=str(tmp_path / "my.csv"))
    assert stream_table.fault(stream) == f"stream elec: the table {tmp_path}/my.csv does not exist: put it there, or correct `data` in the streams file"
    assert "is a folder" in stream_table.fault(replace(stream, data=str(tmp_path)))
    with pytest.raises(SettingsError, match="does not exist"):
        stream_table.flags(stream)
    (tmp_path / "my.csv").touch()
    assert stream_table.fault(stream) == ""


DESCRIBED: list[tuple[Any, str]] = [
    ({"texts": ["a", "a"]}, "twice"),
    ({"texts": [1, 2]}, "list of texts"),
    ({"texts": "ab"}, "list"),
    ({"texts": ["a" * 201]}, "200"),
    ({"texts": ["a", "b"], "low": 0}, "leave them out"),
    ({"boolean": True, "categorical": True}, "leave them out"),
    ({"boolean": 1}, "true or false"),
    ({}, "a category has texts"),
]


@pytest.mark.parametrize(("settings", "named"), DESCRIBED)
def test_a_wrong_setting_of_a_described_feature_is_named(tmp_path: Path, settings: Any, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load(tmp_path, {"mine": {**GOOD, "features": {**GOOD["features"], "z": settings}}})  # type: ignore[dict-item]


ELSEWHERE = {"served": "elsewhere", "kpi": "accuracy", "labels": ["no", "yes"], "block_size": 10, "threshold": 0.7}


def test_a_stream_served_elsewhere_needs_no_model_no_fallback_and_no_features(tmp_path: Path) -> None:
    found = load(tmp_path, {"churn": ELSEWHERE})["churn"]
    assert (found.elsewhere, found.by_model, found.task, found.model, found.features, found.fallback_by) == (True, False, "classification", "churn", (), ())
    assert described.complete({"churn": found}) == {"churn": found}  # no registry is asked
    given = load(tmp_path, {"churn": {**ELSEWHERE, "model": "xgb", "features": {"x": {"low": 0, "high": 1}}}})["churn"]
    assert (given.model, given.feature_names, given.task) == ("xgb", ("x",), "classification")
    assert not load(tmp_path, {"mine": {**GOOD, "served": "here"}})["mine"].elsewhere


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"served": "nowhere"}, "served must be here or elsewhere, not 'nowhere'"),
        ({"served": True}, "served must be here or elsewhere, not True"),
        ({"served": ["elsewhere"]}, "served must be here or elsewhere"),
        ({"labels": []}, "labels must be two or more different values for classification"),
        ({"labels": ["no"]}, "labels must be two or more different values for classification"),
        ({"kpi": "mae"}, "labels must be two or more different values for classification, none for regression"),
        ({"fallback_by": ["x"], "features": {"y": {"low": 0, "high": 1}}}, "fallback_by must list features of the stream"),
    ],
)
def test_a_wrong_setting_of_a_stream_served_elsewhere_is_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, {"churn": {**ELSEWHERE, **changes}})
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("twice", "line"), [("elec", 18), ("  kpi", 4)])
def test_a_stream_or_a_setting_that_stands_twice_is_refused_with_its_line(tmp_path: Path, twice: str, line: int) -> None:
    """Else the last would replace the others, and the rate over all streams would be shared by fewer of them."""
    lines = stream_settings.BUNDLED.read_text().splitlines()[1:]
    elec = lines[: lines.index("")]
    path = tmp_path / "streams.yaml"
    given = [*elec, "", *elec] if twice == "elec" else [*elec[:3], *elec[2:]]
    path.write_text("\n".join(given))
    with pytest.raises(SettingsError) as told:
        stream_settings.load(path)
    assert str(told.value) == f"streams {path}: {twice.strip()!r} stands twice (line {line}, column {len(twice) - len(twice.strip()) + 1}): correct it there"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("python train.py --flag", ("python", "train.py", "--flag")),
        ("./train.sh 'a b' \"c|d\" '' # 1", ("./train.sh", "a b", "c|d", "", "#", "1")),
        (["python", "my train.py", "&&"], ("python", "my train.py", "&&")),
        ("sh -c 'cd models && ./train | tee log'", ("sh", "-c", "cd models && ./train | tee log")),
        (None, ()),
    ],
)
def test_a_command_to_retrain_is_split_as_a_shell_would(tmp_path: Path, given: Any, words: tuple[str, ...]) -> None:
    found = load(tmp_path, {"churn": {**ELSEWHERE, "retrain": given}})["churn"]
    assert (found.retrain, found.folder, found.retrains_alone) == (words, str(tmp_path), bool(words))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "retrain '': is empty: give a command such as 'python train.py'"),
        (" ", "is empty"),
        ([], "is empty"),
        ([""], "is empty"),
        ("python 'train.py", "No closing quotation"),
        ("cd models && python train.py", "&& needs a shell and there is none (sh -c '…' runs one)"),
        ("python train.py | tee log", "| needs a shell"),
        ("python train.py>log", "> needs a shell"),
        ("cd models; ./train", "; needs a shell"),
        ("python train.py &", "& needs a shell"),
        (["python", "train.py", "--seed", 3], "give a command such as 'python train.py', or the list of its words, numbers in quotes"),
        (True, "give a command such as"),
        ({"command": "python"}, "give a command such as"),
        (["python", "a\0b"], "has a NUL character"),
    ],
)
def test_what_is_no_command_to_retrain_is_refused_in_one_line(tmp_path: Path, given: Any, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, {"churn": {**ELSEWHERE, "retrain": given}})
    assert "stream churn: retrain" in str(caught.value) and said in str(caught.value) and "\n" not in str(caught.value)


def test_a_model_served_elsewhere_without_a_command_is_not_ours_to_retrain(tmp_path: Path) -> None:
    found = load(tmp_path, {"churn": {**ELSEWHERE, "data": "my.csv"}})["churn"]
    assert not found.retrains_alone
    with pytest.raises(SettingsError, match="stream churn: its model is not ours to retrain: give `retrain: COMMAND` in the streams file"):
        found.retrain_alone()


BY_URI = {"model_uri": "models:/churn@champion", "kpi": "accuracy", "labels": ["no", "yes"], "block_size": 10, "threshold": 0.7}


def test_a_stream_of_a_registry_model_takes_its_name_and_asks_no_champion_of_ours(tmp_path: Path) -> None:
    found = load(tmp_path, {"mine": {**BY_URI, "fallback": "no", "retrain": "python train.py"}})["mine"]
    assert (found.model, found.ours, found.elsewhere, found.by_model, found.asks_model) == ("churn", False, False, False, False)
    assert (found.fallback, found.retrain, found.retrains_alone) == ("no", ("python", "train.py"), True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        *(
            ({"model_uri": uri}, "give models:/NAME@ALIAS, models:/NAME/VERSION or models:/NAME/latest")
            for uri in ("churn", "models:/churn", "runs:/a/m", 3, "", "models:/a@")
        ),
        ({"served": "elsewhere"}, "model_uri with served: elsewhere: leave one out"),
        ({"model": "other"}, "model 'other' is not that of model_uri, 'churn': leave model out"),
        ({"fallback": "perhaps"}, "fallback 'perhaps' is not one of the labels"),
        ({"fallback": True}, "fallback True is not one of the labels"),
        ({"kpi": "mae", "labels": [], "fallback": "3"}, "fallback must be a number, not '3'"),
        ({"labels": []}, "labels must be two or more different values for classification"),
    ],
)
def test_a_wrong_setting_of_a_registry_model_is_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, {"mine": {**BY_URI, **changes}})
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_fallback_of_ones_own_is_for_registry_models(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fallback is for a model_uri"):
        load(tmp_path, {"mine": {**GOOD, "fallback": "a"}})
