"""Prepares the scripts' work: opens the store, loads the stream, finds or trains the base model."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from driftloop.cli import flags, parsing, printed_commands, runner
from driftloop.cli.flags import DataFlags, TaskFlags, TrainingFlags
from driftloop.cli.script_flags import BaseModelFlags, DeployFlags, LoopFlags, RetrainFlags, SwapFlags, WorkFlags
from driftloop.data import streams
from driftloop.data.schema import choice
from driftloop.data.schema.schema import Schema
from driftloop.data.streams import NO_SCHEMA, Stream
from driftloop.data.times import zones
from driftloop.errors import NoBaseRunError, SettingsError
from driftloop.metrics.task import CLASSIFICATION, Task
from driftloop.serving.torchserve import Ports
from driftloop.system import places
from driftloop.tracking import mlflow_store, runs
from driftloop.training import base, trained_model, tuning
from driftloop.training.fitting import Learner
from driftloop.training.retrain import RetrainPlan
from driftloop.training.trained_model import KnownModel
from driftloop.watch import kpi_choice

Trained = Callable[[np.ndarray], int]


@dataclass(frozen=True)
class Work:
    """The open store, the loaded stream and the learner that a script works with."""

    store: mlflow_store.Store
    stream: Stream
    learner: Learner


def open_work(args: WorkFlags, learner: Learner, *, trained: Trained | None = None, shows_columns: bool = False) -> Work:
    """Load the data first, then open the store: a bad file must leave no trace in MLflow.

    The learner's knowledge of its data (unit, implausible values) goes into the stream. `trained` counts the rows that the base model is
    trained on, given all times; by default --train_until decides. `shows_columns`: print the table of columns.

    Raises:
        SettingsError: the learner is for another task.
        PlaceError: temporary files cannot be written.
        DataError, TrackingError: as `streams.load` and `mlflow_store.open_store`.
    """
    places.check_temporary()
    stream = load_stream(args, learner, trained=trained)
    if isinstance(args, TrainingFlags):
        _check_class_weights(args, learner, stream)
    tell_reading(stream, shows_columns=shows_columns)
    return Work(mlflow_store.open_store(args.mlflow_experiment_name or None), stream, learner)


def _check_class_weights(args: TrainingFlags, learner: Learner, stream: Stream) -> None:
    if args.class_weights == "none":
        return
    if stream.task != CLASSIFICATION.name:
        raise SettingsError(f"--class_weights {args.class_weights} is given, but the label is a value: omit it")
    if "class_weights" not in inspect.signature(learner.model).parameters:
        raise SettingsError(f"--class_weights {args.class_weights} is given, but {learner.model.__name__} takes none: omit it, or give a learner that does")


def load_stream(args: DataFlags, learner: Learner, *, trained: Trained | None = None, trained_schema: Schema = NO_SCHEMA) -> Stream:
    """The stream of a table as a learner takes it, see `open_work` and `streams.load`.

    Raises:
        SettingsError, DataError: as `open_work`.
    """
    asked = args.task if isinstance(args, TaskFlags) else ""
    if asked and learner.task not in ("", asked):
        raise SettingsError(
            f"--task {asked}: {learner.model.__name__} is a model for {learner.task}; give a --learner for {asked}, as in examples/nyc_taxi/learner.py"
        )
    return streams.load(
        **flags.table_options(args),
        trained=trained or trained_rows(args),
        task_name=learner.task or asked,
        unit=learner.unit,
        check=learner.check,
        values_as_they_are=learner.values_as_they_are,
        trained_schema=trained_schema,
    )


def trained_rows(args: DataFlags) -> Trained:
    """Counts the rows that the base model is trained on, given all times: those before --train_until, or the oldest 70 %."""
    until = train_until(args.train_until, zone=args.time_zone) if isinstance(args, TaskFlags) else None
    return choice.oldest if until is None else lambda times: int(np.searchsorted(times, until))


def tell_reading(stream: Stream, *, shows_columns: bool = False) -> None:
    """Report on stderr how the stream differs from its table: columns left out, values converted, rows set aside.

    `shows_columns`: print the role of every column instead of the columns left out.
    """
    if shows_columns:
        print(stream.schema.table(), file=sys.stderr)
    for note in stream.notes:
        if not (shows_columns and note in stream.schema.notes):
            print(note, file=sys.stderr)
    for line, reason in stream.set_aside[:5]:
        print(f"set aside line {line}: {reason}", file=sys.stderr)
    if stream.set_aside:
        print(f"set aside {len(stream.set_aside)} bad rows in total", file=sys.stderr)


def space(args: TrainingFlags, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The search space from the flags; by default `own`, the learner's, or the default one."""
    found = dict(own if own is not None and not args.search_space else tuning.read_space(Path(args.search_space) if args.search_space else None))
    return found if args.history == parsing.AUTO else found | {"history": {"choices": [args.history]}}


