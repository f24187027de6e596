"""Tests whether a feature's distribution has moved: a distance per feature against its null under no drift.

The null is a block permutation: the rows of reference and current are cut into nearly independent blocks, and whole blocks
are permuted between the sides. It holds for any number of rows and under autocorrelation, where tabulated p-values and fixed
limits (PSI over 0.2) do not. Each block is reduced to its histogram, so all permutations are one matrix product.

Lahiri: Resampling Methods for Dependent Data. Springer, 2003 (blocks). Phipson, Smyth: Permutation p-values should never be zero.
Statistical Applications in Genetics and Molecular Biology 9, 2010. Besag, Clifford: Sequential Monte Carlo p-values. Biometrika 78,
1991. Holm: A simple sequentially rejective multiple test
procedure. Scandinavian Journal of Statistics 6, 1979 (many features; holds whatever their dependence).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, get_args

import numpy as np

from driftloop.drift.inputs import dependence, distances
from driftloop.drift.inputs.dependence import Memory
from driftloop.drift.inputs.distances import Statistic

MOST_BLOCKS: Final = 1000  # longer blocks are as valid, and this many suffice for any p-value that matters
_CHUNK = 1000  # shuffles at a time
_CELLS = 20_000_000  # permutations times blocks at a time: bounds the memory when one side is much smaller
_ENOUGH = 100  # permutations that reach the distance after which sampling stops (Besag, Clifford 1991)


@dataclass(frozen=True)
class FeatureTest:
    """Test of one feature; p-values are nan where there were too few rows."""

    feature: str
    statistic: Statistic
    distance: float
    p_value: float
    corrected: float  # the p-value after Holm's correction for all features
    moved: bool  # corrected <= alpha
    message: str


def compare(
    reference: np.ndarray,
    current: np.ndarray,
    *,
    names: Sequence[str],
    statistic: Statistic = "ks",
    alpha: float = 0.05,
    permutations: int = 999,
    seed: int = 7,
    block_rows: int | None = None,
) -> tuple[FeatureTest, ...]:
    """Test every feature for a difference between reference and current rows.

    Args:
        reference: (N, F) numbers in time order; whole numbers and booleans are taken as they are.
        current: (M, F) likewise.
        names: (F,) the features' names.
        statistic: "ks", "psi", "js" or "wasserstein"; see `distances`.
        alpha: probability, in (0, 1), that any feature is reported as moved when none has (family-wise).
        permutations: number of permutations; more are drawn when alpha and the number of features need them and the distance is extreme.
        seed: of the permutations.
        block_rows: rows a block; by default from each column's own autocorrelation.

    Returns:
        one test per feature, in the order of `names`; without rows on either side every p-value is nan.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or an argument outside its range.

    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.standard_normal((300, 2)), rng.standard_normal((300, 2)) + [0, 1]
    >>> [test.moved for test in compare(old, new, names=("still", "moving"))]
    [False, True]
    """
    reference, current = checked(reference, current, features=len(names))
    _check(alpha, statistic=statistic, permutations=permutations, block_rows=block_rows)
    level = alpha / len(names)  # what Holm requires of the smallest p-value
    times = max(permutations, math.ceil(2 / level))
    # Columns with as many blocks share them.
    shuffled = functools.cache(lambda drawn, *sizes: dependence.relabelled((seed, drawn), *sizes))
    found = [
        _test(reference[:, i], current[:, i], statistic=statistic, level=level, times=times, block_rows=block_rows, shuffled=shuffled)
        for i in range(len(names))
    ]
    corrected = holm([p for _, p, _ in found])
    return tuple(
        FeatureTest(name, statistic, distance, p, fixed, bool(fixed <= alpha), f"{name}: {statistic} {distance:.3g}, {why}{_tail(fixed, len(names))}")
        for name, (distance, p, why), fixed in zip(names, found, corrected, strict=True)
    )


def checked(reference: np.ndarray, current: np.ndarray, *, features: int) -> tuple[np.ndarray, np.ndarray]:
    """The two as arrays of floats, shape (N, features) and (M, features).

    Raises:
        ValueError: wrong shape, not numbers, or a value that is not finite; the message says where.
    """
    both = []
    for side, rows in (("reference", reference), ("current", current)):
        array = np.asarray(rows)
        if not features:
            raise ValueError(f"{side} has no columns: give at least one feature")
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{side} holds {array.dtype}: numbers are needed")
        if array.ndim != 2 or array.shape[1] != features:
            raise ValueError(f"{side} has shape {array.shape}: (rows, {features}) is needed, a column for each name")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row, column = np.argwhere(~np.isfinite(array))[0]
            raise ValueError(f"{side} row {row}, column {column} is {array[row, column]}: leave such rows out or fill them first")
        both.append(array if array.dtype.kind == "f" else array.astype(np.float64))
    return both[0], both[1]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-corrected p-values, in the order given; a nan counts as a test and stays nan.

    >>> [round(p, 3) for p in holm([0.04, 0.01, 0.03])]
    [0.06, 0.03, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)  # nan last
    raised = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    corrected = np.empty(len(p))
    corrected[order] = raised
    return corrected.tolist()


def _check(alpha: float, *, statistic: str, permutations: int, block_rows: int | None) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha:g}: it must lie in (0, 1)")
    if statistic not in get_args(Statistic):
        raise ValueError(f"statistic is {statistic!r}: give one of {', '.join(distances.STATISTICS)}")
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}: give at least 1")
    if block_rows is not None and block_rows < 1:
        raise ValueError(f"block_rows is {block_rows}: give at least 1")


@dataclass(frozen=True, eq=False)
class _Column:
    """A column cut into blocks, the reference's first."""

    counts: np.ndarray  # (blocks, B) rows of each block in each bin
    means: np.ndarray  # (B,) of the bins
    reference_blocks: int
    memory: Memory
    rows: int  # rows a block


