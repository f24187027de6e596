"""Living with model drift: train, serve, score block by block, retrain, judge, swap.

For predictions that another model made, without any of that:

    import driftloop as dl
    found = dl.watch(frame, target="y_true", prediction="y_pred", time="timestamp", reference="2018-10-01", block="W")

Each folder is a layer and imports only those below it (`.importlinter` holds them to it):

    watch, backtest            the loop over a served model; a stream under every retraining policy
    serving                    a trained model behind TorchServe, and the swap
    training, predictions      fits, searches, retrains, and their record; verdicts on a table of anybody's predictions
    tracking, report, cli      MLflow; what people read; command lines
    drift                      has the model drifted, and how?
    metrics                    tasks, goals, KPIs, baselines, scores
    data, system               tables and streams; processes, signals, files
    errors, settings
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from driftloop.errors import DriftloopError
    from driftloop.predictions.frame_watch import FrameWatch, load_watch, watch

if sys.version_info < (3, 11):  # noqa: UP036 - users of an older one need the message
    raise SystemExit(f"error: driftloop needs Python 3.11, this is {sys.version.split()[0]}: run `make setup`, then `source .venv/bin/activate`")

__version__ = "0.1.0"
__all__ = ["DriftloopError", "FrameWatch", "load_watch", "watch"]


def __getattr__(name: str) -> Any:
    """The public names, loaded when they are first used."""
    if name == "watch":
        return importlib.import_module("driftloop.watch")  # the room of that name, which can be called
    if name in ("FrameWatch", "load_watch"):
        return getattr(importlib.import_module("driftloop.predictions.frame_watch"), name)
    if name == "DriftloopError":
        return importlib.import_module("driftloop.errors").DriftloopError
    raise AttributeError(f"module 'driftloop' has no attribute {name!r}")
