"""Predictions whose model fails in one segment only: a region with 3 % of the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

SEGMENT_ROWS, SEGMENT_REFERENCE = 10_000, 3_000
SHARES = {"north": 0.57, "south": 0.25, "east": 0.15, "west": 0.03}


def regional(*, fall: float = 0.3, where: str = "west", seed: int = 3, rows: int = SEGMENT_ROWS) -> pd.DataFrame:
    """The columns when, region, x, y_true and y_pred: right in 90 % of the rows; after the reference period less often by `fall` in one region."""
    rng = np.random.default_rng(seed)
    region = rng.choice(list(SHARES), rows, p=list(SHARES.values()))
    worse = (region == where) & (np.arange(rows) >= SEGMENT_REFERENCE * rows // SEGMENT_ROWS)
    true, wrong = rng.integers(0, 2, rows), rng.random(rows) < np.where(worse, 0.1 + fall, 0.1)
    return pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=rows, freq="h").astype(str),
            "region": region,
            "x": rng.normal(size=rows).round(4),
            "y_true": true,
            "y_pred": np.where(wrong, 1 - true, true),
        }
    )
