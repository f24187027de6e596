"""Handles autocorrelated rows: the block length that makes blocks nearly independent, and block-wise nulls and intervals.

Rows of a stream are not exchangeable, but blocks longer than the stream's memory nearly are. The length is chosen so that the
variance of a block's mean underestimates the one given by the long-run variance by at most a stated share; the remainder
is added to the spread of the null.

Kuensch: The jackknife and the bootstrap for general stationary observations. Annals of Statistics 17, 1989 (the share missed).
Politis, White: Automatic block-length selection for the dependent bootstrap. Econometric Reviews 23, 2004 (where the
autocorrelations end, and the flat-top window).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import fft, special

MISSED: Final = 0.1  # share of the long-run variance that a block may miss
_LONGEST = 1 << 16  # newest rows of a series that the autocorrelation is taken from
_LAGS = 2000  # largest lag of the autocorrelation
_QUIET = 5  # consecutive lags under the bound that end the autocorrelation


@dataclass(frozen=True)
class Memory:
    """The range of autocorrelation in a series."""

    length: int  # rows that a block needs, at least 1
    missed: float  # rows: divided by the rows of a block, the share of the long-run variance that the block misses

    def widening(self, rows: int) -> float:
        """Factor that turns the variance of means of blocks of `rows` into the long-run variance, in 1..2.

        >>> round(Memory(length=10, missed=1.0).widening(20), 3)
        1.053
        """
        return 1 / (1 - min(self.missed / rows, 0.5))


def memory(series: Sequence[np.ndarray]) -> Memory:
    """The memory of a column; the length is at most a third of the longest series.

    Args:
        series: stretches of the same column, each (n,) in time order. Each is centred on its own mean, so that a shift
            from one to the next does not look like autocorrelation.

    >>> rng = np.random.default_rng(0)
    >>> memory([rng.standard_normal(2000)])
    Memory(length=1, missed=0.0)
    >>> memory([np.repeat(rng.standard_normal(200), 10)]).length > 10
    True
    """
    series = [np.asarray(one[-_LONGEST:], np.float64) for one in series if len(one)]
    rows = sum(len(one) for one in series)
    lags = min(max((len(one) for one in series), default=0) // 3, _LAGS)
    if lags < 1:
        return Memory(1, 0.0)
    covariance = np.sum([_autocovariance(one, lags) for one in series], axis=0) / rows
    if not covariance[0] > 1e-12 * max(float(np.square(one).mean()) for one in series):  # constant but for rounding
        return Memory(1, 0.0)
    correlation = covariance / covariance[0]
    last = _last_lag(correlation[1:], rows)
    if last == 0:
        return Memory(1, 0.0)
    lag = np.arange(1, min(2 * last, lags) + 1)
    weighted = np.clip(2 - lag / last, 0, 1) * correlation[lag]  # flat-top: 1 up to `last`, then down to 0 at twice that
    long_run, missed = 1 + 2 * weighted.sum(), 2 * (lag * weighted).sum()
    # Cycles make both sums swing; a block then spans at least the lags that matter.
    ratio = float(missed / long_run) if long_run > 0 and missed > 0 else 0.0
    return Memory(int(np.clip(math.ceil(ratio / MISSED), last, lags)), ratio)


def cuts(rows: int, length: int) -> np.ndarray:
    """Starts of blocks of `length` rows or a few more, with the end of the last: at least one block, all rows used.

    >>> cuts(10, 3).tolist()
    [0, 3, 6, 10]
    """
    return np.linspace(0, rows, max(rows // length, 1) + 1).astype(int)


def equal_rows(reference: int, current: int, length: int) -> int:
    """Rows a block so that reference and current are cut alike: at least `length`, fewer only when a side has fewer.

    A side of one block is compared with stretches of the other of the same length.

    >>> equal_rows(1000, 100, 30), equal_rows(1000, 20, 30)
    (33, 20)
    """
    fewer = min(reference, current)
    return fewer // max(fewer // length, 1)


def relabelled(seed: int | Sequence[int], reference_blocks: int, current_blocks: int, times: int) -> np.ndarray:
    """Which blocks count as current in each random permutation, shape (times, blocks), boolean.

    >>> relabelled(0, 3, 2, times=4).sum(axis=1).tolist()
    [2, 2, 2, 2]
    """
    draws = np.random.default_rng(seed).random((times, reference_blocks + current_blocks), np.float32)
    chosen = np.argpartition(draws, current_blocks - 1, axis=1)[:, :current_blocks]
    current = np.zeros(draws.shape, bool)
    np.put_along_axis(current, chosen, True, axis=1)
    return current


def smallest_p(reference_blocks: int, current_blocks: int) -> float:
    """The smallest p-value that permuting these blocks can give.

    >>> round(smallest_p(4, 4), 4)  # 70 ways, of which two are the observed split and its mirror
    0.0286
    """
    ways = special.binom(reference_blocks + current_blocks, current_blocks)
    return float((2 if reference_blocks == current_blocks else 1) / ways)


def blocks_needed(alpha: float) -> int:
    """Blocks of each of the two samples that let a p-value of `alpha` be reached.

    >>> blocks_needed(0.05)
    4
    """
    return next(blocks for blocks in range(2, 100) if smallest_p(blocks, blocks) <= alpha)


def reached(observed: float, null: np.ndarray) -> int:
    """How many permutations reach `observed`."""
    # A permutation equal to the observed split may differ from it in the last digit.
    return int(np.count_nonzero(null >= observed - 1e-9 * abs(observed) - 1e-12))


def p_value(observed: float, null: np.ndarray) -> float:
    """Share of the permutations that reach `observed`, which counts as one itself: never 0 (Phipson, Smyth 2010).

    >>> p_value(2.0, np.array([1.0, 1.5, 2.0]))
    0.5
    """
    return (1 + reached(observed, null)) / (1 + len(null))


def told(p: float) -> str:
    """A p-value in words.

    >>> told(0.0312), told(1e-30)
    ('p 0.031', 'p under 0.0001')
    """
    return "p under 0.0001" if p < 1e-4 else f"p {p:.2g}"


def _autocovariance(values: np.ndarray, lags: int) -> np.ndarray:
    """Sums of products at lags 0..lags, shape (lags + 1,)."""
    centred = values - values.mean()
    size = fft.next_fast_len(len(values) + lags, real=True)
    spectrum = fft.rfft(centred, size)
    return fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[: lags + 1]


def _last_lag(correlation: np.ndarray, rows: int) -> int:
    """The last lag before `_QUIET` consecutive lags of noise; 0 when the first ones are noise already."""
    loud = np.flatnonzero(np.abs(correlation) > 2 * math.sqrt(math.log10(max(rows, 10)) / rows))
    if not len(loud):
        return 0
    gaps = np.diff(np.concatenate(([-1], loud)))
    end = np.flatnonzero(gaps > _QUIET)
    return int(loud[end[0] - 1] + 1 if len(end) and end[0] else 0 if len(end) else loud[-1] + 1)
