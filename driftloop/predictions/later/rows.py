"""The rows of a table of predictions as arrays, each with a key that tells it from the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from driftloop.data.schema import encoding
from driftloop.errors import DataError
from driftloop.predictions.prediction_columns import UNLABELLED


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows in time order; entry i of every array belongs to the same row. Labels are as in `ReadPredictions`."""

    times: np.ndarray  # (N,) datetime64[ns]
    inputs: np.ndarray  # (N, F) float64
    labels: np.ndarray  # (N,)
    predicted: np.ndarray  # (N,) class codes or values
    probabilities: np.ndarray | None  # (N, K)
    keys: np.ndarray  # (N,) uint64
    segments: np.ndarray  # (N, C) int16: the segment in each column that is cut into segments

    def __len__(self) -> int:
        return len(self.times)

    @property
    def labelled(self) -> np.ndarray:
        """Which rows have a label, (N,)."""
        return has_label(self.labels)

    def of(self, rows: np.ndarray | slice) -> Rows:
        """Some of them, copied."""
        chances = None if self.probabilities is None else self.probabilities[rows].copy()
        arrays = (self.times, self.inputs, self.labels, self.predicted, self.keys, self.segments)
        times, inputs, labels, predicted, keys, segments = (array[rows].copy() for array in arrays)
        return Rows(times, inputs, labels, predicted, chances, keys, segments)

    def having(self, labels: np.ndarray) -> Rows:
        """The same with other labels."""
        return replace(self, labels=labels)

    def as_values(self) -> dict[str, Any]:
        """The arrays by name."""
        return dict(vars(self))

    @classmethod
    def from_values(cls, given: dict[str, Any], *, inputs: int, cuts: Sequence[int]) -> Rows:
        """What `as_values` returned, of so many inputs and so many segments of each column that is cut into segments.

        Raises:
            ValueError, KeyError, TypeError: it is not that.
        """
        found = cls(**given)
        if any(len(array) != len(found) for array in vars(found).values() if array is not None) or found.inputs.shape != (len(found), inputs):
            raise ValueError("arrays of different lengths")
        if found.segments.shape != (len(found), len(cuts)) or (len(found) and not ((found.segments >= 0) & (found.segments < np.array(cuts))).all()):
            raise ValueError("segments that are none")
        return found


def has_label(labels: np.ndarray) -> np.ndarray:
    """Which labels are there, (N,)."""
    return np.isfinite(labels) if labels.dtype.kind == "f" else labels != UNLABELLED


def joined(parts: Sequence[Rows]) -> Rows:
    """All of them, one part after the other."""
    chances = [part.probabilities for part in parts if part.probabilities is not None]
    classes = max((each.shape[1] for each in chances), default=0)
    chances = [np.pad(each, ((0, 0), (0, classes - each.shape[1]))) for each in chances]  # what a class adds that came later
    return Rows(
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.predicted for part in parts]),
        np.concatenate(chances) if chances else None,
        np.concatenate([part.keys for part in parts]),
        np.concatenate([part.segments for part in parts]),
    )


def keys_of_ids(column: pd.Series) -> np.ndarray:
    """A key for each id, (N,): 7, 7.0 and "7" are the same.

    Raises:
        DataError: a row has no id.
    """
    texts = encoding.texts(column)
    absent = np.flatnonzero(texts.isna().to_numpy() | (texts.astype(str).str.strip() == "").to_numpy())
    if len(absent):
        raise DataError(f"row {absent[0] + 1}: the id {column.name!r} is missing, as in {len(absent):,} rows: give every row one")
    return pd.util.hash_array(texts.astype(str).str.strip().to_numpy(object))


def keys_of_values(times: np.ndarray, inputs: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray | None) -> np.ndarray:
    """A key for each row without an id, (N,): the same for rows that differ in nothing but the label."""
    parts = [inputs, np.asarray(predicted, float)[:, None], *([probabilities] if probabilities is not None else [])]
    values = np.column_stack(parts) + 0.0  # -0 is 0
    values[np.isnan(values)] = np.nan
    return pd.util.hash_pandas_object(pd.DataFrame(values).assign(time=times.astype(np.int64)), index=False).to_numpy()
