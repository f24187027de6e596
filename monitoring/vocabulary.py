"""The codes of the texts in a stream's features: those that a model knows, then others as they first appear.

A record keeps a text as it came, so that it means the same whatever model answered. For a comparison every text gets a code. Each that is new to
the model has one of its own: under a single code all of them together would look like one category that has become frequent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from driftloop.data.schema.schema import Column


class Vocabulary:
    """Codes of the coded columns, those that have categories; all other columns are numbers.

    >>> words = Vocabulary([Column("power", "feature", "number"), Column("fuel", "feature", "category", categories=("diesel", "gas"))])
    >>> words.rows([(90.0, "gas"), (math.nan, "hydrogen"), (70.0, math.nan)]).tolist()
    [[90.0, 1.0], [nan, 2.0], [70.0, nan]]
    >>> words.columns[1].categories, words.known
    (('diesel', 'gas', 'hydrogen'), (0, 2))

    Args:
        columns: (F,) what the features hold; their categories get the first codes.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._places = [{text: code for code, text in enumerate(column.categories)} for column in columns]
        self.known = tuple(len(column.categories) for column in columns)  # (F,) codes at the start; 0 of a column that is not coded

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns with all categories so far, in the order of their codes."""
        return tuple(replace(one, categories=tuple(places)) if places else one for one, places in zip(self._columns, self._places, strict=True))

    def is_coded(self, at: int) -> bool:
        """Whether a column holds texts."""
        return bool(self._places[at])

    def codes(self, at: int, values: Iterable[object]) -> np.ndarray:
        """The codes of a coded column's values, (N,) float64; nan for all that is no text."""
        places = self._places[at]
        return np.array([places.setdefault(value, len(places)) if isinstance(value, str) else math.nan for value in values], np.float64)

    def rows(self, values: Sequence[Sequence[float | str]] | np.ndarray) -> np.ndarray:
        """Rows (N, F) of numbers and texts, nan where missing, as (N, F) float64."""
        table = np.array(values, object).reshape(-1, len(self._columns))
        found = np.empty(table.shape)
        for at, column in enumerate(table.T):
            found[:, at] = self.codes(at, column) if self.is_coded(at) else column.astype(np.float64)
        return found

    def learned(self, rows: np.ndarray) -> np.ndarray:
        """Rows (N, F) of these codes in which all texts of a column that are new have one code, as to the model."""
        most = np.array([known if self.is_coded(at) else math.inf for at, known in enumerate(self.known)])
        found: np.ndarray = np.minimum(rows, most)
        return found

    def translated(self, rows: np.ndarray, columns: Sequence[Column]) -> tuple[np.ndarray, Vocabulary]:
        """Rows (N, F) of these codes in those of other columns, which say what the same features hold; and the vocabulary with all texts of both.

        >>> mine = Vocabulary([Column("fuel", "feature", "category", categories=("diesel", "gas"))])
        >>> rows, other = mine.translated(np.array([[1.0], [0.0], [np.nan]]), [Column("fuel", "feature", "category", categories=("gas",))])
        >>> rows.ravel().tolist(), other.columns[0].categories, other.known
        ([0.0, 1.0, nan], ('gas', 'diesel'), (1,))
        """
        other, found = Vocabulary(columns), rows.copy()
        for at, places in enumerate(self._places):
            if not places:
                continue
            there = ~np.isnan(rows[:, at])
            found[there, at] = other.codes(at, places)[rows[there, at].astype(np.int64)]
        return found, other
