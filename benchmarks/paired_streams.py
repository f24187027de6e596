"""Losses of two models on the same rows, autocorrelated like those of two models on ELEC, with a known lasting lead of the challenger.

Both models' errors come in runs (a two-state Markov chain), half of them are common to both, and the lead wanders from block to block as an AR(1). Of
156 models fitted on different windows of ELEC, two disagree on 12 % of the rows, neighbouring rows' differences correlate by .38, and the lead of a
day differs from the lasting one by 11 points, of which 5 are noise, with a correlation of .37 from day to day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ACCURACY = 0.78
COMMON = 0.5  # share of the rows on which both models do the same
PERSISTENCE = 0.45  # of the lead, from block to block


@dataclass(frozen=True)
class Pairs:
    """A kind of stream."""

    name: str
    correlation: float = 0.0  # of neighbouring rows
    wander: float = 0.0  # standard deviation of a block's lead
    lead: float = 0.0  # of the challenger: share of the rows whose errors it fixes; negative: that it gets wrong
    rows: int = 48  # a block
    until: int = 10**6  # blocks after which the challenger's lead turns into as large a lag


def losses(kind: Pairs, *, seed: int, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors of champion and challenger, (blocks, rows) each."""
    rng = np.random.default_rng(seed)
    rows = blocks * kind.rows
    level = np.repeat(kind.wander * _wander(rng, blocks), kind.rows) / (2 * (1 - COMMON))
    wrong = np.full(rows, 1 - ACCURACY)
    both = _chain(rng, wrong, kind.correlation)
    champion, challenger = (_chain(rng, np.clip(wrong + sign * level, 0, 1), kind.correlation) for sign in (1, -1))
    common = _chain(rng, np.full(rows, COMMON), kind.correlation)
    first, second = np.where(common, both, champion), np.where(common, both, challenger)
    chosen = rng.random(rows) < abs(kind.lead) / (1 - ACCURACY)  # of the errors
    leads = (np.arange(rows) // kind.rows < kind.until) == (kind.lead > 0)
    second &= ~(chosen & leads)
    first &= ~(chosen & ~leads)
    return first.reshape(blocks, -1), second.reshape(blocks, -1)


def _chain(rng: np.random.Generator, share: np.ndarray, correlation: float) -> np.ndarray:
    """True in these shares; each row repeats the one before with this probability."""
    drawn = rng.random(len(share)) < share
    return drawn[np.maximum.accumulate(np.where(rng.random(len(share)) < correlation, 0, np.arange(len(share))))]


def _wander(rng: np.random.Generator, blocks: int) -> np.ndarray:
    fresh = rng.standard_normal(blocks)
    for block in range(1, blocks):
        fresh[block] = PERSISTENCE * fresh[block - 1] + np.sqrt(1 - PERSISTENCE**2) * fresh[block]
    return fresh
