"""The defaults of the taxi stream for the flags that the scripts at the root have."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from driftloop.cli import parsing
from examples.nyc_taxi.cleaning import FEATURES, TARGET, TIME

DATA: Final = Path(__file__).resolve().parents[2] / "data" / "nyc_taxi.parquet"
# Trained on 2018 and scored month by month on 2019 the model reaches an MAE of at most 3.2 minutes (December; benchmarks/taxi.md), so a
# tenth more is what a model that has not drifted does not pass.
THRESHOLD_MAE: Final = 3.5
DEFAULTS: Final[dict[str, Any]] = {
    "task": "regression",
    "data_path": str(DATA),
    "target": TARGET,
    "time_column": TIME,
    "features": ",".join(FEATURES),
    "bad_rows": "set_aside",
    "train_until": "2020-01-01",
    "history": 0,
    "optimizer": "adamw",
    "max_epochs": 6,
    "register_model_name": "taxi_model",
    "block_by": "week",
    "follow_up": True,
    "threshold_mae": THRESHOLD_MAE,
    "judge_rows": 2000,
    "validation_rows": 2000,
    "test_data_rows": 0,
    "drift_rule": "significant",
}


def with_defaults(parser: parsing.Parser, *, prog: str, description: str | None) -> parsing.Parser:
    """A script's parser under another name, with the taxi stream's defaults for the flags that it has."""
    parser.prog, parser.description = prog, description
    known = {action.dest for action in parser._actions}
    parser.set_defaults(**{name: value for name, value in DEFAULTS.items() if name in known})
    return parser
