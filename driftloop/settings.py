"""Names, defaults and sizes that more than one module needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent  # of the repository: the scripts, and data/

SEED: Final = 7

# The documented defaults of the model. `window` is the number of newest rows to train on, 0 = all.
# `history` 0 is the instance-wise model of the original.
DEFAULT_PARAMS: Final[dict[str, Any]] = {
    "history": 0,
    "window": 0,
    "lr": 0.05,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "nesterov": True,
    "width": 32,
    "depth": 1,
    "optimizer": "sgd",
}

# A retrain starts its search here: the newest week, because the regime has just changed.
RETRAIN_PARAMS: Final[dict[str, Any]] = {**DEFAULT_PARAMS, "window": 336, "lr": 0.01}

TRAIN_SHARE: Final = 0.7  # of the stream, for the base model with its validation rows; the rest is to come
VALIDATION_SHARE: Final = 0.1  # of those rows, the newest: they choose between trials
VALIDATION_ROWS: Final = 336  # the same in a retrain, in rows
JUDGE_ROWS: Final = 48  # newest rows that neither champion nor challenger was fitted on: a day of ELEC
JUDGE_ALPHA: Final = 0.1  # a challenger must be better than chance would make it in 1 of 10 cases

ALPHA: Final = 0.05  # false alarms of the rule `significant`: in at most so many of the watches of a model that is good enough
REFERENCE_BLOCKS: Final = 100  # newest of the rows a model was trained on: how its errors come together is learned there
LEAD_BLOCKS: Final = 1  # a proactive retrain comes so many blocks before the early end of the forecast: 1 is the next block

ASKED_BY: Final = "DRIFTLOOP_ASKED_BY"  # environment: who asks for a retrain, in words; a stream's own script need not know it

TASKS: Final = ("classification", "regression")

DEFAULT_EXPERIMENT: Final = "Default"
DEFAULT_STORE: Final = "sqlite:///mlflow.db"
RETRIES: Final = 7  # of an MLflow request, in programs that inherit our environment; in our own, so many and more mean: as long as `retries` waits


def quiet_environment() -> None:
    """Set what must be set before the heavy libraries are imported: no telemetry, bounded waits, short logs.

    A variable that the user has set stays as it is.
    """
    for name, value in {
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        # A server that restarts is waited for (`retries`); one that is down at the start is reported at once (`patience`).
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(RETRIES),
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        # A second thread gains nothing on networks this small, and makes a fit several times as slow when another process
        # wants the core: OpenMP threads wait for each other in a busy loop. TorchServe's workers inherit it.
        "OMP_NUM_THREADS": "1",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # of a tracking server: two lines for each run and trial
        "GIT_PYTHON_REFRESH": "quiet",
        "PYTHONWARNINGS": "ignore",
        "TQDM_MININTERVAL": "0.5",
    }.items():
        os.environ.setdefault(name, value)
