"""The learner for any table: numbers, booleans and categories with missing values; two or more classes, or a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from driftloop.settings import ROOT, TABLE_FLAGS
from driftloop.training.fitting import Learner
from driftloop.training.table.table_datamodule import TableDataModule
from driftloop.training.table.table_model import TableModel

BASE_PARAMS: Final[dict[str, Any]] = {
    "history": 0,
    "window": 0,
    "lr": 0.01,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "nesterov": True,
    "width": 96,
    "depth": 2,
    "optimizer": "adamw",
}
# A retrain starts at the newest rows, because the regime has just changed.
RETRAIN_PARAMS: Final[dict[str, Any]] = {**BASE_PARAMS, "window": TABLE_FLAGS["backtest.py"]["window"]}
# Momentum and Nesterov are SGD's, and a longer history than 0 is a decision about the table, not a number to be found by chance.
SPACE: Final[dict[str, Any]] = {
    "window": {"choices": [2_500, 10_000, 40_000]},
    "lr": {"range": [0.002, 0.05], "log": True},
    "weight_decay": {"range": [1e-6, 1e-1], "log": True},
    "width": {"choices": [32, 64, 96, 128]},
    "depth": {"choices": [1, 2, 3]},
}
TABLE = Learner(
    TableModel,
    TableDataModule,
    model_file=Path(__file__).with_name("table_model.py"),
    handler_file=ROOT / "handler.py",
    base_params=BASE_PARAMS,
    retrain_params=RETRAIN_PARAMS,
    space=SPACE,
    task="",
    values_as_they_are=True,
    defaults=TABLE_FLAGS,
)
