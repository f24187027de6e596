"""The MLflow model of a person's own table: it takes the table as it is, by a signature with types, and answers as the served model does."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from car_table import LEARNER, TRAINED, car_model, car_stream, car_table, unpacked
from handler_context import FakeContext
from mlflow.models import Model, validate_serving_input
from mlflow.pyfunc import scoring_server
from script_fixtures import Workshop

from driftloop.data.schema import decoded
from driftloop.tracking import mlflow_store
from driftloop.training import datasets, reference, trained_model
from handler import ElecHandler

TYPES = {"km": "double", "discount": "double", "power": "double", "fuel": "string", "sold": "boolean", "checked": "string", "zone": "string"}
HISTORY = 2


class Logged:
    """A recorded model, its stream and table, and what MLflow gives back."""

    def __init__(self, workshop: Workshop, folder: Path, task: str) -> None:
        self.stream = car_stream(folder, task=task)
        self.table = pd.read_csv(folder / "cars.csv")
        fitted = car_model(self.stream, history=HISTORY)
        with workshop.entered():
            store = mlflow_store.open_store(f"cars-{task}")
            with mlflow_store.run(store, "base", role="base") as run_id:
                self.known = trained_model.record(fitted, learner=LEARNER, stream=self.stream, run_id=run_id)
                datasets.log(self.stream, {"training": (0, TRAINED)})
            self.model = mlflow.pyfunc.load_model(self.known.uri)
            self.path = mlflow.artifacts.download_artifacts(self.known.uri, dst_path=str(folder / "model"))
            self.restored = trained_model.restore(store, run_id, learner=LEARNER, stream=self.stream)
            self.reference = reference.load(store, run_id)
            self.run = store.client.get_run(run_id)
        self.wanted = trained_model.predict(fitted.model, self.stream, 0, len(self.stream))

    def outputs(self, answers: pd.DataFrame) -> np.ndarray:
        return answers.iloc[:, 1:].to_numpy() if self.stream.label_names else answers["prediction"].to_numpy()

    def ask(self, rows: Any) -> np.ndarray:
        return self.outputs(self.model.predict(rows))


@pytest.fixture(scope="module", params=["classification", "regression"])
def logged(request: pytest.FixtureRequest, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Logged:
    return Logged(workshop, tmp_path_factory.mktemp("cars"), request.param)


@pytest.fixture(scope="module")
def classes(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Logged:
    return Logged(workshop, tmp_path_factory.mktemp("classes"), "classification")


def test_the_table_of_the_training_is_answered_as_it_was_read(logged: Logged) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answers = logged.model.predict(logged.table)
    np.testing.assert_allclose(logged.outputs(answers), logged.wanted, atol=1e-6)
    later = logged.model.predict(logged.table, params={"first": 300})
    np.testing.assert_allclose(logged.outputs(later), logged.wanted[300:], atol=1e-6)


def test_the_model_and_the_served_one_answer_alike(logged: Logged, tmp_path: Path) -> None:
    served, context = ElecHandler(), FakeContext(unpacked(logged.known, tmp_path))
    served.initialize(context)
    rows = json.loads(logged.table.drop(columns="discount").assign(discount=logged.stream.rows[:, 1]).to_json(orient="records"))
    (answer,) = served.handle([{"body": json.dumps({"instances": rows})}], context)
    found = [one["probabilities"] if "probabilities" in one else one["value"] for one in json.loads(answer)["predictions"]]
    assert not context.status and json.loads(answer)["unseen"] == {"fuel": int((logged.table["fuel"] == "hydrogen").sum())}
    np.testing.assert_allclose(logged.outputs(logged.model.predict(logged.table)), found, atol=1e-6)


def test_the_signature_has_names_types_and_what_may_be_missing(logged: Logged) -> None:
    found = logged.model.metadata.signature.inputs.inputs
    assert {column.name: column.type.name for column in found} == TYPES
    assert [column.name for column in found if not column.required] == ["power", "fuel", "sold"]


def as_pandas_types(table: pd.DataFrame) -> pd.DataFrame:
    return table.convert_dtypes()


def as_arrow(table: pd.DataFrame) -> pd.DataFrame:
    return table.convert_dtypes(dtype_backend="pyarrow")


def as_objects(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype(object).where(table.notna(), None)


def as_categories(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype({"fuel": "category", "checked": "category", "zone": "category"})


def as_floats(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(km=table["km"].astype(float), zone=table["zone"].astype(float), sold=table["sold"].map({True: 1.0, False: 0.0}))


def as_texts(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype(str).where(table.notna(), None)


def without_index(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index(pd.Index([7] * len(table)))


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return as_objects(table).to_dict("records")


@pytest.mark.parametrize(
    "form", [as_pandas_types, as_arrow, as_objects, as_categories, as_floats, as_texts, without_index, as_records], ids=lambda form: form.__name__
)
def test_every_form_of_the_table_gets_the_same_answers(classes: Logged, form: Any) -> None:
    np.testing.assert_allclose(classes.ask(form(classes.table)), classes.wanted, atol=1e-6)


@pytest.mark.parametrize("name", list(TYPES))
@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA], ids=str)
def test_any_column_may_be_missing_in_any_row_or_in_all(classes: Logged, name: str, nothing: Any) -> None:
    rows = classes.stream.rows[:20].copy()
    rows[:, list(TYPES).index(name)] = np.nan
    local = classes.known.model.probabilities(rows)
    np.testing.assert_allclose(classes.ask(classes.table[:20].assign(**{name: nothing})), local, atol=1e-6)
    gap = classes.table[:20].astype({name: object})
    gap.loc[19, name] = nothing
    np.testing.assert_allclose(classes.ask(gap)[-1], classes.known.model.probabilities(np.vstack([classes.stream.rows[:19], rows[19:]]))[-1], atol=1e-6)


def test_unseen_texts_are_other_whatever_they_are(classes: Logged) -> None:
    texts = ["hydrogen", "", " ", "🚂", "x" * 10_000, "nan", 5, 1.5, True]
    found = [classes.ask(classes.table[:1].assign(fuel=pd.Series([text], dtype=object))) for text in texts]
    assert all(np.array_equal(answer, found[0]) for answer in found)
    assert not np.array_equal(found[0], classes.ask(classes.table[:1].assign(fuel="gas")))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("km", "far", "column km is not numeric"),
        ("km", np.inf, "row 1, column km is 'inf': give a finite number"),
        ("km", [1], "column km"),
        ("km", 10**400, "row 1, column km is '1000"),
        ("km", 1 + 2j, "column km"),
        ("sold", "perhaps", "row 1, column sold is 'perhaps': give true or false"),
        ("sold", 2, "row 1, column sold is '2'"),
        ("fuel", ["gas"], "column fuel holds lists"),
        ("fuel", {"a": 1}, "column fuel holds lists"),
    ],
    ids=str,
)
def test_what_is_no_value_of_its_column_is_one_line(classes: Logged, name: str, value: Any, message: str) -> None:
    values = pd.Series([None, value], dtype=object)
    with pytest.raises(ValueError, match=message) as told:
        classes.model.predict(classes.table[:2].assign(**{name: values}))
    assert "\n" not in str(told.value) and len(str(told.value)) < 300


@pytest.mark.parametrize("kind", ["datetime64[ns]", "timedelta64[ns]", "complex128"])
def test_times_and_complex_numbers_are_no_numbers(classes: Logged, kind: str) -> None:
    with pytest.raises(ValueError, match=f"column km holds {re.escape(kind)}: give numbers"):
        classes.model.predict(classes.table[:2].assign(km=pd.Series([1, 2]).astype(kind)))


@pytest.mark.parametrize("rows", ["km", 5, None, [], np.zeros((2, 7))], ids=lambda rows: type(rows).__name__)
def test_what_is_no_table_is_one_line(classes: Logged, rows: Any) -> None:
    with pytest.raises(ValueError, match=r"is no table|the table lacks km, discount"):
        classes.model.predict(rows)


def test_a_table_without_rows_gets_an_answer_without_rows(classes: Logged) -> None:
    assert classes.model.predict(classes.table[:0]).shape == (0, 3)


def test_an_absent_column_is_named_and_one_that_is_there_twice(classes: Logged) -> None:
    with pytest.raises(ValueError, match="the table lacks km, fuel: give the columns km, discount"):
        classes.model.predict(classes.table.drop(columns=["km", "fuel"]))
    with pytest.raises(ValueError, match="has fuel twice"):
        classes.model.predict(pd.concat([classes.table, classes.table[["fuel"]]], axis=1))


def test_the_example_is_a_table_of_real_values_that_the_model_and_mlflows_server_answer(logged: Logged) -> None:
    model = Model.load(logged.path)
    example = model.load_input_example(logged.path)
    assert isinstance(example, pd.DataFrame) and set(example["fuel"].dropna()) <= set(logged.table["fuel"]) and list(example.columns) == list(TYPES)
    assert set(example["zone"]) <= {"5", "161", "162"} and set(example["checked"]) <= {"yes", "no"}
    answer = validate_serving_input(logged.path, model.get_serving_input(logged.path))
    np.testing.assert_allclose(logged.outputs(answer), logged.ask(example), atol=1e-6)


def test_mlflows_own_server_takes_records_and_csv(classes: Logged) -> None:
    def answered(data: str, kind: str) -> pd.DataFrame:
        found = scoring_server.invocations(data, kind, classes.model, classes.model.metadata.get_input_schema())
        assert found.status == 200
        return pd.DataFrame(json.loads(found.response)["predictions"])

    records = {"inputs": json.loads(classes.table[:30].to_json(orient="records"))}
    np.testing.assert_allclose(classes.outputs(answered(json.dumps(records), "application/json")), classes.wanted[:30], atol=1e-6)
    whole = decoded.table(classes.stream.rows[:60], classes.stream.columns).dropna()
    assert len(answered(whole.to_csv(index=False), "text/csv")) == len(whole)


def test_the_network_takes_windows_of_codes(classes: Logged) -> None:
    import torch

    windows = np.stack([classes.stream.rows[at - HISTORY : at + 1] for at in range(HISTORY, 40)])
    logits = mlflow.pytorch.load_model(classes.path)(torch.from_numpy(windows))
    np.testing.assert_allclose(torch.softmax(logits, dim=1).detach().numpy(), classes.wanted[HISTORY:40], atol=1e-6)


def test_a_restored_model_is_the_recorded_one(logged: Logged) -> None:
    assert logged.restored.card == logged.known.card
    np.testing.assert_array_equal(trained_model.predict(logged.restored.model, logged.stream, 0, 400), logged.wanted)


def test_the_reference_can_be_decoded_to_the_training_rows(logged: Logged) -> None:
    found = logged.reference
    table = decoded.table(found.rows, found.about.columns)
    for name in ("fuel", "sold", "checked", "power"):
        given = logged.table[name][:TRAINED]
        assert [None if pd.isna(value) else value for value in table[name]] == [None if pd.isna(value) else value for value in given]
    assert table["zone"].tolist() == logged.table["zone"][:TRAINED].astype(str).tolist()
    assert "hydrogen" not in found.about.columns[3].categories and len(found.spans.columns) == len(found.about.features)


def test_the_dataset_input_has_the_tables_types_and_another_digest_for_other_texts(classes: Logged, tmp_path: Path) -> None:
    (used,) = classes.run.inputs.dataset_inputs
    types = {column["name"]: column["type"] for column in json.loads(used.dataset.schema)["mlflow_colspec"]}
    assert types == TYPES | {"label": "long"}
    other = car_stream(tmp_path, table=car_table().replace({"fuel": {"gas": "petrol"}}))
    assert datasets.UsedRows(other, (0, TRAINED)).digest != used.dataset.digest
    same = replace(classes.stream)
    assert datasets.UsedRows(same, (0, TRAINED)).digest == used.dataset.digest


def test_a_model_of_fewer_rows_than_its_history_is_logged_though_the_rows_before_them_hold_other_texts(workshop: Workshop, classes: Logged) -> None:
    (hydrogen,) = [row for row in range(TRAINED, TRAINED + 51) if classes.stream.rows[row, 3] == 4]
    trained = (hydrogen + 1, hydrogen + 2)
    fitted = car_model(classes.stream, history=4, trained=trained)
    with workshop.entered():
        store = mlflow_store.open_store("cars-few")
        with mlflow_store.run(store, "base", role="base") as run_id:
            known = trained_model.record(fitted, learner=LEARNER, stream=classes.stream, run_id=run_id)
        answers = mlflow.pyfunc.load_model(known.uri).predict(classes.table)
    np.testing.assert_allclose(classes.outputs(answers), trained_model.predict(fitted.model, classes.stream, 0, 400), atol=1e-6)
