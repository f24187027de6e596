"""Data quality of a block: which rows were set aside and why, and what impossible values would have done to its means.

A mean that jumps because of a few impossible values is no drift: with the rows set aside it stands where it stood. So both means
are compared, and a jump that the set-aside rows alone make is called data quality.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from driftloop.blocks import Block
from driftloop.results import BlockScore
from driftloop.streams import Stream

JUMP: Final = 0.25  # of the usable rows' standard deviation: by so much set-aside rows must move a mean to be told
REASONS: Final = 6  # told of a block


@dataclass(frozen=True)
class Jump:
    """A feature whose mean set-aside rows move: over all rows with a number, over the usable ones, and the farthest value set aside."""

    feature: str
    with_all: float
    usable: float
    farthest: float


@dataclass(frozen=True)
class Quality:
    """Rows of a block's stretch of the file that could not be used, by reason, the most frequent first."""

    rows: int  # usable
    reasons: tuple[tuple[str, int], ...]
    jumps: tuple[Jump, ...]

    @property
    def set_aside(self) -> int:
        """Rows that could not be used."""
        return sum(count for _, count in self.reasons)

    @property
    def message(self) -> str:
        """What the impossible values do, in words; empty when no mean jumps."""
        told = (
            f"the mean of {jump.feature} would be {jump.with_all:.4g} over all {self.rows + self.set_aside:,} rows, it is {jump.usable:.4g} over the "
            f"{self.rows:,} usable ones: impossible values (up to {jump.farthest:,.6g}), which is data quality, not drift"
            for jump in self.jumps
        )
        return "; ".join(told)

    def figures(self) -> dict[str, Any]:
        """The fields of a `BlockScore` that tell of it."""
        why = ", ".join(f"{reason}: {count}" for reason, count in self.reasons[:REASONS])
        return {"set_aside": self.set_aside, "set_aside_why": why, "quality": self.message}


def of_block(stream: Stream, block: Block) -> Quality:
    """The quality of one block; a row that was set aside belongs to the block in whose stretch of the file it stands."""
    before = stream.aside.before
    inside = (before >= block.start) & (before < block.stop)
    if block.stop == len(stream):
        inside |= before == block.stop
    at = np.flatnonzero(inside)
    reasons = Counter(kind_of(stream.set_aside[row][1]) for row in at)
    jumps = _jumps(stream.features, stream.rows[block.start : block.stop], stream.aside.values[at]) if len(at) else ()
    return Quality(block.rows, tuple(reasons.most_common()), jumps)


def findings(scores: Sequence[BlockScore]) -> tuple[str, ...]:
    """What there is to say of the data quality of a watch, in sentences; nothing when no row was set aside."""
    aside, rows = sum(score.set_aside for score in scores), sum(score.rows for score in scores)
    if not aside:
        return ()
    worst = max(scores, key=lambda score: score.set_aside / (score.set_aside + score.rows))
    told = [
        f"Data quality: {aside:,} of {aside + rows:,} rows were set aside ({aside / (aside + rows):.1%}), most in block {worst.block} "
        f"({worst.set_aside / (worst.set_aside + worst.rows):.1%}: {worst.set_aside_why})."
    ]
    told += [f"Data quality, block {score.block} ({score.timestamp[:10]}): {score.quality}." for score in scores if score.quality]
    return tuple(told)


def kind_of(reason: str) -> str:
    """A reason without the row's own value, which stands in brackets or quotes.

    >>> kind_of("distance_miles over 100 (46826.2)"), kind_of("x is 'abc', not a number")
    ('distance_miles over 100', 'x is no number')
    """
    return f"{reason.partition(' is ')[0]} is no number" if reason.endswith("not a number") else reason.partition(" (")[0]


def _jumps(features: tuple[str, ...], rows: np.ndarray, aside: np.ndarray) -> tuple[Jump, ...]:
    found = []
    for at, feature in enumerate(features):
        given = aside[np.isfinite(aside[:, at]), at]
        usable = rows[:, at].astype(np.float64)
        mean, spread = float(usable.mean()), float(usable.std())
        with_all = float(np.concatenate([usable, given]).mean())
        if len(given) and abs(with_all - mean) > JUMP * spread > 0:
            found.append(Jump(feature, with_all, mean, float(given[np.abs(given - mean).argmax()])))
    return tuple(found)
