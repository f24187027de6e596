"""Names, defaults and sizes used by more than one module."""

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

TRAIN_SHARE: Final = 0.7  # of the stream, for the base model with its validation rows; the rest is streamed
VALIDATION_SHARE: Final = 0.1  # share of those rows, the newest, that selects between trials
VALIDATION_ROWS: Final = 336  # validation rows of a retrain
JUDGE_ROWS: Final = 48  # newest rows that neither champion nor challenger was fitted on: a day of ELEC
JUDGE_ALPHA: Final = 0.1  # level of the test that a challenger is better
PROMOTE_ALPHA: Final = 0.05  # maximum probability, over a whole shadow, that a challenger which is no better is promoted
SHADOW_BLOCKS: Final = 30  # blocks after which a shadow ends at the latest

ALPHA: Final = 0.05  # maximum false-alarm probability of the rule `significant` over a whole watch
REFERENCE_BLOCKS: Final = 100  # newest of a model's training rows, used to learn the errors' autocorrelation
LEAD_BLOCKS: Final = 1  # a proactive retrain is due when the forecast's early end is this many blocks away; 1 is the next block

ASKED_BY: Final = "DRIFTLOOP_ASKED_BY"  # environment variable: who requests a retrain, in words

POLICIES: Final = ("triggered", "periodic", "continuous", "proactive", "cost")  # when a watch retrains

TASKS: Final = ("classification", "regression")

ELEC_LEARNER: Final = "learner:ELEC"
TABLE_LEARNER: Final = "driftloop.training.table.table_learner:TABLE"
# The table learner's own defaults of the scripts' flags; here, because importing the learner takes torch.
TABLE_FLAGS: Final[dict[str, Any]] = {
    "task": "",
    "optimizer": "adamw",
    "max_epochs": 6,
    "total_trials": 1,
    "threshold_accuracy": 0,
    "block_size": 0,
    "follow_up": True,
    "judge_rows": 500,
    "validation_rows": 1000,
    "backtest.py": {"window": 10_000, "judge_rows": 0, "jobs": min(4, os.cpu_count() or 1)},
}

THRESHOLD_SLACK: Final = 0.1  # share by which the loss may exceed that of the validation rows, where no threshold is given

DEFAULT_EXPERIMENT: Final = "Default"
DEFAULT_STORE: Final = "sqlite:///mlflow.db"
RETRIES: Final = 7  # retries of an MLflow request, in programs that inherit our environment; in ours, this many or more mean: as long as `retries` waits


def quiet_environment() -> None:
    """Set the environment before the heavy libraries are imported: no telemetry, bounded waits, short logs.

    Variables set by the user are kept.
    """
    for name, value in {
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        # We wait for a server that restarts (`retries`); one that is down at the start is reported at once (`patience`).
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(RETRIES),
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        # A second thread gains nothing on networks this small, and slows a fit several times when another process
        # uses the core: OpenMP threads wait for each other in a busy loop. TorchServe's workers inherit it.
        "OMP_NUM_THREADS": "1",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines of a tracking server for each run and trial
        "GIT_PYTHON_REFRESH": "quiet",
        "PYTHONWARNINGS": "ignore",
        "TQDM_MININTERVAL": "0.5",
    }.items():
        os.environ.setdefault(name, value)
