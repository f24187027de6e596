"""A trained model and its record in MLflow: logged once, read back to serve it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from typing import Any

import numpy as np

from driftloop.data.streams import Stream
from driftloop.errors import DataError, TrackingError
from driftloop.metrics import task
from driftloop.metrics.task import Task
from driftloop.tracking import mlflow_store, runs
from driftloop.training import packaging, reference
from driftloop.training.fitting import Fitted, Learner, Span, known_columns

CARD_KEYS = frozenset({"arguments", "features", "labels", "params", "trained", "majority"})  # needed by `restore`
NEEDED = ("torch", "pytorch-lightning", "torchmetrics", "numpy")  # requirements to load the logged model


@dataclass(frozen=True)
class KnownModel:
    """A model with its record: its training rows, its run, and its registered version.

    `trained` is the span of rows that it was fitted or selected on: rows before `trained[1]` must not
    measure it. `version` is "" until it is registered.
    """

    model: Any  # a LightningModule as in `Learner`
    params: dict[str, Any]
    trained: Span
    majority: int | float  # the constant baseline's prediction: the most frequent class index of the training rows, or their median value
    card: dict[str, Any]
    run_id: str
    uri: str
    version: str = ""

    @property
    def model_id(self) -> str | None:
        """MLflow's id of the logged model; None for models that an early version logged without one."""
        return self.uri.removeprefix("models:/") if self.uri.startswith("models:/m-") else None

    def numbered(self, version: str) -> KnownModel:
        """The same model under a registered version."""
        return replace(self, version=version)


def log_fit(fitted: Fitted) -> None:
    """Log to the active run the parameters of a fit and the rows that it was fitted on."""
    log_plan(fitted.params, fitted.trained)


def log_plan(params: Mapping[str, Any], trained: Span) -> None:
    """Log to the active run the parameters and rows of the coming fit, so that a failed fit has them, too."""
    mlflow_store.log_params({**params, "train_start": trained[0], "train_stop": trained[1]})


def record(fitted: Fitted, *, learner: Learner, stream: Stream, run_id: str, earlier: Mapping[str, Any] | None = None) -> KnownModel:
    """Log a winner to the active run: parameters, network, MLflow model and training reference.

    `earlier` is the card of the network that this one was updated from, and whose columns it therefore has.
    """
    log_fit(fitted)
    card, columns, trained = card_of(fitted, learner=learner, stream=stream), known_columns(learner, stream, fitted.trained), slice(*fitted.trained)
    if earlier and columns:
        card["columns"] = earlier["columns"]
        columns = tuple(replace(column, categories=tuple(known["categories"])) for column, known in zip(columns, earlier["columns"], strict=True))
    history = fitted.params["history"]
    uri = packaging.log_network(
        fitted.model,
        card,
        rows=stream.rows[: fitted.trained[1]][-(history + 2) :],
        history=history,
        requirements=[f"{name}=={installed(name).split('+')[0]}" for name in NEEDED],
        code=learner.model_file,
        columns=stream.columns if columns else (),  # the rows may lie before the training rows, and hold other categories
        optional=[name for name, values in zip(stream.features, stream.rows[trained].T, strict=True) if np.isnan(values).any()],
    )
    newest = predict(fitted.model, stream, reference.first_row(fitted.trained), fitted.trained[1])
    reference.log(reference.of_model(stream, fitted.trained, newest, run_id=run_id, columns=columns))
    mlflow_store.set_tags({"driftloop.has_model": "true", "driftloop.model_uri": uri})
    return KnownModel(fitted.model, fitted.params, fitted.trained, card["majority"], card, run_id, uri)


def card_of(fitted: Fitted, *, learner: Learner, stream: Stream) -> dict[str, Any]:
    """What `restore`, the archive and the handler need to know of a model, as JSON values."""
    card: dict[str, Any] = {
        "class": learner.model.__name__,
        "module": learner.model_file.name,
        "arguments": dict(fitted.model.hparams),
        "features": list(stream.features),
        "labels": list(stream.label_names),
        "task": stream.task,
        "params": fitted.params,
        "trained": list(fitted.trained),
        "majority": task.of(stream.task).constant(stream.labels[slice(*fitted.trained)]),
        "rows_sha256": rows_sha256(stream, fitted.trained[1]),
    }
    if columns := known_columns(learner, stream, fitted.trained):
        card["columns"] = [{"name": column.name, "kind": column.kind, "categories": list(column.categories)} for column in columns]
    return card


