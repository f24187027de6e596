"""Does one column alone give the label away? A suspicion from the training rows, for a person to judge."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

GAIN: Final = 0.95  # share of the error of the commonest class that the column must remove
EXPLAINED: Final = 0.98  # share of the variance of a number's ranks
LINEAR: Final = 0.999  # squared correlation with a number: a few far values make it large
CELLS: Final = 200  # at most so many cells for the values of a column
CELL_ROWS: Final = 5  # at least so many rows a cell, on average
FEWEST: Final = 50  # rows below which nothing is suspected
OTHERS: Final = 10  # rows at least that are not of the commonest class


def suspicion(values: pd.Series, label: pd.Series, *, regression: bool) -> str:
    """Why the column is a suspected leak, "" when it is none.

    The values are cut into at most 200 cells (each distinct value, or quantiles; missing ones are a cell). The even rows give each cell's
    commonest class (of a regression: the mean rank of its labels), which is scored on the odd rows. The column is suspected when that removes
    at least 95 % of the error of the commonest class (of a regression: 98 % of the variance of the ranks, or its squared correlation with the
    label is at least 0.999), or when it equals the label in every row. Under 50 rows, or with under 10 rows outside the commonest class, nothing
    is suspected.

    >>> label = pd.Series(np.arange(1000) % 7 > 2)
    >>> suspicion(label.map({True: "good", False: "bad"}), label, regression=False)
    'suspected leak: by itself it gives the label of 100.0 % of the training rows, guessing 57.2 %'
    >>> suspicion(pd.Series(np.arange(1000) % 5), label, regression=False)
    ''
    """
    if len(values) < FEWEST:
        return ""
    told = _of_values(values, label) if regression else _of_classes(_cells(values), pd.factorize(label)[0])
    if told and _equal(values, label):
        told = "it equals the label in every training row"
    return f"suspected leak: {told}" if told else ""


def _of_classes(cells: np.ndarray, codes: np.ndarray) -> str:
    commonest = np.bincount(codes).argmax()
    if np.count_nonzero(codes != commonest) < OTHERS:
        return ""
    counts = np.zeros((cells.max() + 1, codes.max() + 1))
    np.add.at(counts, (cells[::2], codes[::2]), 1)
    guessed = np.where(counts.any(axis=1), counts.argmax(axis=1), commonest)[cells]
    right, guess = np.mean(guessed[1::2] == codes[1::2]), np.mean(codes[1::2] == commonest)
    if guess == 1 or (right - guess) / (1 - guess) < GAIN:
        return ""
    return f"by itself it gives the label of {100 * right:.1f} % of the training rows, guessing {100 * guess:.1f} %"


def _of_values(values: pd.Series, label: pd.Series) -> str:
    ranks = label.astype(float).rank().to_numpy()
    if ranks.var() == 0:
        return ""
    cells = _cells(values)
    rows = np.bincount(cells[::2], minlength=cells.max() + 1)
    means = np.bincount(cells[::2], ranks[::2], cells.max() + 1) / np.maximum(rows, 1)
    guessed = np.where(rows > 0, means, ranks.mean())[cells]
    explained = 1 - np.mean((guessed - ranks)[1::2] ** 2) / np.var(ranks[1::2])
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > 1:
        with np.errstate(all="ignore"):  # of numbers near the ends of float64 the squares overflow: nan, which suspects nothing
            linear = values.astype(float).corr(label.astype(float)) ** 2
        explained = max(explained, linear) if linear >= LINEAR else explained
    return f"by itself it explains {100 * explained:.1f} % of the label's variance in the training rows" if explained >= EXPLAINED else ""


def _cells(values: pd.Series) -> np.ndarray:
    """The cell of each value, (N,) from 0; the missing ones are cell 0."""
    codes, distinct = pd.factorize(values)
    most = max(2, min(CELLS, len(values) // CELL_ROWS))
    if len(distinct) <= most or not pd.api.types.is_numeric_dtype(values):
        return codes + 1
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    known = np.isfinite(numbers)
    edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, most + 1)[1:-1]))
    return np.where(known, np.searchsorted(edges, numbers, side="right") + 1, 0)


def _equal(values: pd.Series, label: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(values) and pd.api.types.is_numeric_dtype(label):
        return bool(np.array_equal(values.to_numpy(np.float64, na_value=np.nan), label.to_numpy(np.float64, na_value=np.nan)))
    return bool((values.astype(str).to_numpy() == label.astype(str).to_numpy()).all())
