"""Records as the prediction service writes them, made for the tests of the monitor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from monitoring import stream_settings
from monitoring.records import events

ELEC = stream_settings.load()["elec"]
START = datetime(2024, 1, 1, tzinfo=UTC)


def when(row: int, *, minutes: int = 30) -> str:
    return events.time_text(START + timedelta(minutes=minutes * row))


def prediction(row: int, *, right: bool = True, version: str = "1", features: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """Row `row` of stream elec, whose label is `label(row)`; wrong where asked. Served in the order of rows."""
    answer = row % 2 if right else 1 - row % 2
    rng = np.random.default_rng(row)
    return {
        "kind": "prediction",
        "id": f"row-{row}",
        "stream": "elec",
        "time": when(row),
        "served_at": when(row),
        "model": "drift_model",
        "version": version,
        "features": {name: float(value) for name, value in zip(ELEC.feature_names, rng.random(6), strict=True)} | (features or {}),
        "prediction": answer,
        "probability": 0.75,
        "probabilities": [0.25, 0.75] if answer else [0.75, 0.25],
        "baseline": 1,
        "fallback": "",
        "latency_ms": 2.5,
        **changed,
    }


def label(row: int, **changed: Any) -> dict[str, Any]:
    return {"kind": "label", "id": f"row-{row}", "stream": "elec", "label": row % 2, "labelled_at": when(row + 1), **changed}


def rejected(row: int, **changed: Any) -> dict[str, Any]:
    return {"kind": "rejected", "id": f"bad-{row}", "stream": "elec", "served_at": when(row), "reason": "out_of_range", **changed}


def labelled(rows: range, *, share_right: float = 1.0, seed: int = 1, **changed: Any) -> list[dict[str, Any]]:
    """Predictions of rows, each followed by its label."""
    right = np.random.default_rng(seed).random(len(rows)) < share_right
    return [record for row, fine in zip(rows, right, strict=True) for record in (prediction(row, right=bool(fine), **changed), label(row))]
