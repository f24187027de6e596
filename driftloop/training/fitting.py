"""Fits one model on one stretch of a stream, with Lightning.

The model and the data module come as arguments (a `Learner`), so that all streams
share this code.
"""

from __future__ import annotations

import logging
import signal
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytorch_lightning as pl
import torch

from driftloop.data.schema import encoding
from driftloop.data.schema.schema import Column
from driftloop.data.streams import Check, Stream
from driftloop.errors import TrainingError
from driftloop.metrics import task
from driftloop.settings import DEFAULT_PARAMS, RETRAIN_PARAMS
from driftloop.system import signals

Span = tuple[int, int]
DATA_PARAMS = frozenset({"window"})  # parameters of the fit, not of the network
BALANCED = "balanced"  # class weights: every class weighs the same


# A cheap baseline: fitted on rows (N, F) and labels (N,), it returns a function from rows to predictions.
Rival = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class Learner:
    """The model and data classes for a stream, the files packed into the .mar, and the start of the search.

    `rivals` are the stream's baselines by name, in words: each is fitted on the served model's training rows and scored on the same rows.
    `defaults` are the learner's own defaults of the scripts' flags, by name; those under a command's name ("lifecycle.py",
    "monitoring replay") apply to that command only. A flag on the command line wins.
    """

    model: type[Any]  # a pl.LightningModule with `learn_scale`, and `probabilities` or, for a regression, `values`
    data: type[pl.LightningDataModule]
    model_file: Path
    handler_file: Path
    base_params: Mapping[str, Any] = field(default_factory=lambda: DEFAULT_PARAMS)
    retrain_params: Mapping[str, Any] = field(default_factory=lambda: RETRAIN_PARAMS)
    space: Mapping[str, Any] | None = None  # the search space; None: the documented one
    rivals: Mapping[str, Rival] = field(default_factory=dict)
    task: str = "classification"  # "": both; it follows from the label
    values_as_they_are: bool = False  # takes categories and missing values, coded as `driftloop.data.schema.encoding` says; the model is told kinds and sizes
    unit: str = ""  # of a regression's label
    check: Check | None = None  # which rows of the table hold implausible values, as in `streams.load`
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fitted:
    """A trained model with its training rows.

    `metrics` holds the Lightning metrics of its validation rows, where there were any;
    `trained` is the span of training rows; nothing outside it was fitted on.
    """

    model: Any  # as in `Learner`
    params: dict[str, Any]
    trained: Span
    metrics: dict[str, float]
    seconds: float


class _PlainOptimizer(pl.Callback):
    """Hides torch's implementation switches while MLflow's autologging reads the optimizer's parameters."""

    SWITCHES: Final = ("foreach", "fused", "maximize", "capturable", "differentiable")

    def __init__(self) -> None:
        self._hidden: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Runs before MLflow's own callback, which autologging adds last."""
        for optimizer in trainer.optimizers:
            known = optimizer.defaults
            self._hidden.append((known, {name: known.pop(name) for name in self.SWITCHES if name in known}))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put them back before the first step."""
        for known, switches in self._hidden:
            known.update(switches)
        self._hidden.clear()


def newest(span: Span, window: int) -> Span:
    """The newest `window` rows of a span; 0 means all of it.

    >>> newest((0, 1000), 336), newest((0, 100), 336), newest((0, 100), 0)
    ((664, 1000), (0, 100), (0, 100))
    """
    first, stop = span
    return (max(first, stop - window), stop) if window else span


def quiet_lightning() -> None:
    """Suppress Lightning's notes on devices and workers; errors are still shown."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", module="lightning")


def known_columns(learner: Learner, stream: Stream, trained: Span) -> tuple[Column, ...]:
    """The features as a model knows them that is trained on these rows; none of a learner that takes numbers only."""
    return encoding.known(stream.columns, stream.rows[slice(*trained)], stream.schema) if learner.values_as_they_are else ()


def fit(
    learner: Learner,
    stream: Stream,
    params: Mapping[str, Any],
    *,
    train: Span,
    validation: Span | None = None,
    max_epochs: int,
    seed: int,
) -> Fitted:
    """Train a model on the newest `params["window"]` rows of `train`; measure it on later rows.

    Raises:
        TrainingError: the weights are not finite at the end, or the training rows hold one label only.
    """
    started = time.monotonic()
    trained = newest(train, params["window"])
    pl.seed_everything(seed, verbose=False)
    arguments = {name: value for name, value in params.items() if name not in DATA_PARAMS}
    doing, labels = task.of(stream.task), stream.labels[slice(*trained)]
    columns = known_columns(learner, stream, trained)
    if columns:
        arguments |= {"kinds": [column.kind for column in columns], "sizes": [len(column.categories) for column in columns]}
    if params.get("class_weights") == BALANCED:
        arguments["class_weights"] = balanced(labels, len(stream.label_names))
    model = learner.model(features=len(stream.features), **doing.arguments(len(stream.label_names)), **arguments)
    try:
        doing.learn_scale(model, stream.rows[slice(*trained)], labels)
    except TrainingError as exc:
        raise TrainingError(f"rows {trained[0]} to {trained[1]} {exc}") from exc
    data = learner.data(stream.rows, stream.labels, train=trained, validation=validation, history=params["history"])
    metrics = run(model, data, max_epochs=max_epochs, validated=validation is not None)
    if not is_finite(model):
        raise TrainingError(f"the fit diverged (lr {params['lr']}): its weights are not finite; lower the learning rate")
    return Fitted(model, dict(params), trained, metrics, time.monotonic() - started)


def run(model: Any, data: pl.LightningDataModule, *, max_epochs: int, validated: bool = False) -> dict[str, float]:
    """Train a network, which may be new or trained already; return Lightning's metrics."""
    quiet_lightning()
    trainer = pl.Trainer(
        callbacks=[_PlainOptimizer()],
        max_epochs=max_epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validated else 0,
        deterministic=True,
    )
    _fit(trainer, model, data)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def is_finite(model: Any) -> bool:
    """Whether all weights of a network are finite."""
    return all(bool(torch.isfinite(weight).all()) for weight in model.state_dict().values())


def balanced(labels: np.ndarray, classes: int) -> list[float]:
    """The weight of each class with which all classes weigh the same, 1 on average over the rows; 0 for a class without rows.

    >>> balanced(np.array([0, 0, 0, 1]), 3)
    [0.6666666666666666, 2.0, 0.0]
    """
    rows = np.bincount(labels, minlength=classes)
    return [float(len(labels) / (np.count_nonzero(rows) * count)) if count else 0.0 for count in rows]


def _fit(trainer: pl.Trainer, model: pl.LightningModule, data: pl.LightningDataModule) -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(model, datamodule=data)
    except BaseException as exc:
        # Lightning turns Ctrl-C into exit code 1 and, at the start of a fit, leaves SIGINT ignored.
        if signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)
        signals.raise_again(exc)
        if isinstance(exc, SystemExit) and isinstance(exc.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from exc
        raise
