"""A stream of cars with a category, both kinds of booleans and missing values: its records, and the reference of its model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from batch_records import DAY, when

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import spans
from driftloop.training.reference import About, Reference
from monitoring.features import Feature
from monitoring.records import events
from monitoring.records.events import Label, Prediction
from monitoring.stream_settings import StreamConfig

FUELS = ("diesel", "electric", "petrol")
CARS = StreamConfig(
    name="cars",
    task="classification",
    kpi="accuracy",
    model="car_model",
    block_size=DAY,
    threshold=0.8,
    fallback_by=(),
    labels=("kept", "sold"),
    features=(
        Feature("power", required=False),
        Feature("fuel", texts=FUELS, required=False),
        Feature("automatic", boolean=True, required=False),
        Feature("checked", texts=("no", "yes"), boolean=True, required=False),
    ),
)
COLUMNS = (
    Column("power", "feature", "number"),
    Column("fuel", "feature", "category", categories=FUELS),
    Column("automatic", "feature", "boolean"),
    Column("checked", "feature", "boolean", categories=("no", "yes")),
)
SHARES = (0.4, 0.2, 0.4)  # of the fuels
TRAINED_DAYS = 60


def values(row: int, *, shares: tuple[float, ...] = SHARES, missing: float = 0.02, new: float = 0.0, fuels: tuple[str, ...] = FUELS) -> dict[str, Any]:
    """The features of a row as a caller writes them, the same for the same row."""
    rng = np.random.default_rng([row + 300_000])
    draw, automatic, checked = rng.random(3)
    absent = rng.random(4) < (0.02, missing, 0.02, 0.02)
    fuel = str(rng.choice(fuels, p=shares))
    given = {
        "power": round(float(90 + 20 * rng.standard_normal()), 1),
        "fuel": f"new{row % 3}" if draw < new else fuel,
        "automatic": bool(automatic < 0.3),
        "checked": "yes" if checked < 0.8 else "no",
    }
    return {name: None if gone else value for (name, value), gone in zip(given.items(), absent, strict=True)}


def rows(numbers: range, *, right: float = 0.95, version: str = "1", **changed: Any) -> list[tuple[Prediction, Label]]:
    """Rows with their labels; the model is right on a share of them."""
    found = []
    for row in numbers:
        rng = np.random.default_rng([row, 2])
        label = str(rng.choice(CARS.labels))
        other = CARS.labels[1 - CARS.labels.index(label)]
        answer = label if rng.random() < right else other
        shares = [0.9, 0.1] if answer == "kept" else [0.1, 0.9]
        given = values(row, **changed)
        made = Prediction(f"car-{row}", "cars", when(row), when(row), "car_model", version, given, answer, 0.9, shares, "kept", "", 2.0)
        found.append((made, Label(f"car-{row}", "cars", label, when(row + DAY))))
    return found


def records(numbers: range, **changed: Any) -> list[dict[str, Any]]:
    """The same as JSON records, each prediction followed by its label."""
    return [events.from_json(one.as_json()).as_json() for both in rows(numbers, **changed) for one in both]


def coded(given: list[dict[str, Any]], columns: tuple[Column, ...] = COLUMNS) -> np.ndarray:
    """Features as the rows of a training, (N, F)."""
    return np.array([[_code(row[column.name], column) for column in columns] for row in given])


def _code(value: Any, column: Column) -> float:
    if value is None:
        return math.nan
    return float(column.categories.index(value)) if column.categories else float(value)


def reference(*, columns: tuple[Column, ...] = COLUMNS, **changed: Any) -> Reference:
    """Of a model that was trained on the sixty days before row 0; `changed` as for `values`."""
    numbers = range(-TRAINED_DAYS * DAY, 0)
    table = coded([values(row, **changed) for row in numbers], columns)
    times = np.array([np.datetime64(when(row).removesuffix("Z"), "ns") for row in numbers])
    labels = np.array([str(np.random.default_rng([row + 100_000, 1]).choice(CARS.labels)) for row in numbers])
    about = About("cars", "classification", tuple(column.name for column in columns), CARS.labels, "run-1", (0, len(numbers)), columns)
    known = spans.of_rows(times, table, columns=columns)
    return Reference(about, table, labels, labels, np.full(len(numbers), 0.9), times, known)
