"""Streams of errors with known drift, for the benchmarks of the rules.

An error is 1 where a model was wrong. The rows of a block are independent, or a two-state Markov chain (each row repeats the state of
the row before with probability `correlation`, otherwise it is drawn independently), and the accuracy may wander from block to block
around its mean as an AR(1) with correlation `PERSISTENCE`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCKS = 300  # of a watch
PERSISTENCE = 0.8  # of a wandering accuracy, from block to block
EARLIEST, LATEST = 50, 250  # a change begins in one of these blocks
WIDTH = 30  # blocks over which a gradual change takes place
NEVER = 1_000_000  # the block of a change or an alarm that never happens


@dataclass(frozen=True)
class Noise:
    """The autocorrelation of the errors."""

    name: str
    correlation: float = 0.0  # of neighbouring rows
    wander: float = 0.0  # standard deviation of the accuracy of blocks


@dataclass(frozen=True, eq=False)
class Watches:
    """Errors of many watches of `BLOCKS` blocks, and the block in which each change begins (`NEVER` without one)."""

    errors: np.ndarray  # (watches, rows of a watch) bool
    changes: np.ndarray  # (watches,) blocks
    block: int  # rows of a block

    def blocks(self, watch: int) -> np.ndarray:
        """One watch's errors, (blocks, rows of a block)."""
        return self.errors[watch].reshape(-1, self.block)


def steady(rng: np.random.Generator, *, watches: int, block: int, accuracy: float, noise: Noise) -> Watches:
    """Watches without drift."""
    path = np.full((watches, BLOCKS), accuracy)
    return Watches(_errors(rng, path, block, noise), np.full(watches, NEVER), block)


def drifting(rng: np.random.Generator, *, watches: int, block: int, before: float, after: float, gradual: bool, noise: Noise) -> Watches:
    """Watches whose accuracy changes, each at a random block, at once or over `WIDTH` blocks."""
    changes = rng.integers(EARLIEST, LATEST, watches)
    passed = np.arange(BLOCKS) - changes[:, None] + 1  # 1 in the block in which the change begins
    share = np.clip(passed / WIDTH, 0, 1) if gradual else (passed >= 1).astype(float)
    return Watches(_errors(rng, before + (after - before) * share, block, noise), changes, block)


def resampled(rng: np.random.Generator, pool: np.ndarray, *, watches: int, block: int) -> Watches:
    """Watches whose errors are drawn independently from a pool of real ones: no drift."""
    errors = pool[rng.integers(0, len(pool), (watches, BLOCKS * block))]
    return Watches(errors, np.full(watches, NEVER), block)


def _errors(rng: np.random.Generator, accuracy: np.ndarray, block: int, noise: Noise) -> np.ndarray:
    """Errors (watches, blocks * block) at accuracies (watches, blocks)."""
    if noise.wander:
        accuracy = np.clip(accuracy + noise.wander * _wander(rng, accuracy.shape), 0, 1)
    wrong = np.repeat(1 - accuracy, block, axis=1)
    errors = rng.random(wrong.shape, dtype=np.float32) < wrong
    if not noise.correlation:
        return errors
    kept = rng.random(wrong.shape, dtype=np.float32) < noise.correlation
    drawn = np.maximum.accumulate(np.where(kept, 0, np.arange(wrong.shape[1], dtype=np.int32)), axis=1)
    return np.take_along_axis(errors, drawn, axis=1)


def _wander(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """AR(1) with mean 0 and variance 1 along the second axis."""
    fresh = rng.standard_normal(shape)
    for block in range(1, shape[1]):
        fresh[:, block] = PERSISTENCE * fresh[:, block - 1] + np.sqrt(1 - PERSISTENCE**2) * fresh[:, block]
    return fresh
