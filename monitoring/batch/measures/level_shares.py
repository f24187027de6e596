"""The categories of a feature in a window and in the training rows, and what has changed most in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import levels, shift_words
from driftloop.drift.inputs.spans import ColumnSpans

MOST_NAMED = 12  # categories that are drawn with their names, a line each


@dataclass(frozen=True, eq=False)
class LevelShares:
    """The categories of both sides, the most frequent first, and the share of each among the values that there are.

    The training rows have more where they hold so many that the rare ones were counted as one.
    """

    column: Column
    codes: np.ndarray  # (L,)
    before: np.ndarray  # (L,)
    now: np.ndarray  # (L,)
    learned: np.ndarray  # (L,) whether the model has learned it
    unseen: int  # rows of the window with one that it has not

    @classmethod
    def of(cls, column: Column, training: ColumnSpans, allowed: np.ndarray, values: np.ndarray, *, known: int) -> LevelShares:
        """The shares of a category or boolean.

        Args:
            training: the training rows by day.
            allowed: (days,) which of them count.
            values: (N,) of the window in the model's codes; nan where missing.
            known: the codes that the model has learned; 0: all.
        """
        counts = training.counts[allowed].sum(axis=0).astype(np.float64)
        there = values[~np.isnan(values)]
        mine, rows = np.unique(there, return_counts=True)
        codes = np.union1d(training.tops, mine)
        before, now = np.zeros(len(codes)), np.zeros(len(codes))
        before[np.searchsorted(codes, training.tops)] = counts[:-1] / max(counts.sum(), 1)
        now[np.searchsorted(codes, mine)] = rows / max(len(there), 1)
        order = np.argsort(-(before + now), kind="stable")
        learned = (codes < known) | (known == 0)
        unseen = int(np.count_nonzero(there >= known)) if known else 0
        return cls(column, codes[order], before[order], now[order], learned[order], unseen)

    @property
    def words(self) -> str:
        """The categories whose shares differ most: "diesel 40 % → 22 %"."""
        return shift_words.values(self.column, self.codes, self.before, self.now) if len(self.codes) else ""

    @property
    def new_words(self) -> str:
        """The share of values that are new to the model: "3 % of values are new: Partner9"; "" without any."""
        if not self.unseen:
            return ""
        fresh = ~self.learned
        return shift_words.unseen(self.column, self.codes[fresh], self.now[fresh], before=float(self.before[fresh].sum()))

    @property
    def moved_by_new(self) -> bool:
        """Whether the category whose share differs most is new to the model."""
        return bool(len(self.codes)) and not self.learned[np.argmax(np.abs(self.now - self.before))]

    @property
    def names(self) -> tuple[str, ...]:
        """(L,) of the categories."""
        return tuple(f"{code:g}" if not self._named(code) else levels.name_of(self.column, code) for code in self.codes)

    def _named(self, code: float) -> bool:
        return code < len(self.column.categories) or self.column.kind == "boolean"

    @property
    def new(self) -> tuple[str, ...]:
        """The most frequent values that are new to the model."""
        named = [name for name, learned, share in zip(self.names, self.learned, self.now, strict=True) if not learned and share]
        return tuple(named[:MOST_NAMED])
