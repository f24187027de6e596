"""A stream for every KPI, answers that become worse, and how the watch scores them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from monitor_records import when

from driftloop.drift.rules import catalogue
from driftloop.drift.rules.rule import Rule
from driftloop.metrics import block_kpis, task
from driftloop.metrics.goal import Goal
from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.task import Task
from driftloop.settings import REFERENCE_BLOCKS
from driftloop.training.reference import About, Reference
from monitoring import stream_settings
from monitoring.stream_settings import StreamConfig

ROWS, REFERENCE_ROWS = 40, 6000
COSTS = {2: "0:1=1,1:0=5", 3: "a:b=1,a:c=2,b:c=1.5,c:a=4"}
NAMES: dict[int, tuple[Any, ...]] = {0: (), 2: (0, 1), 3: ("a", "b", "c")}


@dataclass(frozen=True, eq=False)
class Answered:
    """Rows with their outputs: codes or values (N,), probabilities (N, K) or values (N,)."""

    labels: np.ndarray
    outputs: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, rows: slice) -> Answered:
        return Answered(self.labels[rows], self.outputs[rows])


def answered(rows: int, *, classes: int, worse: float = 0.0, seed: int = 0) -> Answered:
    """A calibrated model of so many classes, or of values, that is replaced by a guess in a share of the rows."""
    rng = np.random.default_rng(seed)
    if not classes:
        labels = rng.normal(10, 3, rows)
        return Answered(labels, labels + rng.normal(0, 1 + 2 * worse, rows))
    scores = np.exp(2 * rng.standard_normal((rows, classes)) - np.arange(classes))
    outputs = scores / scores.sum(axis=1, keepdims=True)
    labels = (outputs.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    guessed = rng.random(rows) < worse
    outputs[guessed] = outputs[guessed][:, ::-1]
    return Answered(labels, outputs)


BEFORE = {classes: answered(REFERENCE_ROWS, classes=classes, seed=9) for classes in NAMES}


def doing(kpi: str, classes: int) -> Task:
    """What measures the KPI in the watch of a model trained on these rows."""
    cost = COSTS[classes] if kpi == "cost" else ""
    return block_kpis.named(kpi, BEFORE[classes].labels, NAMES[classes], cost=cost) or task.of(KPIS[kpi].task)


def losses(kpi: str, rows: Answered, classes: int) -> np.ndarray:
    """As the watch takes them from a model's outputs."""
    return doing(kpi, classes).losses_of(rows.labels, rows.outputs)


def goal(kpi: str, classes: int) -> Goal:
    """A tenth more loss than on the rows before."""
    measures = doing(kpi, classes)
    return Goal(measures, float(f"{measures.with_slack(measures.value(losses(kpi, BEFORE[classes], classes)), share=0.1):.4g}"), 0.05)


def rule(kpi: str, classes: int) -> Rule:
    """The watch's rule, prepared on the rows before."""
    made = catalogue.for_goal("significant", goal(kpi, classes), probation=True)
    made.prepare(losses(kpi, BEFORE[classes], classes)[-REFERENCE_BLOCKS * ROWS :], block_size=ROWS)
    return made


def stream(kpi: str, classes: int, **changed: Any) -> StreamConfig:
    """The stream as its file and its model describe it."""
    given = stream_settings.load()["elec" if classes else "taxi"]
    shares = tuple(np.bincount(BEFORE[classes].labels, minlength=classes) / REFERENCE_ROWS) if classes else (float(BEFORE[0].labels.mean()),)
    cost = COSTS[classes] if kpi == "cost" else ""
    made = {"kpi": kpi, "threshold": goal(kpi, classes).threshold, "block_size": ROWS, "labels": NAMES[classes], "cost": cost, "shares": shares, "unit": ""}
    return replace(given, **(made | changed))


def reference(config: StreamConfig) -> Reference:
    """What the model's run logged."""
    classes = len(config.labels)
    before = BEFORE[classes]
    features = np.random.default_rng(1).uniform(
        [feature.low for feature in config.features], [feature.high for feature in config.features], (len(before), len(config.features))
    )
    times = np.datetime64("2019-01-01", "ns") + np.arange(len(before)) * np.timedelta64(1, "m")
    about = About(config.name, config.task, config.feature_names, config.labels, "run", (0, len(before)), shares=config.shares)
    if not classes:
        return Reference(about, features, before.labels, before.outputs, np.full(len(before), np.nan), times)
    labels, predictions = (np.array([config.labels[code] for code in codes]) for codes in (before.labels, before.outputs.argmax(axis=1)))
    outputs = before.outputs if classes > 2 else None
    return Reference(about, features, labels, predictions, before.outputs.max(axis=1), times, outputs=outputs)


def records(config: StreamConfig, rows: Answered, *, first: int = 0, version: str = "1", sure: bool = True) -> list[dict[str, Any]]:
    """Predictions, with probabilities if `sure`, each followed by its label."""
    found, names = [], config.labels
    for at, (label, output) in enumerate(zip(rows.labels, rows.outputs, strict=True), start=first):
        rng = np.random.default_rng(at)
        features = {
            feature.name: float(rng.integers(feature.low, feature.high) if feature.categorical else rng.uniform(feature.low, feature.high))
            for feature in config.features
        }
        found.append(
            {
                "kind": "prediction",
                "id": f"row-{at}",
                "stream": config.name,
                "time": when(at),
                "served_at": when(at),
                "model": config.model,
                "version": version,
                "features": features,
                "prediction": names[int(output.argmax())] if names else float(output),
                "probability": float(output.max()) if names and sure else None,
                "probabilities": output.tolist() if names and sure else None,
                "baseline": names[0] if names else 10.0,
                "fallback": "",
                "latency_ms": 2.5,
            }
        )
        found.append(
            {"kind": "label", "id": f"row-{at}", "stream": config.name, "label": names[int(label)] if names else float(label), "labelled_at": when(at)}
        )
    return found
