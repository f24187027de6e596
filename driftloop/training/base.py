"""Trains the base model: the parent run of all later runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.data.streams import Stream
from driftloop.errors import DataError, SettingsError
from driftloop.metrics import task
from driftloop.metrics.task import Task
from driftloop.report import descriptions
from driftloop.settings import DEFAULT_PARAMS, SEED, TRAIN_SHARE, VALIDATION_SHARE
from driftloop.tracking import mlflow_store, runs
from driftloop.training import datasets, family, mlflow_text, trained_model, tuning
from driftloop.training.fitting import Learner, Span, fit, newest
from driftloop.training.trained_model import KnownModel

SHOWN = ("history", "window", "lr", "depth")  # most influential parameters, shown in the name of a trial that changes them
MIN_ROWS = 50  # minimum rows of a stream, to train and to measure on


@dataclass(frozen=True)
class TrainPlan:
    """How to train: the search, the epochs, the seed.

    `total_trials` sets of parameters are tried, the documented defaults first; 0 and 1 both use
    only those. `space` is as in `tuning.DEFAULT_SPACE`.
    """

    space: Mapping[str, Any]
    total_trials: int = 0
    max_epochs: int = 3
    seed: int = SEED
    start: Mapping[str, Any] = field(default_factory=lambda: DEFAULT_PARAMS)  # the first trial's parameters
    progress: Callable[..., AbstractContextManager[Any]] | None = None
    until: np.datetime64 | None = None  # train the base model on the rows before this time; None: the oldest 70 %
    kpi: Task | None = None  # measures and chooses between trials; None: the stream's task
    kpi_text: str = ""  # the KPI with its settings, as logged to the base model's run
    reading: Mapping[str, str] = field(default_factory=dict)  # the flags that its table was read with, logged there as well

    def doing(self, stream: Stream) -> Task:
        """What measures the models."""
        return self.kpi or task.of(stream.task)


def run_name(stream: Stream) -> str:
    """The name of a base model's run."""
    return f"base model: {stream.name}"


def base_span(stream: Stream, *, until: np.datetime64 | None = None) -> Span:
    """The base model's training rows: those before `until`, or the oldest 70 %; the rest is streamed later.

    Raises:
        DataError: the stream is too short to split.
        SettingsError: too few rows before `until`, or none after it.
    """
    rows = len(stream.rows)
    if rows < MIN_ROWS:
        raise DataError(f"{stream.source}: {rows} rows are too few to train and measure on: give at least {MIN_ROWS}")
    if until is None:
        return 0, int(TRAIN_SHARE * rows)
    stop = int(np.searchsorted(stream.times, until))
    if stop < MIN_ROWS or stop == rows:
        raise SettingsError(f"--train_until {until}: {stop} of {rows} rows are before it: give a time with at least {MIN_ROWS} rows before it and some after")
    return 0, stop


def train_base(store: mlflow_store.Store, learner: Learner, stream: Stream, plan: TrainPlan, *, run_id: str) -> KnownModel:
    """Search, refit the best on all training rows, measure on the later rows, log once to the active run.

    The search fits on the oldest rows and chooses on the newest tenth of the training rows; the winner is
    then fitted on both. The test rows are the rest of the stream: they select nothing.
    """
    first, stop = base_span(stream, until=plan.until)
    edge = stop - int(VALIDATION_SHARE * stop)
    study = search_nested(store, learner, stream, plan, train=(first, edge), validation=(edge, stop))
    mlflow_store.autolog()
    fitted = fit(learner, stream, study.best.params, train=(first, stop), max_epochs=plan.max_epochs, seed=plan.seed)
    kpi = plan.doing(stream)
    # MLflow's compare page draws the metric logged first.
    mlflow_store.log_metrics({f"test_{kpi.kpi}": kpi.value(trained_model.losses(fitted.model, stream, stop, len(stream), doing=kpi))}, step=stop)
    known = trained_model.record(fitted, learner=learner, stream=stream, run_id=run_id)
    log_origin(stream, plan, study)
    if plan.kpi:
        mlflow_store.log_params({"kpi": plan.kpi_text})
    if plan.reading:
        mlflow_store.log_json(dict(plan.reading), runs.READING)
    _describe(store, stream, known, study, doing=kpi)
    return known


