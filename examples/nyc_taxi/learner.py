"""The taxi learner: model, baselines, and its defaults of the scripts' flags.

python lifecycle.py --learner examples.nyc_taxi.learner:TAXI --mlflow_experiment_name taxi --report taxi.html
python lifecycle.py --learner examples.nyc_taxi.learner:TAXI --on_drift ignore          # the same year without a retrain
python -m monitoring fill --learner examples.nyc_taxi.learner:TAXI                      # all 36 months into the prediction log
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from driftloop.settings import ROOT
from driftloop.training.fitting import Learner
from examples.nyc_taxi import cleaning, rivals, trips
from examples.nyc_taxi.taxi_datamodule import TaxiDataModule
from examples.nyc_taxi.taxi_model import TaxiModel

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
# A retrain's search starts with a month of trips, because the regime has just changed.
RETRAIN_PARAMS: Final[dict[str, Any]] = {**BASE_PARAMS, "window": 10_000}
SPACE: Final[dict[str, Any]] = {
    "window": {"choices": [10_000, 30_000]},
    "lr": {"range": [0.003, 0.03], "log": True},
    "weight_decay": {"range": [1e-6, 1e-2], "log": True},
    "width": {"choices": [32, 64]},
}

# Trained on 2018 and scored month by month on 2019 the model has an MAE of at most 3.2 minutes (December; benchmarks/taxi.md); a model
# without drift stays under a tenth more. The stream taxi in monitoring/streams.yaml has the same threshold.
THRESHOLD_MAE: Final = 3.5
DEFAULTS: Final[dict[str, Any]] = {
    "data_path": trips.DATA,
    "target": cleaning.TARGET,
    "time_column": cleaning.TIME,
    "features": ",".join(cleaning.FEATURES),
    "bad_rows": trips.BAD_ROWS,
    "train_until": "2020-01-01",
    "history": BASE_PARAMS["history"],
    "optimizer": BASE_PARAMS["optimizer"],
    "max_epochs": 6,
    "register_model_name": "taxi_model",
    "block_by": "week",
    "follow_up": True,
    "threshold_mae": THRESHOLD_MAE,
    "judge_rows": 2000,
    "validation_rows": 2000,
    "test_data_rows": 0,
    "drift_rule": "significant",
    "lifecycle.py": {"total_trials": 4},
    "backtest.py": {"judge_rows": 0},
    "monitoring fill": {"stream": "taxi"},
    "monitoring replay": {"stream": "taxi", "block_size": 100},
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
    task=trips.TASK,
    unit=trips.UNIT,
    check=cleaning.faults,
    defaults=DEFAULTS,
)
