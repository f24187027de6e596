"""For each of many segments the evidence that its mean loss has risen since its reference rows: an e-process, without a threshold.

Were the reference period's mean loss m known, one would bet on every later loss x that the mean is over m: a bet of size b multiplies its capital by
1 + b (x - m) / m (Waudby-Smith, Ramdas: Estimating means of bounded random variables by betting, JRSS-B 86, 2023). The reference rows are
evidence about m in the same way: bets that the mean is *under* m, whose capital is an e-value against every m that is too high. The product
of the two is an e-process when m is the true mean; so is the smallest product over all m, which needs no m:

    evidence = min over m of (capital of the reference rows against "mean >= m") * (capital of the later rows against "mean <= m")

(the profile of universal inference; Wasserman, Ramdas, Balakrishnan: Universal inference, PNAS 117, 2020). The minimum is over a grid; between two
points the first factor rises with m and the second falls, so their values at the cell's near ends bound it from below, and nothing is lost but
a little evidence. A share of the reference rows' capital is never bet, so that no m under their mean is too cheap.
Of that of the later rows `FIRST` is bet from the first block on, the rest bit by bit, because a fall may begin at any block (as in
`driftloop.drift.rules.bets`).

Errors are autocorrelated: every product is raised to the power 1 / v, v rows carrying the information of one, as in
`driftloop.drift.rules.significant_loss`; v is learned from the reference rows (`segment_dependence`). benchmarks/any_model.md shows the false-alarm rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from driftloop.drift.rules.bets import HALF
from driftloop.drift.segments import segment_dependence

BETS: Final = np.geomspace(0.03, 0.9, 6)  # of the largest bet that never loses more than its capital
FIRST: Final = 0.5  # share of the stake that is bet from the first block on
NOT_BET: Final = 0.3  # share of the reference rows' capital
CHUNK: Final = 4096  # losses at a time: 10 MB
MOST: Final = 1e9  # largest capital of a bet
STEPS: Final = np.arange(-1, 6.01, 0.2)  # of the grid, in standard errors of the reference rows' mean
BEYOND: Final = 10  # further points, in equal ratios up to `HIGHEST`
HIGHEST: Final = 0.98  # of the largest loss
_KEPT: Final = ("largest", "rows_in_one", "_means", "_known", "_capitals", "_blocks", "_left")  # attributes


class Rises:
    """The evidence of S segments, block by block; each row belongs to one of them.

    Args:
        reference: the losses of each segment's reference rows in time order, S arrays (N_s,), none empty.
        largest: of each segment, (S,), over 0: a larger loss counts as that.

    >>> rng = np.random.default_rng(7)
    >>> rises = Rises([rng.random(200) < 0.1, rng.random(2000) < 0.1], largest=np.ones(2))
    >>> segment = np.repeat([0, 1], [300, 3000])
    >>> (rises.update(rng.random(3300) < np.where(segment == 0, 0.4, 0.1), segment) > 20).tolist()
    [True, False]
    """

    def __init__(self, reference: Sequence[np.ndarray], *, largest: np.ndarray) -> None:
        self.largest = largest
        losses = [np.minimum(np.asarray(one, np.float64), most) / most for one, most in zip(reference, largest, strict=True)]
        self.rows_in_one = segment_dependence.rows_in_one(losses)
        self._means = np.stack([_grid(one, v) for one, v in zip(losses, self.rows_in_one, strict=True)])  # (S, G): the m that are tried
        segment = np.repeat(np.arange(len(losses)), [len(one) for one in losses])
        powers = self._growth(np.concatenate(losses), segment, -BETS / (1 - self._means)[:, :, None])
        self._known = NOT_BET + (1 - NOT_BET) * powers.mean(axis=2)  # (S, G): of the reference rows
        self._sizes = BETS / self._means[:, :, None]  # (S, G, B)
        self._capitals = np.zeros(self._sizes.shape)
        self._blocks, self._left = 0, 1.0  # of the stake

    def state(self) -> dict[str, Any]:
        """Arrays and numbers from which `of_state` continues."""
        return {name.removeprefix("_"): np.copy(value) if isinstance(value := getattr(self, name), np.ndarray) else value for name in _KEPT}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Rises:
        """The evidence that `state` was taken of.

        Raises:
            ValueError, KeyError, TypeError: it is no such state.
        """
        made = cls.__new__(cls)
        for name in _KEPT:
            value = state[name.removeprefix("_")]
            setattr(made, name, np.array(value, np.float64) if isinstance(value, np.ndarray) else value)
        segments, points = made._means.shape
        shapes = (made.largest.shape, made.rows_in_one.shape, made._known.shape, made._capitals.shape)
        if len(state) != len(_KEPT) or shapes != ((segments,), (segments,), (segments, points), (segments, points, len(BETS))):
            raise ValueError("arrays of other shapes")
        made._blocks, made._left = int(made._blocks), float(made._left)
        made._sizes = BETS / made._means[:, :, None]
        return made

    def update(self, losses: np.ndarray, segment: np.ndarray) -> np.ndarray:
        """Bet on one block and return the evidence of each segment, (S,).

        Args:
            losses: (N,) in 0..
            segment: the segment of each row, (N,) in 0..S-1.
        """
        share = (1 - FIRST) * HALF / ((self._blocks + HALF) * (self._blocks + HALF + 1)) + (FIRST if not self._blocks else 0.0)
        most = self.largest[segment]
        growth = self._growth(np.minimum(np.asarray(losses, np.float64), most) / most, segment, self._sizes)
        self._capitals = np.minimum(growth * (self._capitals + share), MOST)
        self._blocks, self._left = self._blocks + 1, self._left - share
        return self.evidence()

    def evidence(self) -> np.ndarray:
        """The e-value of each segment against "its mean loss has not risen", (S,)."""
        later = self._capitals.mean(axis=2) + self._left  # (S, G)
        ends = np.column_stack([later[:, 0] * NOT_BET, self._known[:, :-1] * later[:, 1:], self._known[:, -1] * self._left])
        return ends.min(axis=1)

    def _growth(self, losses: np.ndarray, segment: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """The factor of each bet on these rows, (S, G, B): of a row 1 + size (loss - m)."""
        order = np.lexsort((losses, segment))
        losses, segment = losses[order], segment[order]
        first = np.flatnonzero(np.r_[True, (np.diff(losses) != 0) | (np.diff(segment) != 0)][: len(losses)])  # errors have few distinct losses
        counts = np.diff(np.append(first, len(losses)))
        losses, segment = losses[first], segment[first]
        logs = np.zeros(sizes.shape)
        for start in range(0, len(losses), CHUNK):
            some, x = segment[start : start + CHUNK], losses[start : start + CHUNK]
            gains = np.log(1 + sizes[some] * (x[:, None] - self._means[some])[:, :, None]) * counts[start : start + CHUNK, None, None]  # (R, G, B)
            begins = np.flatnonzero(np.r_[True, np.diff(some) != 0])
            logs[some[begins]] += np.add.reduceat(gains, begins)
        return np.exp(np.minimum(logs / self.rows_in_one[:, None, None], np.log(MOST)))


def _grid(losses: np.ndarray, rows_in_one: float) -> np.ndarray:
    """The means that are tried, ascending in 0..1, (G,): close to that of the reference rows, then in equal ratios."""
    rows = len(losses)
    mean = (losses.sum() + 0.5) / (rows + 1)  # never 0
    error = np.sqrt(max(float(losses.var()), mean * (1 - mean) / rows) * rows_in_one / rows)
    near = np.clip(mean + STEPS * error, mean / 4, HIGHEST)
    return np.concatenate([near, np.geomspace(near[-1], HIGHEST, BEYOND + 1)[1:]])
