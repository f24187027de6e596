"""Predictions of a model that somebody else made: two classes, inputs, hourly times, and a fall of the accuracy at a known row."""

from __future__ import annotations

import numpy as np
import pandas as pd

ROWS, REFERENCE, FALL = 6000, 2400, 4200


def predictions(*, rows: int = ROWS, fall: int = FALL, before: float = 0.9, after: float = 0.78, seed: int = 7) -> pd.DataFrame:
    """The columns when, x, fuel, y_true, y_pred and proba; from row `fall` on the model is right less often, on equal inputs."""
    rng = np.random.default_rng(seed)
    right = rng.random(rows) < np.where(np.arange(rows) < fall, before, after)
    true = rng.integers(0, 2, rows)
    predicted = np.where(right, true, 1 - true)
    sure = rng.uniform(0.55, 1, rows)
    return pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=rows, freq="h").astype(str),
            "x": rng.normal(size=rows).round(4),
            "fuel": rng.choice(["diesel", "gas"], rows),
            "y_true": true,
            "y_pred": predicted,
            "proba": np.where(predicted == 1, sure, 1 - sure).round(4),
        }
    )


def values(*, rows: int = ROWS, fall: int = FALL, factor: float = 1.6, seed: int = 7) -> pd.DataFrame:
    """The same of a regression: errors of mean 1, from row `fall` on larger by a factor."""
    rng = np.random.default_rng(seed)
    table = predictions(rows=rows, seed=seed).drop(columns=["proba"])
    true = rng.normal(50, 10, rows)
    errors = rng.exponential(1, rows) * np.where(np.arange(rows) < fall, 1, factor) * rng.choice([-1, 1], rows)
    return table.assign(y_true=true, y_pred=true + errors)
