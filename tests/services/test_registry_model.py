"""A model of MLflow's registry as the one that the service asks: a real SQLite registry, scikit-learn models, and an alias that moves under requests."""

from __future__ import annotations

import os
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
from driftloop.system.ports import free_ports
from driftloop.system.processes import Server
from monitoring import described, stream_settings
from monitoring.stream_settings import StreamConfig
from prediction_service import fallback_tables
from prediction_service.__main__ import main
from prediction_service.app import create_app
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
