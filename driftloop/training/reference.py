"""The training reference: a model's newest training rows with its predictions, logged with its run.

A monitor compares later rows with it. Files in the artifact folder `reference`:

    reference.parquet   a row each: the features, label, prediction, probability (of the predicted class), time
    reference.json      stream, task, features, labels, run_id, trained: the meaning and origin of the columns; shares of the classes, or the
                        mean of the values, among all the training rows, which a KPI may depend on; of a model that takes values as they are
                        also columns: what a feature's codes mean, as in `driftloop.data.schema.encoding`; a missing value is nan
    outputs.npy         of more than two classes: the probabilities of all of them for the newest of these rows
    spans.npz           histograms by day of all the model's training rows; see `driftloop.drift.inputs.spans`

The model's errors here are on its training rows: fewer than on new rows. They show the autocorrelation of errors, not
their rate.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from driftloop.data.labels import Labels
from driftloop.data.schema.schema import Column, Schema
from driftloop.drift.inputs import spans
from driftloop.drift.inputs.spans import Spans
from driftloop.errors import DataError, TrackingError

if TYPE_CHECKING:
    from driftloop.data.streams import Stream
    from driftloop.tracking import mlflow_store

FOLDER: Final = "reference"  # of the run's artifacts
MOST_ROWS: Final = 20_000
MOST_OUTPUTS: Final = 2_000_000  # probabilities in outputs.npy
_OUTPUTS: Final = "outputs.npy"
_EXTRA: Final = ("label", "prediction", "probability", "time")


@dataclass(frozen=True)
class About:
    """The metadata of a reference."""

    stream: str
    task: str  # classification or regression
    features: tuple[str, ...]
    labels: tuple[object, ...]  # the label values; () for regression
    run_id: str
    trained: tuple[int, int]  # the model's training rows, of which these are the newest
    columns: tuple[Column, ...] = ()  # the features as the model knows them, if it takes values as they are
    shares: tuple[float, ...] = ()  # as `Labels.shares`, of all the training rows; () of an early reference


@dataclass(frozen=True, eq=False)
class Reference:
    """The rows, in time order; entry i of every array belongs to the same row."""

    about: About
    rows: np.ndarray  # (N, F) float64, coded as the columns say; nan where missing
    labels: np.ndarray  # (N,) label values, or numbers
    predictions: np.ndarray  # (N,) likewise
    probabilities: np.ndarray  # (N,) probability of the predicted class; nan for regression
    times: np.ndarray  # (N,) datetime64[ns]
    spans: Spans | None = None  # spans of all training rows; None if an earlier version logged the model
    outputs: np.ndarray | None = None  # (M, K) probabilities of more than two classes for the newest rows; None of an early reference

    def __len__(self) -> int:
        return len(self.labels)


def of_model(stream: Stream, trained: tuple[int, int], outputs: np.ndarray, *, run_id: str, columns: tuple[Column, ...] = ()) -> Reference:
    """The reference of a model.

    Args:
        stream: its training data.
        trained: its training rows.
        outputs: its outputs for the newest N of them: class probabilities (N, K), or values (N,).
        run_id: of the run that trained it.
        columns: the features as it knows them, if it takes values as they are.
    """
    newest = slice(trained[1] - len(outputs), trained[1])
    labels, predictions, probabilities = stream.labels[newest], outputs, np.full(len(outputs), np.nan)
    names, several = Labels(tuple(stream.label_names)), len(stream.label_names) > 2
    if stream.task == "classification":
        labels, predictions = (np.array(names.decode(codes)) for codes in (labels, outputs.argmax(axis=1)))
        probabilities = outputs.max(axis=1).astype(np.float64)
    return Reference(
        About(
            stream.name,
            stream.task,
            tuple(stream.features),
            names.names,
            run_id,
            trained,
            columns,
            names.shares(stream.labels[slice(*trained)]),
        ),
        rows=stream.rows[newest].astype(np.float64),
        labels=labels,
        predictions=predictions,
        probabilities=probabilities,
        times=stream.times[newest],
        spans=spans.of_rows(stream.times[slice(*trained)], stream.rows[slice(*trained)], bad_times=stream.aside.times, columns=stream.columns),
        outputs=outputs[-max(1, MOST_OUTPUTS // outputs.shape[1]) :].astype(np.float32) if several else None,
    )


def first_row(trained: tuple[int, int]) -> int:
    """The oldest of a model's training rows in a reference.

    >>> first_row((0, 31718)), first_row((100, 200))
    (11718, 100)
    """
    return max(trained[0], trained[1] - MOST_ROWS)


def write(reference: Reference, folder: Path) -> None:
    """Write the files into a folder that exists."""
    columns = dict(zip(_columns(reference.about), reference.rows.T, strict=True))
    extra = (reference.labels, reference.predictions, reference.probabilities, reference.times)
    pd.DataFrame({**columns, **dict(zip(_EXTRA, extra, strict=True))}).to_parquet(folder / "reference.parquet", index=False)
    about = {name: value for name, value in asdict(reference.about).items() if name != "columns"}
    about |= Schema(reference.about.columns).as_json() if reference.about.columns else {}
    (folder / "reference.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    if reference.outputs is not None:
        np.save(folder / _OUTPUTS, reference.outputs, allow_pickle=False)
    if reference.spans is not None:
        spans.write(reference.spans, folder)


def _known_columns(found: Mapping[str, Any]) -> tuple[Column, ...]:
    """The columns, where the model takes values as they are; an early reference has none either.

    Raises:
        ValueError: they are not those of the features.
    """
    columns = Schema.from_json({"columns": found.get("columns", [])}).columns
    if columns and [column.name for column in columns] != list(found["features"]):
        raise ValueError("its columns are not its features")
    return columns


def _columns(about: About) -> list[str]:
    """The features' column names, marked where they collide with the other columns."""
    return [f"feature {name}" if name in _EXTRA else name for name in about.features]


