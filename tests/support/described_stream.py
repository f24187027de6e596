"""A stream that is described by its model alone: numbers, texts, truths and missing values, with a training reference in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from driftloop.data.schema.schema import Column
from driftloop.training import reference
from monitoring import described, stream_settings
from monitoring.stream_settings import StreamConfig

YAML = "cars: {model: cars_model, kpi: accuracy, threshold: 0.9, block_size: 20, fallback_by: [fuel type]}\n"
COLUMNS = (
    Column("car_value", "feature", "number", low=0.0, high=50_000.0),
    Column("fuel type", "feature", "category", categories=("diesel", "gas", "7")),
    Column("new", "feature", "boolean"),
    Column("paid ✓", "feature", "boolean", categories=("no", "yes")),
)
ROW = {"car_value": 39811.5, "fuel type": "gas", "new": True, "paid ✓": "no"}


def some_reference(columns: tuple[Column, ...] = COLUMNS) -> reference.Reference:
    """600 rows whose label is 1 where the fuel is gas; values of every column are missing in some."""
    rng = np.random.default_rng(5)
    rows = np.column_stack([rng.integers(0, len(one.categories) or 2, 600) if one.kind != "number" else rng.uniform(0, 50_000, 600) for one in columns])
    rows[rng.random(rows.shape) < 0.05] = np.nan
    labels = (rows[:, 1] == 1).astype(int)
    times = np.datetime64("2020-01-01", "ns") + np.arange(600) * np.timedelta64(1, "h")
    about = reference.About("cars", "classification", tuple(one.name for one in columns), (0, 1), "run", (0, 600), columns)
    return reference.Reference(about, rows.astype(np.float64), labels, labels, np.full(600, 0.9), times)


def write(folder: Path, yaml: str = YAML, *, known: reference.Reference | None = None) -> tuple[Path, Path]:
    """The streams file and the folder with the reference."""
    (folder / "references" / "cars").mkdir(parents=True, exist_ok=True)
    reference.write(known or some_reference(), folder / "references" / "cars")
    (folder / "cars.yaml").write_text(yaml, encoding="utf-8")
    return folder / "cars.yaml", folder / "references"


def some_stream(folder: Path, yaml: str = YAML, *, known: reference.Reference | None = None) -> StreamConfig:
    """The stream with its model's features; those of `known`, if given."""
    path, references = write(folder, yaml, known=known)
    return described.complete(stream_settings.load(path), folder=references, judged=True)["cars"]
