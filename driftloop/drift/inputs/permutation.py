"""A permutation test of two samples in blocks: is the current side farther from the reference than a random choice of the blocks would be?

Each block is reduced to its counts, so that all permutations are one matrix product.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from driftloop.drift.inputs import dependence
from driftloop.drift.inputs.dependence import Memory

MOST_BLOCKS: Final = 1000  # longer blocks are as valid, and this many suffice for any p-value that matters
_CHUNK = 1000  # shuffles at a time
_CELLS = 20_000_000  # permutations times blocks, or bins, at a time: bounds the memory
_ENOUGH = 100  # permutations that reach the distance after which sampling stops (Besag, Clifford 1991)
_DENSE = 20_000_000  # blocks times bins up to which the counts are a dense matrix

Apart = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A distance from counts (..., B) of the reference and of the current side, shape (...)."""


@dataclass(frozen=True)
class Draws:
    """How permutations are drawn; tests with as many blocks share them."""

    level: float  # p-value that must be reachable
    times: int
    seed: int

    @functools.cached_property
    def shuffled(self) -> Callable[[int, int, int, int], np.ndarray]:
        """The choices of current blocks after so many have been drawn, for reference and current blocks, and how many to draw."""
        return functools.cache(lambda drawn, *blocks_and_times: dependence.relabelled((self.seed, drawn), *blocks_and_times))

    @functools.cached_property
    def halved(self) -> Draws:
        """Draws for two tests of which one must reach the level."""
        return Draws(self.level / 2, max(self.times, math.ceil(4 / self.level)), self.seed)


@dataclass(frozen=True, eq=False)
class Blocked:
    """A column cut into blocks, the reference's first."""

    counts: np.ndarray | sparse.csr_array  # (blocks, B) float32: rows of each block in each bin, exact up to 16 million
    reference_blocks: int
    memory: Memory
    rows: int  # rows a block
    sides: tuple[int, int]  # rows of the reference and of the current side

    @functools.cached_property
    def total(self) -> np.ndarray:
        """Rows in each bin, (B,)."""
        return np.asarray(self.counts.sum(axis=0, dtype=np.float64))

    @property
    def observed(self) -> np.ndarray:
        """Current rows in each bin, (B,)."""
        return np.asarray(self.counts[self.reference_blocks :].sum(axis=0, dtype=np.float64))

    def current(self, chosen: np.ndarray) -> np.ndarray:
        """Rows in each bin of the chosen blocks, (times, B)."""
        many = chosen.astype(np.float32)
        if isinstance(self.counts, np.ndarray):
            return (many @ self.counts).astype(np.float64)
        return np.asarray((self.counts.T @ many.T).T, np.float64)


def blocked(bins: np.ndarray, reference: int, *, count: int, memory: Memory, whole_runs: bool = False) -> Blocked:
    """Cut a column into blocks that are as long as its memory asks.

    Args:
        bins: (N + M,) the bin of each row, the reference's N first; N and M at least 1.
        reference: N.
        count: of the bins.
        memory: of the column.
        whole_runs: rows of one bin that follow each other, no more than a block has, belong to the block of the first of them.
    """
    current = len(bins) - reference
    rows = dependence.equal_rows(reference, current, max(memory.length, math.ceil(len(bins) / MOST_BLOCKS)))
    cuts = dependence.cuts(reference, rows)
    starts = np.concatenate([cuts[:-1], reference + dependence.cuts(current, rows)])
    block = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    if whole_runs:
        block = _with_whole_runs(block, bins, reference, longest=rows)
    return Blocked(_histograms(bins, block, len(starts) - 1, count), len(cuts) - 1, memory, rows, (reference, current))


def tested(column: Blocked, apart: Apart, draws: Draws, *, observed: float | None = None, variance: bool = False) -> tuple[float, float, str]:
    """Distance and p-value, and how they were computed; the p-value is nan where there are too few blocks.

    Args:
        column: the two samples.
        apart: the distance.
        draws: of the permutations.
        observed: the distance between the samples, where it is not `apart` of them; at most that.
        variance: the distance is like a variance, not like a deviation.
    """
    blocks, first, total = column.counts.shape[0], column.reference_blocks, column.total
    if observed is None:
        observed = float(apart(total - column.observed, column.observed))
    if dependence.smallest_p(first, blocks - first) > draws.level:
        least = dependence.blocks_needed(draws.level) * column.memory.length
        had = f"{column.sides[0]} reference and {column.sides[1]} current rows in blocks of {column.rows}"
        return observed, math.nan, f"cannot tell: {had}; needs at least {least} rows of each"
    null = np.empty(0)
    wider = column.memory.widening(column.rows)
    chunk = max(1, min(_CHUNK, _CELLS // max(column.counts.shape)))
    while len(null) < draws.times and dependence.reached(observed, null) < _ENOUGH:
        side = column.current(draws.shuffled(len(null), first, blocks - first, min(chunk, draws.times - len(null))))
        null = np.append(null, apart(total - side, side) * (wider if variance else math.sqrt(wider)))
    p = dependence.p_value(observed, null)
    return observed, p, f"{dependence.told(p)} from {len(null)} permutations of {blocks} blocks of {column.rows} rows"


def _with_whole_runs(block: np.ndarray, bins: np.ndarray, reference: int, *, longest: int) -> np.ndarray:
    first = np.concatenate([[True], bins[1:] != bins[:-1]])
    first[reference] = True
    starts = np.flatnonzero(first)
    lengths = np.diff(np.append(starts, len(bins)))
    return np.where(np.repeat(lengths <= longest, lengths), np.repeat(block[starts], lengths), block)


def _histograms(bins: np.ndarray, block: np.ndarray, blocks: int, count: int) -> np.ndarray | sparse.csr_array:
    """Counts of each bin in each block, shape (blocks, count)."""
    if blocks * count <= _DENSE:
        return np.bincount(block * count + bins, minlength=blocks * count).reshape(-1, count).astype(np.float32)
    return sparse.csr_array(sparse.coo_array((np.ones(len(bins), np.float32), (block, bins)), shape=(blocks, count)))