def _describe(store: mlflow_store.Store, stream: Stream, known: KnownModel, study: tuning.Study, *, doing: Task) -> None:
    """Log the base model's inputs and its KPI on the rows after its training rows."""
    stop = known.trained[1]
    datasets.log(stream, {"training": known.trained, "test": (stop, len(stream))})
    if stream.schema.columns:
        mlflow_store.log_json(stream.schema.as_json(), runs.SCHEMA)
    mlflow_text.describe_experiment(store)
    what = descriptions.base(stream=stream.name, source=Path(stream.source).name, features=len(stream.features), labels=stream.label_names)
    trained = descriptions.rows(*known.trained, stream.times)
    made = descriptions.made(features=stream.features, params=known.params, trained=trained, trials=len(study.trials))
    mlflow_text.describe_run(store, known.run_id, descriptions.with_section(what, descriptions.MADE, made))
    found = test_figures(stream, known, doing=doing)
    family.log_figures(store, known.run_id, found, start=stop, model_id=known.model_id)
    family.describe(store, known.run_id, stream, found, start=stop, name="this model", doing=doing, unseen="which come after all that it was fitted on")


def log_origin(stream: Stream, plan: TrainPlan, study: tuning.Study) -> None:
    """Log to the active run which trial its parameters come from, if there was a search, and the data."""
    plain = {"max_epochs": plan.max_epochs, "seed": plan.seed, "total_trials": len(study.trials)}
    mlflow_store.log_params({**plain, "data": Path(stream.source).name, "data_sha256": stream.sha256})
    mlflow_store.log_metrics({plan.doing(stream).objective: study.best.value})
    if study.trials:
        mlflow_store.set_tags({"driftloop.from_trial": f"trial-{study.best.index:02d}"})


def test_figures(stream: Stream, known: KnownModel, *, doing: Task | None = None) -> dict[str, Any]:
    """KPI of a model on all rows after its own with the baselines on the same rows; of classes κ and κ-temporal as well."""
    return family.test_figures(stream, known.model, known.trained[1], majority=known.majority, doing=doing)


def search_nested(store: mlflow_store.Store, learner: Learner, stream: Stream, plan: TrainPlan, *, train: Span, validation: Span) -> tuning.Study:
    """Run the search of a plan; every trial is a nested child run with its parameters and metrics.

    Raises:
        SettingsError: a history in the space leaves no rows to train on.
    """
    if train[1] - train[0] < 2 or validation[1] <= validation[0]:
        raise SettingsError(f"rows {train[0]} to {validation[1]} are too few to train and validate on: give more rows")
    trials = max(1, plan.total_trials)
    with (plan.progress or _no_progress)(total=trials, desc="trials", unit="trial") as bar:

        def evaluate(index: int, params: dict[str, Any]) -> np.ndarray:
            with mlflow_store.run(store, _trial_name(index, params, plan.start), role="trial"):
                mlflow_store.autolog()
                trained_model.log_plan(params, newest(train, params["window"]))
                datasets.log(stream, {"training": newest(train, params["window"]), "validation": validation})
                fitted = fit(learner, stream, params, train=train, validation=validation, max_epochs=plan.max_epochs, seed=plan.seed)
                trained_model.log_fit(fitted)
            if bar is not None:
                bar.update()
            return trained_model.losses(fitted.model, stream, *validation, doing=plan.doing(stream))

        return tuning.search(
            evaluate,
            space=plan.space,
            start=plan.start,
            total_trials=trials,
            seed=plan.seed,
            task=plan.doing(stream),
        )


def _trial_name(index: int, params: Mapping[str, Any], start: Mapping[str, Any]) -> str:
    """A trial's name: its number and the changed parameters, as many as fit a list."""
    tried = [
        f"{name} {params[name]:.2g}" if isinstance(params[name], float) else f"{name} {params[name]}" for name in SHOWN if params.get(name) != start.get(name)
    ]
    return f"trial-{index:02d}" + (f": {', '.join(tried)}" if tried else "")


def _no_progress(**_: Any) -> AbstractContextManager[None]:
    return nullcontext()
