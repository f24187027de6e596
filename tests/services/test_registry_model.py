"""A model of MLflow's registry as the one that the service asks: a real SQLite registry, scikit-learn models, and an alias that moves under requests."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from flask import Flask
from mlflow.models import infer_signature
from prediction_fixtures import logged, wait_for
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from driftloop.errors import ServingError, SettingsError, TrackingError
from driftloop.settings import ROOT
from driftloop.system import processes
from driftloop.system.ports import free_ports
from driftloop.system.processes import Server
from monitoring import described, stream_settings
from monitoring.stream_settings import StreamConfig
from prediction_service import fallback_tables
from prediction_service.__main__ import main
from prediction_service.app import create_app
from prediction_service.registry_model import model_frames
from prediction_service.registry_model.pyfunc_model import PyfuncModel
from prediction_service.service_settings import Settings

RNG = np.random.default_rng(3)
X = pd.DataFrame({"age": RNG.integers(18, 80, 200), "income": RNG.normal(3, 1, 200), "new": RNG.random(200) < 0.5})
MIXED = X.assign(plan=np.where(RNG.random(200) < 0.5, "free", "paid"))
LATER = np.where(X.age > 50, "yes", "no")
FEATURES = {"age": 70, "income": 2.5, "new": True}
HEAD = "block_size: 10, threshold: 0.7"
STREAMS = f"""
churn: {{kpi: accuracy, {HEAD}, labels: ["no", "yes"], model_uri: models:/churn@champion, fallback: "no"}}
shares: {{kpi: accuracy, {HEAD}, labels: ["no", "yes"], model_uri: models:/shares/latest}}
price: {{kpi: mae, {HEAD}, unit: EUR, model_uri: models:/price/1, fallback: 3}}
mixed: {{kpi: accuracy, {HEAD}, labels: ["no", "yes"], model_uri: models:/mixed/1, features: {{
  age: {{low: 0, high: 120}}, income: {{low: -10, high: 10}}, new: {{boolean: true}}, plan: {{texts: [free, paid], required: false}}}}}}
failing: {{kpi: accuracy, {HEAD}, labels: ["no", "yes"], model_uri: models:/failing@champion, fallback: "no"}}
"""


class Failing(mlflow.pyfunc.PythonModel):
    """Answers a plain row, and ends in an error, in sys.exit or not at all on others."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        income = model_input["income"].iloc[0]
        if income == 7:
            raise RuntimeError("no\nmemory")
        if income == 8:
            sys.exit(3)
        if income == 9:
            time.sleep(3)
        return ["maybe" if income == 6 else "yes"] * len(model_input)


def register(name: str, model: Any, *, inputs: pd.DataFrame | None = X, **options: Any) -> str:
    signature = None if inputs is None else infer_signature(inputs)
    with mlflow.start_run():
        if isinstance(model, mlflow.pyfunc.PythonModel):
            made = mlflow.pyfunc.log_model(name="m", python_model=model, registered_model_name=name, signature=signature)
        else:
            made = mlflow.sklearn.log_model(model, name="m", registered_model_name=name, signature=signature, serialization_format="pickle", **options)
    return str(made.registered_model_version)


