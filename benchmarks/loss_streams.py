"""Absolute errors of known mean, autocorrelated like real ones: for the false alarms of the rule `significant` in regression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from driftloop.drift.rules.significant_loss import SignificantLoss

ROWS: Final = 400  # a block
REFERENCE: Final = 20  # blocks before the watch
Draw = Callable[[np.random.Generator, int], np.ndarray]


def exponential(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Independent; mean 1, like all kinds here."""
    return rng.exponential(1.0, rows)


def heavy(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Independent, with a few errors of twenty times the mean."""
    return rng.lognormal(-0.72, 1.2, rows)


def together(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Runs of 20 rows with a common level."""
    return np.repeat(rng.lognormal(-0.18, 0.6, rows // 20 + 1), 20)[:rows] * rng.exponential(1.0, rows)


def by_day(rng: np.random.Generator, rows: int) -> np.ndarray:
    """A fixed daily cycle, four days a block."""
    return (1 + 0.6 * np.sin(2 * np.pi * np.arange(rows) / 100)) * rng.exponential(1.0, rows)


def wandering(rng: np.random.Generator, rows: int) -> np.ndarray:
    """The level of each block wanders by a tenth."""
    level = np.repeat(np.exp(0.1 * rng.standard_normal(rows // ROWS + 1) - 0.005), ROWS)[:rows]
    return level * rng.exponential(1.0, rows)


KINDS: Final[dict[str, Draw]] = {draw.__name__: draw for draw in (exponential, heavy, together, by_day, wandering)}


def alarmed(draw: Draw, *, seed: int, factor: float = 1.0, blocks: int = 40) -> int | None:
    """The block of the first alarm in a watch whose errors have the mean `factor`, with threshold 1."""
    rng = np.random.default_rng(seed)
    rule = SignificantLoss(threshold=1.0)
    rule.prepare(draw(rng, REFERENCE * ROWS), block_size=ROWS)
    losses = factor * draw(rng, blocks * ROWS)
    return next((at for at in range(blocks) if rule.update(losses[at * ROWS : (at + 1) * ROWS]).drift), None)
