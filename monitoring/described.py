"""The features, labels, task and unit of a stream whose file names only its model: read from the registry's champion.

A separate process queries MLflow: importing it takes seconds, and a service that only answers needs none of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import TypeAdapter, ValidationError

from driftloop.data.labels import Labels
from driftloop.errors import SettingsError
from driftloop.metrics.kpi_names import KPIS, OWN
from driftloop.system import processes
from monitoring import foreign_models, kpi_settings, stream_settings
from monitoring.features import Feature
from monitoring.records.checks import LABEL, LONGEST_TEXT, MOST_FEATURES, FeatureName, can_be_answer
from monitoring.stream_settings import LONGEST_UNIT, StreamConfig

if TYPE_CHECKING:
    from driftloop.data.schema.schema import Column
    from driftloop.tracking import mlflow_store
    from driftloop.training.reference import About, Reference

_NAME: Final[TypeAdapter[str]] = TypeAdapter(FeatureName)


@dataclass(frozen=True)
class StreamModel:
    """What a model says of its stream."""

    features: tuple[Feature, ...]
    task: str
    labels: tuple[Any, ...]
    unit: str = ""  # of an error KPI
    experiment: str = ""  # of the run that trained it; "" of a reference in a folder
    base_run_id: str = ""  # of the base model that it descends from
    reading: Mapping[str, str] = field(default_factory=dict)  # the flags that read its table, by name
    shares: tuple[float, ...] = ()  # of the base model's training rows, as `Labels.shares`, where they are asked for


def pick(name: str, path: str | PathLike[str] | None = None, *, judged: bool = False) -> StreamConfig:
    """One stream of a YAML file, as `stream_settings.pick`, with its model's features where it has none of its own.

    Args:
        name, path: as for `stream_settings.pick`.
        judged: as for `complete`.

    Raises:
        SettingsError, TrackingError: as `stream_settings.pick` and `complete`.
    """
    return complete({name: stream_settings.pick(name, path)}, judged=judged)[name]


def complete(streams: Mapping[str, StreamConfig], *, folder: Path | None = None, judged: bool = False) -> dict[str, StreamConfig]:
    """The streams, those without features with their models': the champion's, or the signature's of a model_uri.

    Args:
        streams: by name.
        judged: whether their KPIs are measured: those that depend on the model's training rows are read as well.
        folder: with the training reference of each stream in <folder>/<stream>; None: MLflow's champions.

    Raises:
        SettingsError: a stream's settings are not its model's, or a feature cannot be recorded under its name.
        TrackingError: MLflow is unreachable, or a model has no champion or no training reference.
        DataError: the training reference cannot be read.
    """
    foreign = [stream for stream in streams.values() if stream.model_uri and not stream.features]
    signatures = foreign_models.features([foreign_models.read_uri(stream.model_uri, f"stream {stream.name}") for stream in foreign])
    streams = {**streams, **{stream.name: replace(stream, features=its) for stream, its in zip(foreign, signatures, strict=True)}}
    wanting = [stream for stream in streams.values() if stream.by_model or (judged and stream.asks_model)]
    shares = [judged and not KPIS[stream.kpi].own for stream in wanting]
    if folder:
        found = [_of_folder(folder / stream.name, shares=wanted) for stream, wanted in zip(wanting, shares, strict=True)]
    else:
        found = read([stream.model for stream in wanting], shares)
    return {**streams, **{stream.name: with_model(stream, its) for stream, its in zip(wanting, found, strict=True)}}


def read(models: Sequence[str], shares: Sequence[bool] = ()) -> list[StreamModel]:
    """What the champions of registered models say; MLflow is not imported here.

    Args:
        models: their names.
        shares: whether the class shares of each are read as well; by default of none.

    Raises:
        TrackingError, DataError, SettingsError: as `complete`.
    """
    return next(processes.in_parallel(functools.partial(of_champions, shares=shares), [models], jobs=1)) if models else []


def with_model(stream: StreamConfig, its: StreamModel) -> StreamConfig:
    """A stream with what it lacks of its model's: the features, labels, unit and class shares.

    Raises:
        SettingsError: the stream's settings are not its model's.
    """
    where = f"stream {stream.name}"
    if stream.task != its.task:
        raise SettingsError(f"{where}: kpi {stream.kpi!r} is of a {stream.task}, its model {stream.model!r} is for {its.task}: correct the streams file")
    names = [feature.name for feature in stream.features or its.features]
    if unknown := [name for name in stream.fallback_by if name not in names]:
        raise SettingsError(f"{where}: fallback_by has {unknown[0]!r}, which is no feature of {stream.model!r}: give some of {', '.join(names[:12])}")
    if stream.labels and (fault := stream.labels_fault(its.labels)):
        raise SettingsError(f"{fault}, or leave them out")
    unit = stream.unit or (its.unit if stream.kpi in OWN.values() or stream.task == "regression" else "")
    kpi_settings.check_values(where, stream.kpi, cost=stream.cost, threshold=stream.threshold, labels=its.labels)
    return replace(stream, features=stream.features or its.features, labels=its.labels, unit=unit, shares=its.shares)


def of_champions(models: Sequence[str], *, shares: Sequence[bool] = ()) -> list[StreamModel]:
    """What the champions of registered models say; arguments as for `read`.

    Raises:
        TrackingError, DataError, SettingsError: as `complete`.
    """
    from driftloop.tracking import mlflow_store
    from driftloop.tracking.registry import Registry

    store = mlflow_store.open_reader()
    return [
        of_run(store, Registry(store.client, model).trained()[1], model=model, shares=wanted)
        for model, wanted in zip(models, shares or (False,) * len(models), strict=True)
    ]


def of_run(store: mlflow_store.Store, run_id: str, *, model: str, shares: bool = False) -> StreamModel:
    """What the model of a run says, with the class shares if asked.

    Raises:
        TrackingError, DataError, SettingsError: as `complete`.
    """
    from driftloop.tracking import mlflow_store, runs
    from driftloop.training import reference

    with mlflow_store.translated(f"run {run_id}"):
        experiment = store.client.get_experiment(store.client.get_run(run_id).info.experiment_id).name
    base = base_of(store, run_id)
    found = _described(reference.about(store, run_id), model)
    columns = {column.role: column for column in runs.schema_of(store, base).columns}
    unit = columns["label"].unit[:LONGEST_UNIT] if "label" in columns else ""
    inferred = {flag: columns[role].name for role, flag in (("label", "target"), ("time", "time_column")) if role in columns}
    known = shares_of(store, base) if shares else ()
    reading = {**inferred, **runs.reading_of(store, base)}
    return replace(found, unit=unit, experiment=experiment, base_run_id=base, reading=reading, shares=known)


def shares_of(store: mlflow_store.Store, base: str) -> tuple[float, ...]:
    """The class shares, or the mean, of the training rows of a base run, as `Labels.shares`.

    Raises:
        TrackingError, DataError: as `reference.load`.
    """
    from driftloop.training import reference

    return _shares(reference.about(store, base), lambda: reference.load(store, base))


def base_of(store: mlflow_store.Store, run_id: str) -> str:
    """The base run that a model's run descends from; itself, if it has no parent."""
    from driftloop.tracking import runs

    while parent := runs.parent_of(store, run_id):
        run_id = parent
    return run_id