def champion(name: str, version: str) -> None:
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", version)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a registry, and streams.yaml of its models."""
    folder = tmp_path_factory.mktemp("registry")
    before = mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI"), Path.cwd()
    os.chdir(folder)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    mlflow.create_experiment("any", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("any")
    good, other = LogisticRegression(max_iter=2000).fit(X, LATER), LogisticRegression(max_iter=2000).fit(X, np.where(LATER == "yes", "no", "yes"))
    champion("churn", register("churn", good))
    register("churn", other)
    register("churn", LogisticRegression().fit(X[["age"]], LATER), inputs=X[["age"]])  # 3: another signature
    register("churn", LogisticRegression().fit(X, LATER == "yes"))  # 4: other labels
    register("shares", good, pyfunc_predict_fn="predict_proba")
    register("price", LinearRegression().fit(X, X.income * 2))
    register(
        "mixed",
        make_pipeline(make_column_transformer((OneHotEncoder(), ["plan"]), remainder="passthrough"), LogisticRegression()).fit(
            MIXED, np.where(MIXED.plan == "paid", "yes", "no")
        ),
        inputs=MIXED,
    )
    register("bare", good, inputs=None)
    champion("failing", register("failing", Failing()))
    (folder / "streams.yaml").write_text(STREAMS)
    yield folder
    os.chdir(before[2])
    mlflow.set_tracking_uri(before[0])
    os.environ.pop("MLFLOW_TRACKING_URI")
    if before[1] is not None:
        os.environ["MLFLOW_TRACKING_URI"] = before[1]


@contextmanager
def app_of(registry: Path, spool: Path, *names: str, **changes: Any) -> Iterator[Flask]:
    streams = {name: described.complete({name: stream_settings.pick(name, registry / "streams.yaml")})[name] for name in names}
    fallbacks = {name: fallback_tables.constant(stream) for name, stream in streams.items()}
    app = create_app(Settings(**{"streams": streams, "fallbacks": fallbacks, "torchserve_url": "http://127.0.0.1:1", "spool": spool / "spool", **changes}))
    try:
        yield app
    finally:
        app.extensions["close"]()


def ask(app: Flask, stream: str, features: dict[str, Any]) -> Any:
    return app.test_client().post("/predict", json={"stream": stream, "features": features})


def test_labels_probabilities_and_values_by_the_task_and_the_log_has_model_and_version(registry: Path, tmp_path: Path) -> None:
    with app_of(registry, tmp_path, "churn", "shares", "price", "mixed") as app:
        churn, shares, price = (ask(app, name, FEATURES).get_json() for name in ("churn", "shares", "price"))
        assert (churn["prediction"], churn["probability"], churn["model"], churn["version"], churn["fallback"]) == ("yes", None, "churn", "1", "")
        assert shares["prediction"] == "yes" and 0.5 < shares["probability"] <= 1 and shares["version"] == "1"
        assert price["prediction"] == pytest.approx(5.0) and price["probability"] is None
        plans = [ask(app, "mixed", {**FEATURES, "plan": plan}).get_json()["prediction"] for plan in ("free", "paid")]
        assert plans == ["no", "yes"]
        assert app.test_client().get("/ready").get_json()["streams"]["churn"] == {"answers": "model", "version": "1", "fallback": "", "model_error": ""}
    records = {one["stream"]: one for one in logged(tmp_path)}
    assert (records["churn"]["model"], records["churn"]["version"], records["churn"]["baseline"]) == ("churn", "1", "no")
    assert records["shares"]["probabilities"] == [pytest.approx(1 - shares["probability"]), shares["probability"]]


def test_what_the_signature_does_not_take_is_refused_and_leaves_the_model_answering(registry: Path, tmp_path: Path) -> None:
    with app_of(registry, tmp_path, "churn", "mixed") as app:
        for changes, said in (
            ({"age": 30.5}, "row 0: feature age is not a whole number"),
            ({"age": 2.0**60}, "not a whole number"),
            ({"age": None}, "age is missing"),
        ):
            for _ in range(4):
                refused = ask(app, "churn", {**FEATURES, **changes})
                assert refused.status_code == 422 and said in refused.get_json()["error"]["message"]
        assert ask(app, "churn", {"age": 30}).status_code == 422
        assert ask(app, "churn", {**FEATURES, "income": "2"}).status_code == 422
        assert ask(app, "churn", FEATURES).get_json()["fallback"] == ""
        assert (
            ask(app, "mixed", {**FEATURES, "plan": "unseen"}).get_json()["error"]["code"] == "model_unavailable"
        )  # its encoder refuses, and there is no fallback


@pytest.mark.parametrize("income", [6, 7, 8, 9])
def test_a_model_that_fails_is_answered_for_by_the_fallback_until_it_works_again(registry: Path, tmp_path: Path, income: float) -> None:
    with app_of(registry, tmp_path, "failing", model_timeout_s=0.3, look_every_s=0.2) as app:
        assert ask(app, "failing", FEATURES).get_json()["prediction"] == "yes"
        for _ in range(4):  # the circuit opens
            answer = ask(app, "failing", {**FEATURES, "income": income})
            assert (answer.status_code, answer.get_json()["prediction"], answer.get_json()["fallback"]) == (200, "no", "model_unavailable")
        wait_for(lambda: ask(app, "failing", FEATURES).get_json()["fallback"] == "", what="the model to answer again")
        assert ask(app, "failing", FEATURES).get_json()["version"] == "1"


def test_no_request_fails_while_the_alias_moves_and_a_version_that_does_not_fit_is_never_asked(
    registry: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[int, str, str, str]] = []
    stop = threading.Event()

    def client(app: Flask) -> None:
        while not stop.is_set():
            answer = ask(app, "churn", FEATURES)
            body = answer.get_json()
            seen.append((answer.status_code, body["fallback"], body["version"], body["prediction"]))

    def failures() -> float:
        lines = app.test_client().get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("driftloop_model_resolve_failures_total{"))

    with app_of(registry, tmp_path, "churn", resolve_every_s=0.2, model_timeout_s=20.0) as app:
        clients = [threading.Thread(target=client, args=(app,)) for _ in range(4)]
        for one in clients:
            one.start()
        try:
            for version in ("2", "1", "2"):
                champion("churn", version)
                wait_for(lambda version=version: seen and seen[-1][2] == version, what=f"version {version}", timeout_s=60)
            for version, said in (("3", "is no input of its signature"), ("4", "is not a label of the stream")):
                before = failures()
                champion("churn", version)
                wait_for(lambda before=before: failures() > before + 1, what="failures to be counted", timeout_s=60)
                assert any(said in one.getMessage() and "version 2 of models:/churn@champion keeps answering" in one.getMessage() for one in caplog.records)
            mlflow.MlflowClient().delete_registered_model_alias("churn", "champion")
            before = failures()
            wait_for(lambda: failures() > before, what="a failure to be counted", timeout_s=60)
        finally:
            stop.set()
            for one in clients:
                one.join()
            champion("churn", "1")
        assert app.test_client().get("/ready").get_json()["streams"]["churn"]["version"] == "2"
    assert {(status, fallback) for status, fallback, *_ in seen} == {(200, "")}
    assert {one[2:] for one in seen} == {("1", "yes"), ("2", "no")}  # each answer has the version that gave it


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"model_uri": "models:/nobody@champion"}, TrackingError, "models:/nobody@champion"),
        ({"model_uri": "models:/churn@nobody"}, TrackingError, "models:/churn@nobody"),
        ({"model_uri": "models:/churn/99"}, TrackingError, "models:/churn/99"),
        ({"model_uri": "models:/nobody/latest"}, TrackingError, "models:/nobody/latest: the registry has no version of it"),
        ({"model_uri": "models:/churn/3"}, SettingsError, "version 3 of churn: feature income is no input of its signature: age"),
        ({"labels": ("a", "b")}, ServingError, "is not a label of the stream: a, b"),
        ({"task": "regression", "labels": ()}, ServingError, "could not convert"),
    ],
)
def test_a_model_that_cannot_be_loaded_or_does_not_fit_is_one_line(registry: Path, changes: dict[str, Any], error: type[Exception], said: str) -> None:
    stream = described.pick("churn", registry / "streams.yaml")
    with pytest.raises(error) as caught:
        PyfuncModel(StreamConfig(**{**vars(stream), **changes}), timeout_s=5)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_service_as_a_process_serves_it_and_refuses_to_start_in_one_line(registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = ["--streams_file", str(registry / "streams.yaml")]
    port = free_ports()[0]
    command = [sys.executable, "-m", "prediction_service", *file, "--streams", "churn,price", "--port", str(port), "--spool", str(tmp_path / "spool")]
    with Server(command, log=tmp_path / "log", folder=ROOT) as server:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _ready(url, server), what="the service", timeout_s=120)
        body = requests.post(f"{url}/predict", json={"stream": "price", "features": FEATURES}, timeout=30).json()
        assert (body["prediction"], body["model"], body["version"], body["fallback"]) == (pytest.approx(5.0), "price", "1", "")
        assert requests.get(f"{url}/ready", timeout=5).json()["streams"]["churn"]["version"] == "1"
        assert requests.get(url, timeout=5).ok and "whole" not in server.log.read_text()
    (registry / "wrong.yaml").write_text(STREAMS.replace("@champion", "@nobody"))
    assert main(["--streams_file", str(registry / "wrong.yaml"), "--streams", "churn", "--port", str(free_ports()[0])]) == TrackingError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert "models:/churn@nobody" in line