def train_plan(args: TrainingFlags, learner: Learner, *, total_trials: int, start: Mapping[str, Any], kpi: Task | None = None) -> base.TrainPlan:
    """The settings of a search from `start`, from the flags; `kpi` as in `TrainPlan`."""
    return base.TrainPlan(
        space=space(args, learner.space),
        total_trials=total_trials,
        max_epochs=args.max_epochs,
        seed=args.seed,
        start={**start, "optimizer": args.optimizer} | ({} if args.class_weights == "none" else {"class_weights": args.class_weights}),
        progress=bar,
        kpi=kpi,
    )


def train_until(time: str, *, zone: str) -> np.datetime64 | None:
    """The end of the base model's training rows, as a time of the stream; None if not given."""
    return zones.moment(time, zone=zone) if time else None


def base_plan(args: BaseModelFlags, work: Work, *, total_trials: int) -> base.TrainPlan:
    """The base model's training plan, from the flags.

    Raises:
        SettingsError: as `kpi_choice.chosen`, or as `base.base_span`.
    """
    until = train_until(args.train_until, zone=args.time_zone)
    kpi = kpi_choice.chosen(work.stream, args, trained=base.base_span(work.stream, until=until))
    plan = train_plan(args, work.learner, total_trials=total_trials, start=work.learner.base_params, kpi=kpi)
    return replace(plan, until=until, kpi_text=kpi_choice.described(args, kpi) if kpi else "", reading=flags.reading(args))


def retrain_plan(args: SwapFlags, learner: Learner, *, kpi: Task | None = None) -> RetrainPlan:
    """The retrain plan, from the flags; `kpi` as in `TrainPlan`."""
    train = train_plan(args, learner, total_trials=args.total_trials, start=learner.retrain_params, kpi=kpi)
    return RetrainPlan(train, judge_rows=args.judge_rows, validation_rows=args.validation_rows, alpha=args.judge_alpha)


def until_row(stream: Stream, args: RetrainFlags) -> int:
    """The first row that a retrain must not see, from --until_row or --until_time; 0: not given.

    Raises:
        SettingsError: both flags are given, or the time is invalid or before the stream's first row.
    """
    if not args.until_time:
        return args.until_row
    if args.until_row:
        raise SettingsError(f"--until_row {args.until_row} and --until_time {args.until_time} are given: give one of them")
    row = streams.row_at(stream, args.until_time, time_zone=args.time_zone)
    if not row:
        raise SettingsError(f"--until_time is {args.until_time}: the stream has no row before it; it begins at {str(stream.times[0])[:19]}")
    return row


def ports(args: LoopFlags) -> Ports | None:
    """The ports from the flags; None for free ones."""
    return Ports(*range(args.port, args.port + 5)) if args.port else None


def bar(iterable: Any = None, **options: Any) -> tqdm:
    """A progress bar on a terminal, nothing elsewhere."""
    return tqdm(iterable, leave=False, disable=None, file=sys.stderr, dynamic_ncols=True, **options)


def base_model(work: Work, args: DeployFlags | RetrainFlags) -> tuple[Work, KnownModel]:
    """The base model of the experiment, or one trained now with --train_base (or after a yes), and the stream read with its schema.

    Raises:
        NoBaseRunError: there is none and training was not requested.
    """
    try:
        found = runs.find_base(work.store, args.base_run_id or None, train=printed_commands.train_base(args, experiment=work.store.experiment_name))
    except NoBaseRunError:
        question = f"Experiment {work.store.experiment_name!r} has no base model yet. Train one now?"
        if not args.train_base and not (runner.on_terminal() and runner.confirm(question)):
            raise
        with mlflow_store.run(work.store, base.run_name(work.stream), role="base") as run_id:
            return work, base.train_base(work.store, work.learner, work.stream, base_plan(args, work, total_trials=0), run_id=run_id)
    work = as_trained(work, args, run_id=found.info.run_id)
    return work, trained_model.restore(work.store, found.info.run_id, learner=work.learner, stream=work.stream)


def as_trained(work: Work, args: DataFlags, *, run_id: str) -> Work:
    """The work with the columns as the base model has them: the rows of a table that has grown since may show others."""
    known = runs.schema_of(work.store, run_id) if work.learner.values_as_they_are else NO_SCHEMA
    if not known.columns or known == work.stream.schema:
        return work
    return replace(work, stream=load_stream(args, work.learner, trained_schema=known))
