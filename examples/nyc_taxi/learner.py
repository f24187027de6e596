"""The taxi learner: the table learner with the trips' schema, rules and baselines, and its defaults of the scripts' flags.

python lifecycle.py --learner examples.nyc_taxi.learner:TAXI --mlflow_experiment_name taxi --report taxi.html
python lifecycle.py --learner examples.nyc_taxi.learner:TAXI --on_drift ignore          # the same year without a retrain
python -m monitoring fill --learner examples.nyc_taxi.learner:TAXI                      # all 36 months into the prediction log
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from driftloop.training.table import table_learner
from examples.nyc_taxi import cleaning, rivals, trips

# A search takes a month of trips or three: it has four trials, and the regime has just changed.
SPACE: Final[dict[str, Any]] = {**(table_learner.TABLE.space or {}), "window": {"choices": [10_000, 30_000]}}

# Trained on 2018 and scored month by month on 2019 the model has an MAE of at most 3.1 minutes (December; benchmarks/taxi.md); a model
# without drift stays under an eighth more. The stream taxi in monitoring/streams.yaml has the same threshold.
THRESHOLD_MAE: Final = 3.5
DEFAULTS: Final[dict[str, Any]] = {
    "optimizer": table_learner.TABLE.defaults["optimizer"],
    "max_epochs": table_learner.TABLE.defaults["max_epochs"],
    "data_path": trips.DATA,
    "target": cleaning.TARGET,
    "time_column": cleaning.TIME,
    "features": ",".join(cleaning.FEATURES),
    "schema": trips.SCHEMA,
    "bad_rows": trips.BAD_ROWS,
    "missing": trips.BAD_ROWS,
    "train_until": "2020-01-01",
    "history": 0,  # trips of different people are unrelated
    "register_model_name": "taxi_model",
    "block_by": "week",
    "follow_up": True,
    "threshold_mae": THRESHOLD_MAE,
    "judge_rows": 2000,
    "validation_rows": 2000,
    "test_data_rows": 0,
    "drift_rule": "significant",
    "lifecycle.py": {"total_trials": 4},
    "monitoring fill": {"stream": "taxi"},
    "monitoring replay": {"stream": "taxi", "block_size": 100},
}

TAXI = replace(
    table_learner.TABLE,
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