def _of_folder(folder: Path, *, shares: bool) -> StreamModel:
    from driftloop.training import reference

    about = reference.read_about(folder)
    return replace(_described(about, str(folder)), shares=_shares(about, lambda: reference.read(folder)) if shares else ())


def _shares(about: About, load: Callable[[], Reference]) -> tuple[float, ...]:
    """The class shares, or the mean, of a model's training rows; of an early reference those of its rows."""
    if about.shares:
        return about.shares
    labels, codes = Labels(about.labels), Labels(about.labels).encode(load().labels.tolist())
    known = codes[~np.isnan(codes)]
    return labels.shares(known.astype(np.int64) if about.labels else known) if len(known) else ()


def _described(about: About, model: str) -> StreamModel:
    if len(about.features) > MOST_FEATURES:
        raise SettingsError(f"model {model!r} has {len(about.features):,} features: a stream has at most {MOST_FEATURES:,}")
    for name in about.features:
        try:
            _NAME.validate_python(name)
        except ValidationError:
            raise SettingsError(
                f"model {model!r}: feature {name!a:.80} cannot be recorded under its name: rename the column to 1 to {LONGEST_TEXT} characters "
                "without dots and control characters, not starting with $, and train again"
            ) from None
    if bad := [label for label in about.labels if not can_be_answer(label)]:
        raise SettingsError(f"model {model!r}: label {bad[0]!a:.80} cannot be recorded: make it {LABEL} in the table, and train again")
    features = tuple(map(_feature, about.columns)) or tuple(map(Feature, about.features))
    return StreamModel(features, about.task, about.labels)


def _feature(column: Column) -> Feature:
    return Feature(column.name, required=False, texts=column.categories, boolean=column.kind == "boolean", example=_usual(column))


def _usual(column: Column) -> float:
    """A short number in the middle of a column's range; 0 without a range."""
    if column.low is None or column.high is None:
        return 0.0
    middle = float(f"{column.low / 2 + column.high / 2:.3g}")  # the sum, or the difference, of the largest numbers is infinite
    return min(max(middle, column.low), column.high)