def _ready(url: str, server: Server) -> bool:
    assert server.code is None, server.log.read_text()
    try:
        return requests.get(f"{url}/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


CHURN = StreamConfig("churn", "classification", "accuracy", "churn", (), 10, 0.7, (), labels=("no", "yes"))
DIGITS = StreamConfig("digits", "classification", "accuracy", "digits", (), 10, 0.7, (), labels=(0, 1, 2))
PRICE = StreamConfig("price", "regression", "mae", "price", (), 10, 0.7, ())


@pytest.mark.parametrize(
    ("stream", "output", "prediction", "shares"),
    [
        (CHURN, np.array(["yes"]), "yes", None),
        (CHURN, pd.DataFrame({"prediction": ["yes"]}), "yes", None),
        (CHURN, [[0.2, 0.8]], "yes", (0.2, 0.8)),
        (CHURN, pd.DataFrame({"yes": [0.2], "no": [0.8]}), "no", (0.8, 0.2)),
        (CHURN, np.array([0.25], dtype=np.float32), "no", (0.75, 0.25)),
        (DIGITS, np.array([2.0]), 2, None),
        (DIGITS, pd.Series([1], dtype="int64"), 1, None),
        (DIGITS, np.array([[0.1, 0.2, 0.7]]), 2, (0.1, 0.2, 0.7)),
        (PRICE, np.array([[2.5]], dtype=np.float32), 2.5, None),
        (PRICE, pd.Series([2]), 2.0, None),
    ],
)
def test_an_output_is_read_by_the_streams_task(stream: StreamConfig, output: Any, prediction: Any, shares: Any) -> None:
    (found,) = model_frames.read_output(output, stream, rows=1, version="3")
    assert (found.prediction, type(found.prediction), found.probabilities, found.version) == (prediction, type(prediction), shares, "3")


@pytest.mark.parametrize(
    ("stream", "output"),
    [
        (CHURN, ["maybe"]),
        (CHURN, [1.5]),
        (CHURN, [None]),
        (CHURN, ["no", "yes"]),
        (CHURN, [[0.2, 0.2]]),
        (CHURN, [[-0.2, 1.2]]),
        (CHURN, [[0.2, 0.3, 0.5]]),
        (CHURN, pd.DataFrame({"label": ["yes"], "score": [0.8]})),
        (DIGITS, [0.5]),
        (DIGITS, [[float("nan"), 0.5, 0.5]]),
        (PRICE, [float("inf")]),
        (PRICE, ["much"]),
        (PRICE, [[1.0, 2.0]]),
        (PRICE, np.zeros((1, 1, 1))),
        (PRICE, 3.0),
        (PRICE, None),
    ],
)
def test_an_output_that_is_no_answer_is_an_error_of_the_model(stream: StreamConfig, output: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        model_frames.read_output(output, stream, rows=1, version="3")


def test_the_example_of_the_docs_serves_the_model_that_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "any_model.md").read_text(encoding="utf-8").partition("## A model from MLflow's registry")[2]
    code, streams = (re.search(rf"^```{language}\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE) for language in ("python", "yaml"))
    assert code and streams
    (tmp_path / "streams.yaml").write_text(streams[1], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)  # set by MLflow in this process
    trained = processes.run([sys.executable, "-c", code[1]], timeout_s=120, folder=tmp_path)
    assert trained.code == 0, trained
    before = mlflow.get_tracking_uri()
    try:
        with app_of(tmp_path, tmp_path, "churn") as app:
            answer = ask(app, "churn", {"age": 65, "income": 2.0}).json
    finally:
        mlflow.set_tracking_uri(before)
    assert (answer["prediction"], answer["fallback"], answer["version"]) == ("yes", "", "1")
