"""Rows as the table that a person would give: texts, booleans and missing values, not codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from driftloop.data.schema import encoding
from driftloop.data.schema.schema import Column


def table(rows: np.ndarray, columns: Sequence[Column]) -> pd.DataFrame:
    """Rows (N, F) as a table: numbers are float64, texts and booleans objects, None where missing.

    >>> columns = [Column("x", "feature", "number"), Column("sold", "feature", "boolean"), Column("fuel", "feature", "category", categories=("gas",))]
    >>> table(np.array([[0.5, 1.0, 0.0], [np.nan, np.nan, np.nan]]), columns).to_dict("list")
    {'x': [0.5, nan], 'sold': [True, None], 'fuel': ['gas', None]}
    """
    given = encoding.decode(rows, columns)
    found = pd.DataFrame(given, columns=pd.Index([column.name for column in columns], dtype=object), dtype=object)
    return found.astype({column.name: np.float64 for column in columns if column.kind == "number"})
