"""What can have moved in one feature: its values, the share of rows without one, and the share of values that training never had.

Each is a question of its own with a permutation test of its own, in words of its own:

    values    numbers by a distance of their order (KS by default); categories by total variation, which knows no order of codes,
              and by the largest shift of one category's share, which many others would hide in the sum: the smaller p-value, doubled
    missing   the share of rows without a value
    unseen    more values that the model has not learned than before

A sample of the training rows holds no unseen value by definition, and any later sample of a column with rare categories does, also without
drift: how many is counted where the permuted blocks take the place of the current ones and all others that of the training (as Good and
Turing estimate it from the categories that occur once).

Which questions are asked depends on the pooled rows only, so that the permutations keep their level: missing where a value is missing on
either side, unseen where a category is so rare that all its rows may lie on the current side.

Good: The population frequencies of species and the estimation of population parameters. Biometrika 40, 1953.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import dependence, distances, levels, permutation, shift_words
from driftloop.drift.inputs.dependence import Memory
from driftloop.drift.inputs.distances import OF_LEVELS, LevelStatistic, Statistic
from driftloop.drift.inputs.permutation import Blocked, Draws

Name = Literal["values", "missing", "unseen"]
_LONGER: Final = 4  # times as long are the blocks for values that are new, where enough of them remain
_SELDOM: Final = 1e-4  # chance that all rows of a category lie on the current side, under which nobody asks for it


@dataclass(frozen=True)
class Aspect:
    """The answer to one question about a feature."""

    name: Name
    statistic: str  # the distance of the values; "share" of the others
    distance: float  # of the others the difference of the shares, 0..1
    p_value: float  # before any correction; nan with too few rows
    moved: bool
    words: str  # what is where: "diesel 40 % → 22 %", "missing 2 % → 14 %", "3 % of values are new: Partner9"; "" of a number's values
    message: str


Question = Callable[[Draws], Aspect]
"""One to be asked once it is known how many there are."""


def of(reference: np.ndarray, current: np.ndarray, column: Column, *, known: int | None, statistic: Statistic, block_rows: int | None) -> list[Question]:
    """The questions about a feature, that for its values first.

    Args:
        reference: (N,) in time order; nan where a value is missing.
        current: (M,) likewise.
        column: what it holds.
        known: the codes that the model has learned; None or 0: all that have a name.
        statistic: of numbers.
        block_rows: rows a block; None: as many as the autocorrelation asks for.
    """
    absent = [np.isnan(side) for side in (reference, current)]
    there = reference[~absent[0]], current[~absent[1]]
    questions: list[Question] = []
    if len(reference) and len(current) and not len(there[0]) + len(there[1]):
        return [_no_values]
    if levels.are_levels(column):
        rows = _Levels.of(*there, column, known=known or len(column.categories) or math.inf, block_rows=block_rows)
        questions.append(lambda draws: rows.values(OF_LEVELS[statistic], draws))
        if rows.may_be_unseen:
            questions.append(rows.unseen)
    else:
        questions.append(lambda draws: _numbers(*there, statistic, draws, block_rows=block_rows))
    if absent[0].any() or absent[1].any():
        questions.append(lambda draws: _missing(absent[0], absent[1], draws, block_rows=block_rows))
    return questions


def _no_values(_: Draws) -> Aspect:
    return Aspect("missing", "share", 0.0, 1.0, False, shift_words.missing(1.0, 1.0), "every value is missing, as before")


def _untold(name: Name, statistic: str, reference: int, current: int) -> Aspect:
    why = f"cannot tell: {reference} reference and {current} current rows"
    return Aspect(name, statistic, math.nan, math.nan, False, "", f"{statistic} nan, {why}")


def _numbers(reference: np.ndarray, current: np.ndarray, statistic: Statistic, draws: Draws, *, block_rows: int | None) -> Aspect:
    if not len(reference) or not len(current):
        return _untold("values", statistic, len(reference), len(current))
    columns, bins = distances.grid(np.concatenate([reference, current]), distances.BINS[statistic])
    memory = Memory(block_rows, 0.0) if block_rows else dependence.memory([bins[: len(reference)], bins[len(reference) :]])
    blocked = permutation.blocked(bins, len(reference), count=len(columns.means), memory=memory)
    distance, p, how = permutation.tested(blocked, lambda old, new: distances.distance(statistic, old, new, columns.means), draws, variance=statistic == "psi")
    return Aspect("values", statistic, distance, p, False, "", f"{statistic} {distance:.3g}, {how}")


def _missing(reference: np.ndarray, current: np.ndarray, draws: Draws, *, block_rows: int | None) -> Aspect:
    if not len(reference) or not len(current):
        return _untold("missing", "share", len(reference), len(current))
    marks = np.concatenate([reference, current]).astype(np.int64)
    blocked = _cut(marks, len(reference), 2, block_rows)
    distance, p, how = permutation.tested(blocked, lambda old, new: distances.distance("tv", old, new, np.empty(0)), draws)
    words = shift_words.missing(float(reference.mean()), float(current.mean()))
    return Aspect("missing", "share", distance, p, False, words, f"{words}, {how}")


def _cut(marks: np.ndarray, reference: int, count: int, block_rows: int | None, *others: Memory) -> Blocked:
    memory = Memory(block_rows, 0.0) if block_rows else dependence.longest([levels.memory([marks[:reference], marks[reference:]]), *others])
    return permutation.blocked(marks, reference, count=count, memory=memory)


@dataclass(frozen=True, eq=False)
class _Levels:
    """A category's values, by level."""

    column: Column
    known: float  # codes that the model has learned
    block_rows: int | None
    level: np.ndarray  # (N + M,) of each row that has a value, the reference first
    codes: np.ndarray  # (L,) of each level
    reference: int  # N
    blocked: Blocked | None  # None where a side has no values

    @classmethod
    def of(cls, reference: np.ndarray, current: np.ndarray, column: Column, *, known: float, block_rows: int | None) -> _Levels:
        level, codes = levels.numbered(np.concatenate([reference, current]))
        cut = _cut(level, len(reference), len(codes), block_rows) if len(reference) and len(current) else None
        return cls(column, known, block_rows, level, codes, len(reference), cut)

    @property
    def may_be_unseen(self) -> bool:
        """Whether a value is new to the model, or could be by chance: in some category all rows lie in so few blocks."""
        if self.blocked is None:
            return False
        if (self.codes >= self.known).any():
            return True
        counts = self.blocked.counts
        blocks = np.bincount(counts.nonzero()[1], minlength=len(self.codes))
        share = 1 - self.blocked.reference_blocks / counts.shape[0]
        return bool((share ** float(blocks.min()) >= _SELDOM) and len(self.codes) > 1)

    def values(self, statistic: LevelStatistic, draws: Draws) -> Aspect:
        if self.blocked is None:
            return _untold("values", statistic, self.reference, len(self.level) - self.reference)
        old, new = self._shares()
        words = shift_words.values(self.column, self.codes, old, new)
        both = len(self.codes) > 2  # of two levels the largest shift is the total variation
        asked, variance = draws.halved if both else draws, statistic == "psi"
        distance, p, how = permutation.tested(
            self.blocked, lambda before, now: distances.distance(statistic, before, now, np.empty(0)), asked, variance=variance
        )
        if both and not math.isnan(p):
            _, largest, _ = permutation.tested(self.blocked, self._largest, asked)
            p, how = min(1.0, 2 * min(p, largest)), f"all together {how}, the largest shift {dependence.told(largest)}"
        return Aspect("values", statistic, distance, p, False, words, f"{statistic} {distance:.3g} ({words}), {how}")

    def _largest(self, reference: np.ndarray, current: np.ndarray) -> np.ndarray:
        """The largest shift of a level's share, in units of its binomial spread: among many levels it shows what the noise of their sum hides."""
        shares = np.bincount(self.level, minlength=len(self.codes)) / len(self.level)
        shifts = np.abs(current / current.sum(axis=-1, keepdims=True) - reference / reference.sum(axis=-1, keepdims=True))
        found: np.ndarray = (shifts / np.sqrt(shares * (1 - shares))).max(axis=-1)
        return found

    def _shares(self) -> list[np.ndarray]:
        sides = self.level[: self.reference], self.level[self.reference :]
        return [np.bincount(side, minlength=len(self.codes)) / len(side) for side in sides]

    def unseen(self, draws: Draws) -> Aspect:
        assert self.blocked is not None  # asked only then
        old, new = self._shares()
        fresh = self.codes >= self.known
        before, now = float(old[fresh].sum()), float(new[fresh].sum())
        if before:
            marks = fresh[self.level].astype(np.int64)
            blocked = _cut(marks, self.reference, 2, self.block_rows, self.blocked.memory)
            _, p, how = permutation.tested(blocked, _risen, draws)
        elif now:
            _, p, how = permutation.tested(self._for_novelty(draws.level), _novel, draws, observed=now)
        else:
            p, how = 1.0, "p 1"
        words = shift_words.unseen(self.column, self.codes[fresh], new[fresh], before=before)
        return Aspect("unseen", "share", max(now - before, 0.0), p, False, words, f"{words}, {how}")

    def _for_novelty(self, level: float) -> Blocked:
        """Runs of one category are left whole, and blocks are longer: a run that is cut is no longer new as a whole, so that too few would be."""
        assert self.blocked is not None
        memory = self.blocked.memory
        for times in () if self.block_rows else range(_LONGER, 0, -1):
            longer = Memory(times * memory.length, memory.missed)
            found = permutation.blocked(self.level, self.reference, count=len(self.codes), memory=longer, whole_runs=True)
            if times == 1 or dependence.smallest_p(found.reference_blocks, found.counts.shape[0] - found.reference_blocks) <= level / _LONGER:
                return found
        return self.blocked


def _risen(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """By how much the share of the second bin is larger on the current side."""
    shares = [side[..., 1] / side.sum(axis=-1) for side in (reference, current)]
    return np.maximum(shares[1] - shares[0], 0.0)


def _novel(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Share of the current rows whose bin the reference does not have."""
    found: np.ndarray = np.where(reference == 0, current, 0.0).sum(axis=-1) / np.maximum(current.sum(axis=-1), 1)
    return found