def read(folder: Path) -> Reference:
    """Read what `write` wrote.

    Raises:
        DataError: a file is missing, unreadable or invalid; the message names it.
    """
    about = read_about(folder)
    with _readable(folder):
        table = pd.read_parquet(folder / "reference.parquet", columns=[*_columns(about), *_EXTRA])
        values = table[_columns(about)].to_numpy(np.float64)
        outputs = np.load(folder / _OUTPUTS, allow_pickle=False) if (folder / _OUTPUTS).exists() else None
    label, prediction, probability, time = (table[name].to_numpy() for name in _EXTRA)
    found_spans = spans.read(folder)
    if found_spans is not None and len(found_spans.columns) != len(about.features):
        raise DataError(f"reference {folder}: its spans are of {len(found_spans.columns)} features, not {len(about.features)}: log it again with the model")
    return Reference(about, values, label, prediction, probability.astype(np.float64), time.astype("datetime64[ns]"), found_spans, outputs)


def read_about(folder: Path) -> About:
    """The metadata of what `write` wrote, without the rows.

    Raises:
        DataError: its file is missing, unreadable or invalid.
    """
    with _readable(folder):
        found = json.loads((folder / "reference.json").read_text(encoding="utf-8"))
        return About(
            str(found["stream"]),
            str(found["task"]),
            tuple(found["features"]),
            tuple(found["labels"]),
            str(found["run_id"]),
            tuple(found["trained"]),
            _known_columns(found),
            tuple(found.get("shares", ())),
        )


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError) as exc:
        raise DataError(f"reference {folder}: {type(exc).__name__}: {str(exc).splitlines()[0]}: log it again with the model") from exc


def log(reference: Reference) -> None:
    """Log a reference to the active run."""
    import mlflow

    from driftloop.tracking import mlflow_store

    with mlflow_store.translated("MLflow training reference"), tempfile.TemporaryDirectory() as folder:
        write(reference, Path(folder))
        mlflow.log_artifacts(folder, FOLDER)


def load(store: mlflow_store.Store, run_id: str) -> Reference:
    """Read the reference of the run that trained a model.

    Raises:
        TrackingError: the run has none, or the store is unreachable.
        DataError: it is unreadable.
    """
    with _downloaded(store, run_id, FOLDER) as folder:
        return read(folder)


def about(store: mlflow_store.Store, run_id: str) -> About:
    """The metadata of the reference of the run that trained a model; its rows are not downloaded.

    Raises:
        TrackingError, DataError: as `load`.
    """
    with _downloaded(store, run_id, f"{FOLDER}/reference.json") as file:
        return read_about(file.parent)


@contextmanager
def _downloaded(store: mlflow_store.Store, run_id: str, artifact: str) -> Iterator[Path]:
    """The reference of a run, or one file of it, in a temporary folder."""
    from driftloop.tracking import mlflow_store  # imported here, because a service that reads a folder needs no torch or MLflow

    with tempfile.TemporaryDirectory() as folder, mlflow_store.translated(f"training reference of run {run_id}"):
        if not store.client.list_artifacts(run_id, FOLDER):
            raise TrackingError(f"run {run_id} has no training reference: train the model again with this version")
        yield Path(store.client.download_artifacts(run_id, artifact, folder))
