"""A prediction log with known contents for the tests of batch monitoring, and the references that go with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from driftloop.drift.inputs import spans
from driftloop.errors import TrackingError
from driftloop.training.reference import About, Reference
from monitoring import stream_settings
from monitoring.records import events
from monitoring.records.events import Label, Prediction

ELEC = stream_settings.load()["elec"]
START = datetime(2020, 1, 1, tzinfo=UTC)  # half-hours from here
DAY = 48
TRAINED_DAYS = 60  # before the reference ends


def when(row: int) -> str:
    return events.time_text(START + timedelta(minutes=30 * row))


def inputs(rows: range, *, shift: float = 0.0) -> np.ndarray:
    """Features of rows, (N, 6) float32 in 0..1, the same for the same rows."""
    found = []
    for row in rows:
        rng = np.random.default_rng([row + 200_000])
        found.append([row % DAY / (DAY - 1), *np.clip(0.4 + 0.1 * rng.standard_normal(5) + shift, 0, 1)])
    return np.array(found, np.float32).reshape(-1, 6)


def rows(
    numbers: range, *, right: float = 0.95, version: str = "1", shift: float = 0.0, changed: dict[str, float | None] | None = None, fallback: str = ""
) -> list[tuple[Prediction, Label]]:
    """Rows with their labels; the model is right on a share of them."""
    found = []
    for row, values in zip(numbers, inputs(numbers, shift=shift), strict=True):
        rng = np.random.default_rng([row, 1])
        label = int(rng.random() < 0.5)
        answer = label if rng.random() < right else 1 - label
        features = dict(zip(ELEC.feature_names, map(float, values), strict=True)) | (changed or {})
        prediction = Prediction(
            f"row-{row}", "elec", when(row), when(row), "drift_model", version, features, answer, 0.9, [0.1, 0.9] if answer else [0.9, 0.1], 1, fallback, 2.0
        )
        found.append((prediction, Label(f"row-{row}", "elec", label, when(row + DAY))))
    return found


def reference(*, with_spans: bool = True, end_row: int = 0) -> Reference:
    """Of a model that was trained on the sixty days before row `end_row`."""
    numbers = range(end_row - TRAINED_DAYS * DAY, end_row)
    values = inputs(numbers)
    times = np.array([np.datetime64(when(row).removesuffix("Z"), "ns") for row in numbers])
    labels = np.array([int(np.random.default_rng([row + 100_000, 1]).random() < 0.5) for row in numbers])
    right = np.random.default_rng(3).random(len(numbers)) < 0.97
    about = About("elec", "classification", ELEC.feature_names, (0, 1), "run-1", (0, len(numbers)))
    known = spans.of_rows(times, values) if with_spans else None
    return Reference(about, values.astype(np.float64), labels, np.where(right, labels, 1 - labels), np.full(len(numbers), 0.9), times, known)


class Known:
    """References by version; others are not in the registry."""

    def __init__(self, **found: Reference) -> None:
        self._found = found

    def find(self, stream: str, model: str, version: str) -> Reference:
        if f"v{version}" not in self._found:
            raise TrackingError(f"registered model {model!r}, version {version}: there is none")
        return self._found[f"v{version}"]

    def champion(self, model: str) -> str:
        return ""