def _blocked(reference: np.ndarray, current: np.ndarray, *, bins: int, block_rows: int | None) -> _Column:
    columns, codes = distances.grid(np.concatenate([reference, current]), bins)
    memory = Memory(block_rows, 0.0) if block_rows else dependence.memory([codes[: len(reference)], codes[len(reference) :]])
    rows = dependence.equal_rows(len(reference), len(current), max(memory.length, math.ceil(len(codes) / MOST_BLOCKS)))
    cuts = dependence.cuts(len(reference), rows)
    starts = np.concatenate([cuts[:-1], len(reference) + dependence.cuts(len(current), rows)])
    return _Column(_histograms(codes, starts, len(columns.means)), columns.means, len(cuts) - 1, memory, rows)


def _test(
    reference: np.ndarray,
    current: np.ndarray,
    *,
    statistic: Statistic,
    level: float,
    times: int,
    block_rows: int | None,
    shuffled: Callable[[int, int, int, int], np.ndarray],
) -> tuple[float, float, str]:
    """Distance and p-value of one column, and how they were computed."""
    if not len(reference) or not len(current):
        return math.nan, math.nan, f"cannot tell: {len(reference)} reference and {len(current)} current rows"
    column = _blocked(reference, current, bins=distances.BINS[statistic], block_rows=block_rows)
    blocks, first = len(column.counts), column.reference_blocks
    total = column.counts.sum(axis=0, dtype=np.float64)

    def apart(side: np.ndarray) -> np.ndarray:
        return distances.distance(statistic, total - side, side, column.means)

    observed = float(apart(column.counts[first:].sum(axis=0, dtype=np.float64)))
    if dependence.smallest_p(first, blocks - first) > level:
        least = dependence.blocks_needed(level) * column.memory.length
        had = f"{len(reference)} reference and {len(current)} current rows in blocks of {column.rows}"
        return observed, math.nan, f"cannot tell: {had}; needs at least {least} rows of each"
    null = np.empty(0)
    wider = column.memory.widening(column.rows)  # as a variance; PSI is one, the others are like deviations
    while len(null) < times and dependence.reached(observed, null) < _ENOUGH:
        chosen = shuffled(len(null), first, blocks - first, max(1, min(_CHUNK, times - len(null), _CELLS // blocks)))
        drawn = apart((chosen.astype(np.float32) @ column.counts).astype(np.float64))
        null = np.append(null, drawn * (wider if statistic == "psi" else math.sqrt(wider)))
    p = dependence.p_value(observed, null)
    return observed, p, f"{dependence.told(p)} from {len(null)} permutations of {blocks} blocks of {column.rows} rows"


def _histograms(codes: np.ndarray, starts: np.ndarray, bins: int) -> np.ndarray:
    """Counts of each bin in each block, shape (blocks, bins); float32 is exact up to 16 million rows."""
    block = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return np.bincount(block * bins + codes, minlength=(len(starts) - 1) * bins).reshape(-1, bins).astype(np.float32)


def _tail(corrected: float, features: int) -> str:
    return f", {corrected:.2g} after correction for {features} features" if features > 1 and not math.isnan(corrected) else ""
