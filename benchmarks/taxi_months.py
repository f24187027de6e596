"""A watch of the taxi stream by calendar month: its blocks, weeks, span the ends of months, so every trip is predicted again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from driftloop.data import blocks
from driftloop.data.streams import Stream
from driftloop.metrics import data_quality
from driftloop.tracking import mlflow_store
from driftloop.training import trained_model
from examples.nyc_taxi.learner import TAXI

CLOSE: Final = 1e-3  # minutes: tolerance between a block's MAE here and in the watch, which scored TorchServe's answers
Table = Sequence[Mapping[str, Any]]  # blocks.csv of a watch


@dataclass(frozen=True)
class Answers:
    """The predictions for the N rows from `start` on.

    `errors` has the absolute errors, (N,) minutes, of "model", "never retrained", and each baseline by name and kind: "refitted" on the
    training rows of the version in service, or "fixed" on those of the base model.
    """

    start: int
    versions: np.ndarray  # (N,) of the model in service
    signed: np.ndarray  # (N,) its prediction minus the label
    errors: dict[str | tuple[str, str], np.ndarray]


def answered(store: mlflow_store.Store, stream: Stream, result: Mapping[str, Any], table: Table) -> Answers:
    """Predict a watch's rows again, each with the version that served it.

    Args:
        store: the lifecycle's MLflow store.
        stream: the watched stream.
        result: of the lifecycle, as in `--json`.
        table: its blocks.

    Raises:
        ValueError: a version's predictions differ from those of the watch.
    """
    known = {record["version"]: trained_model.restore(store, record["run_id"], learner=TAXI, stream=stream) for record in result["versions"]}
    base = next(iter(known.values()))
    start = base.trained[1]
    rivals = {version: _fitted(stream, one.trained) for version, one in known.items()}
    fixed = rivals[next(iter(known))]
    versions = np.repeat([str(block["version"]) for block in table], [int(block["rows"]) for block in table])
    parts: dict[Any, list[np.ndarray]] = {}
    for block, (first, stop) in zip(table, _spans(table, start), strict=True):
        version, rows, labels = str(block["version"]), stream.rows[first:stop], stream.labels[first:stop]
        signed = trained_model.predictions(known[version].model, stream, first, stop) - labels
        if abs(np.abs(signed).mean() - float(block["mae"])) > CLOSE:
            raise ValueError(f"version {version} predicts block {block['block']} differently than in the watch")
        parts.setdefault("signed", []).append(signed)
        for name in TAXI.rivals:
            parts.setdefault((name, "refitted"), []).append(np.abs(rivals[version][name](rows) - labels))
            parts.setdefault((name, "fixed"), []).append(np.abs(fixed[name](rows) - labels))
    whole = {name: np.concatenate(part) for name, part in parts.items()}
    signed = whole.pop("signed")
    whole |= {"model": np.abs(signed), "never retrained": trained_model.losses(base.model, stream, start, len(stream))}
    return Answers(start, versions, signed, whole)


def by_month(stream: Stream, answers: Answers, table: Table) -> list[dict[str, Any]]:
    """Each calendar month of a watch.

    Returns:
        A mapping for each month: `month`, `rows`, `versions`; the `maes` of the models and baselines, keyed "name" or "name: kind", `half` the
        model's 95 % interval and its `bias`, all in minutes; `behind`, the model's MAE minus that of the best baseline, with half its
        95 % interval; `set_aside`; for the weeks that began in it `drift`, the kind by the first day of the week, and `quality`.
    """
    days = stream.times[answers.start :].astype("datetime64[D]")
    found = []
    for block in blocks.cut_calendar(stream.times, answers.start, len(stream), by="month"):
        inside = slice(block.start - answers.start, block.stop - answers.start)
        errors = {name: error[inside] for name, error in answers.errors.items()}
        nearest = min((error for name, error in errors.items() if isinstance(name, tuple)), key=np.mean)
        month = str(days[inside.start])[:7]
        began = [week for week in table if week["timestamp"].startswith(month)]
        found.append(
            {
                "month": month,
                "rows": block.rows,
                "versions": list(dict.fromkeys(answers.versions[inside].tolist())),
                "maes": {name if isinstance(name, str) else ": ".join(name): float(error.mean()) for name, error in errors.items()},
                "half": mean_by_days(errors["model"], days[inside])[1],
                "bias": float(answers.signed[inside].mean()),
                "behind": mean_by_days(errors["model"] - nearest, days[inside]),
                "set_aside": data_quality.of_block(stream, block).set_aside,
                "drift": {week["timestamp"][:10]: week["kind"] for week in began if week["drift"] in (True, "True")},
                "quality": [week["quality"] for week in began if week["quality"]],
            }
        )
    return found


def mean_by_days(values: np.ndarray, days: np.ndarray) -> tuple[float, float]:
    """The mean, and half its 95 % interval, with values correlated within a day and independent between days (a cluster sandwich estimate)."""
    sums = np.bincount(np.unique(days, return_inverse=True)[1], weights=values - values.mean())
    return float(values.mean()), float(1.96 * np.sqrt((sums**2).sum()) / len(values))


def _fitted(stream: Stream, trained: tuple[int, int]) -> dict[str, Any]:
    rows, labels = stream.rows[slice(*trained)], stream.labels[slice(*trained)]
    return {name: rival(rows, labels) for name, rival in TAXI.rivals.items()}


def _spans(table: Table, start: int) -> list[tuple[int, int]]:
    edges = start + np.cumsum([0, *(int(block["rows"]) for block in table)])
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
