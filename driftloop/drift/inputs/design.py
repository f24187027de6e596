"""What the domain classifier sees of the rows: numbers by their ranks, a column for each frequent category, one for what is missing.

Nothing of it depends on which rows are current, so that the permutations keep their level, nor on the codes of the categories.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from scipy import special, stats

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import dependence, levels
from driftloop.drift.inputs.dependence import Memory

_CROSSED: Final = 12  # with more columns the products are left out
_LEVELS: Final = 12  # categories of a column that have a column each
_INDICATORS: Final = 120  # of all columns together
_LEAST: Final = 8  # rows of a category that has a column


def of(rows: np.ndarray, columns: Sequence[Column]) -> np.ndarray:
    """Normal scores of the numbers, marks of categories and missing values, their squares and products.

    A logistic model of these is correct for any normal copula.

    Args:
        rows: (N, F), nan where a value is missing.
        columns: (F,) what they hold; empty: numbers.
    """
    coded = [bool(columns) and levels.are_levels(columns[at]) for at in range(rows.shape[1])]
    z = _standard(_scores(rows[:, ~np.array(coded)]))
    each = max(1, min(_LEVELS, _INDICATORS // max(sum(coded), 1)))
    found = [(at, mark) for at in range(rows.shape[1]) for mark in _marks(rows[:, at], coded=coded[at], most=each)]
    numbers, owners = z.shape[1], np.array([at for at, _ in found], np.int64)
    if found:
        z = np.hstack([z, _standard(np.column_stack([mark for _, mark in found]).astype(np.float64))])
    wide = z.shape[1]
    left, right = np.triu_indices(wide) if wide <= _CROSSED else (np.arange(numbers), np.arange(numbers))
    owner = np.concatenate([-1 - np.arange(numbers), owners])
    useful = (left < numbers) | (owner[left] != owner[right])  # marks of one column have no square and no product
    left, right = left[useful], right[useful]
    return np.hstack([z, z[:, left] * z[:, right] / 2])  # halved: a shift is likelier than a changed correlation


def _scores(rows: np.ndarray) -> np.ndarray:
    """Normal scores by column; that of a missing value is the middle, 0."""
    absent = np.isnan(rows)
    if not rows.shape[1]:
        return rows
    if not absent.any():
        return np.asarray(special.ndtri((stats.rankdata(rows, axis=0) - 0.5) / len(rows)))
    scores = np.zeros(rows.shape)
    for at, there in enumerate(~absent.T):
        scores[there, at] = special.ndtri((stats.rankdata(rows[there, at]) - 0.5) / max(there.sum(), 1))
    return scores


def _standard(z: np.ndarray) -> np.ndarray:
    spread = z.std(axis=0)
    found: np.ndarray = (z - z.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return found


def _marks(values: np.ndarray, *, coded: bool, most: int) -> Iterator[np.ndarray]:
    """Which rows have one of the most frequent categories, and which have none."""
    absent = np.isnan(values)
    if coded:
        found, codes = levels.numbered(values[~absent])
        rows = np.bincount(found, minlength=len(codes))
        frequent = np.argsort(-rows, kind="stable")[: max(most - (len(codes) <= most), 0)]  # of the last one the others tell
        for level in frequent[rows[frequent] >= _LEAST]:
            yield values == codes[level]
    if absent.any() and not absent.all():
        yield absent


def memory(reference: np.ndarray, current: np.ndarray, columns: Sequence[Column]) -> Memory:
    """The memory that is safe for all columns: the longest."""
    coded = [bool(columns) and levels.are_levels(columns[at]) for at in range(reference.shape[1])]
    pairs = zip(reference.T, current.T, coded, strict=True)
    return dependence.longest([one for old, new, levelled in pairs for one in _memories(old, new, coded=levelled)])


def _memories(reference: np.ndarray, current: np.ndarray, *, coded: bool) -> Iterator[Memory]:
    absent = [np.isnan(side) for side in (reference, current)]
    if coded:  # what is missing is one more level
        level, _ = levels.numbered(np.where(np.concatenate(absent), -1.0, np.concatenate([reference, current])))
        yield levels.memory([level[: len(reference)], level[len(reference) :]])
    elif any(gone.any() for gone in absent):
        yield levels.memory([gone.astype(np.int64) for gone in absent])
        yield dependence.memory([_filled(side) for side in (reference, current)])
    else:
        yield dependence.memory([reference, current])


def _filled(values: np.ndarray) -> np.ndarray:
    """The values with their mean where one is missing: it adds nothing to the autocovariance."""
    absent = np.isnan(values)
    return np.where(absent, 0.0 if absent.all() else np.nanmean(values), values)
