"""What learns the taxi trips, and what it is held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from driftloop.training.fitting import Learner
from examples.nyc_taxi import cleaning, rivals
from examples.nyc_taxi.taxi_datamodule import TaxiDataModule
from examples.nyc_taxi.taxi_model import TaxiModel

ROOT = Path(__file__).resolve().parents[2]

BASE_PARAMS: Final[dict[str, Any]] = {
    "history": 0,
    "window": 0,  # all rows before the watch
    "lr": 0.01,
    "momentum": 0.9,
    "weight_decay": 1e-5,
    "nesterov": True,
    "width": 64,
    "depth": 2,
    "optimizer": "adamw",
}
# A retrain starts at a month of trips, because the regime has just changed.
RETRAIN_PARAMS: Final[dict[str, Any]] = {**BASE_PARAMS, "window": 10_000}
SPACE: Final[dict[str, Any]] = {
    "window": {"choices": [10_000, 30_000]},
    "lr": {"range": [0.003, 0.03], "log": True},
    "weight_decay": {"range": [1e-6, 1e-2], "log": True},
    "width": {"choices": [32, 64]},
}

TAXI = Learner(
    TaxiModel,
    TaxiDataModule,
    model_file=Path(__file__).with_name("taxi_model.py"),
    handler_file=ROOT / "handler.py",
    base_params=BASE_PARAMS,
    retrain_params=RETRAIN_PARAMS,
    space=SPACE,
    rivals={
        "mean by zone pair and hour": rivals.mean_by_zones_and_hour,
        "linear regression on zone pair and distance": rivals.linear_regression,
    },
    task="regression",
    unit="minutes",
    check=cleaning.faults,
)