def rows_sha256(stream: Stream, stop: int) -> str:
    """Fingerprint of the rows and labels before `stop`: a model must not be scored on its training rows."""
    return _sha256(stream.rows[:stop], stream.labels[:stop])


def _sha256(rows: np.ndarray, labels: np.ndarray) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(rows).data)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def _trained_on(card: dict[str, Any], stream: Stream) -> bool:
    """Whether a stream begins with the rows up to the end of a model's training; earlier versions trained on rows rounded to float32."""
    rows, labels = stream.rows[: card["trained"][1]], stream.labels[: card["trained"][1]]
    if card["rows_sha256"] == _sha256(rows, labels):
        return True
    with np.errstate(over="ignore"):
        return bool(card["rows_sha256"] == _sha256(rows.astype(np.float32), labels))


def restore(store: mlflow_store.Store, run_id: str, *, learner: Learner, stream: Stream) -> KnownModel:
    """Read a model back from the run that trained it.

    Raises:
        TrackingError: the run has none, or it does not fit this model class.
        DataError: it was trained on other columns or labels than the stream's, or the stream does not begin with its rows.
    """
    weights, card = runs.load_network(store, run_id)
    missing = CARD_KEYS - card.keys()
    if missing:
        raise TrackingError(f"the model of run {run_id} cannot be read (its card lacks {', '.join(sorted(missing))}): train a new base model")
    if tuple(card["features"]) != tuple(stream.features) or list(card["labels"]) != list(stream.label_names):
        raise DataError(
            f"run {run_id} was trained on features {', '.join(card['features'])} and labels {card['labels']}, "
            f"the stream has {', '.join(stream.features)} and {list(stream.label_names)}: give the same --data_path, --features and --target"
        )
    if card.get("task", "classification") != stream.task:
        raise DataError(f"run {run_id} was trained for a {card.get('task', 'classification')}, the stream is a {stream.task}: give the same --task")
    for known, column in zip(card.get("columns", ()), stream.columns, strict=False):
        if known["kind"] != column.kind:
            raise DataError(f"run {run_id} was trained with {column.name!r} as a {known['kind']}, here it is a {column.kind}: give the same --schema")
        if tuple(known["categories"]) != column.categories[: len(known["categories"])]:
            raise DataError(
                f"run {run_id} was trained on other categories of {column.name!r} ({', '.join(known['categories'][:5])}, …): "
                "give the same table and --train_until (rows may be added at its end), or train a new base model"
            )
    if not _trained_on(card, stream):
        raise DataError(
            f"the first {card['trained'][1]} rows of {stream.source} are not those that run {run_id} was trained up to: "
            "give the same table (rows may be added at its end), or train a new base model"
        )
    try:
        model = learner.model(**card["arguments"])
        model.load_state_dict(weights)
    except (RuntimeError, TypeError) as exc:
        raise TrackingError(f"the model of run {run_id} does not fit {learner.model_file.name}: {str(exc).splitlines()[0]}; train a new base model") from exc
    model.eval()
    uri = store.client.get_run(run_id).data.tags.get("driftloop.model_uri", "")
    return KnownModel(model, dict(card["params"]), tuple(card["trained"]), card["majority"], card, run_id, uri)


def predict(model: Any, stream: Stream, start: int, stop: int) -> np.ndarray:
    """The local model's outputs for rows start..stop, with the history it needs: class probabilities (rows, K), or values (rows,)."""
    context = min(model.hparams["history"], start)
    return task.of(stream.task).outputs(model, stream.rows[start - context : stop], first=context)


def predictions(model: Any, stream: Stream, start: int, stop: int) -> np.ndarray:
    """Class indices or values that the local model predicts for rows start..stop, (rows,)."""
    return task.of(stream.task).predictions(predict(model, stream, start, stop))


def losses(model: Any, stream: Stream, start: int, stop: int, *, doing: Task | None = None) -> np.ndarray:
    """The local model's losses on rows start..stop, (rows,): True where it is wrong, its absolute error, or those of the KPI `doing` (`Task.losses_of`)."""
    return (doing or task.of(stream.task)).losses_of(stream.labels[start:stop], predict(model, stream, start, stop))


def errors(known: KnownModel, stream: Stream, *, newest: int, doing: Task | None = None) -> np.ndarray:
    """A model's losses on its newest training rows: (at most `newest`,), as in `losses`."""
    return losses(known.model, stream, max(known.trained[0], known.trained[1] - newest), known.trained[1], doing=doing)
