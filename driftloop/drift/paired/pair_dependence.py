"""How many rows of two models' loss differences carry the information of one independent row.

Within a block it is the variance of the means of runs of rows relative to independent rows, over runs of several lengths; the largest is taken, as in
`driftloop.drift.rules.significant_loss`. Beyond that equal models take turns in leading, by day or by week: a block's lead wanders around the lasting
one, as an AR(1). Its variance is estimated from the differences of neighbouring blocks, which a lasting lead does not touch and a change of the
lead only once, where it is cut (Tecuapetla-Gomez, Munk, Scandinavian Journal of Statistics 44, 2017).

Few blocks say little, and a lead in the first one may be such a turn. So the estimates are drawn towards what is usual, as if that had been seen
`PRIOR` times: a lead that differs from block to block by `USUAL` (an empirical Bayes estimate of a variance; Smyth, Statistical Applications in
Genetics and Molecular Biology 3, 2004). Both are as measured between models on ELEC (benchmarks/paired_streams.py).
"""

from __future__ import annotations

from typing import Final

import numpy as np

USUAL: Final = 0.09  # standard deviation of a block's lead around the lasting one: 9 points of accuracy
PERSISTENCE: Final = 0.5  # its correlation from block to block
PRIOR: Final = 8.0  # blocks that this is worth
JUMP: Final = 15.0  # times the median squared difference: 2.6 standard deviations, where the lead wanders
ENOUGH: Final = 5  # differences that a median is taken of
SHORTEST: Final = 4  # runs of rows in a block
ROW_PRIOR: Final = 20.0  # runs of rows that independent rows are worth


class PairDependence:
    """Learns from the loss differences of one comparison, block by block.

    >>> rng = np.random.default_rng(7)
    >>> independent, turns = PairDependence(), PairDependence()
    >>> for _ in range(50):
    ...     independent.add(rng.integers(-1, 2, 48).astype(float))
    ...     turns.add(np.full(48, float(rng.integers(-1, 2))))
    >>> independent.rows_in_one() < 3 < 20 < turns.rows_in_one()
    True
    """

    def __init__(self) -> None:
        self._rows = 0
        self._inner = 0.0  # squared deviations from the blocks' means
        self._runs: dict[int, tuple[float, int]] = {}  # by length: squared deviations of their means in rows, and degrees of freedom
        self._sizes: list[int] = []
        self._means: list[float] = []

    def add(self, differences: np.ndarray) -> None:
        """Learn from a block, (N,) in time order, not empty."""
        rows, mean = len(differences), float(differences.mean())
        self._rows, self._inner = self._rows + rows, self._inner + float(np.square(differences - mean).sum())
        self._sizes.append(rows)
        self._means.append(mean)
        length = 1
        while rows // (2 * length) >= SHORTEST:
            length *= 2
            runs = rows // length
            means = differences[: runs * length].reshape(runs, length).mean(axis=1)
            squares, freedom = self._runs.get(length, (0.0, 0))
            self._runs[length] = squares + length * float(((means - means.mean()) ** 2).sum()), freedom + runs - 1

    @property
    def variance(self) -> float:
        """Of a row's difference within its block, in which the lead is constant; of blocks of one row from one to the next."""
        freedom = self._rows - len(self._sizes)
        return self._inner / freedom if freedom else self._turns()

    def rows_in_one(self) -> float:
        """How many rows carry the information of one, at least 1."""
        variance, blocks, size = self.variance, len(self._sizes), self._rows / len(self._sizes)
        if variance <= 0:  # within every block one model is always as much better: a block is one observation
            return size if self._turns() else 1.0
        within = max([1.0, *((squares / variance + ROW_PRIOR) / (freedom + ROW_PRIOR) for squares, freedom in self._runs.values())])
        noise = variance * within / size
        wander = max(self._turns() - noise, 0.0) / (1 - PERSISTENCE)
        wander = ((blocks - 1) * wander + PRIOR * USUAL**2) / (blocks - 1 + PRIOR)
        return within + size * wander * _lasting(blocks) / variance

    def _turns(self) -> float:
        """Half of the mean squared difference of neighbouring blocks' leads, a jump of the lead counted little; 0 for one block."""
        squares = np.square(np.diff(self._means))
        usual = float(np.median(squares)) if len(squares) >= ENOUGH else 0.0
        return float((np.minimum(squares, JUMP * usual) if usual else squares).mean()) / 2 if len(squares) else 0.0


def _lasting(blocks: int) -> float:
    """Variance of the sum of so many values of an AR(1) with `PERSISTENCE`, relative to independent ones.

    >>> [round(_lasting(blocks), 2) for blocks in (1, 2, 4, 64)]
    [1.0, 1.5, 2.06, 2.94]
    """
    lags = np.arange(1, blocks)
    return 1 + 2 * float(((1 - lags / blocks) * PERSISTENCE**lags).sum())
