"""Data quality of a block: which rows were set aside, why, and how they would have moved its means.

A mean that jumps because of a few impossible values is not drift: without the rows set aside it is unchanged. So both means are
compared, and a jump caused by the set-aside rows alone is reported as data quality. Where a row was set aside for another
reason, such as a missing value of another feature, its own value is possible: then the usable rows are a biased sample.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.metrics.results import BlockScore

JUMP: Final = 0.25  # of the usable rows' standard deviation: a smaller move of the mean is not reported
REASONS: Final = 6  # reported per block
_WRONG: Final = re.compile(r"(.+?) is .+, (not a number|not a time|not finite|whose last digits float64 loses)", re.DOTALL)


@dataclass(frozen=True)
class Jump:
    """A feature whose mean the set-aside rows move: the mean over all rows with a number, over the usable ones, and the farthest value set aside.

    `reasons` states why the rows were set aside if not for this feature's values; "" if these are impossible.
    """

    feature: str
    rows: int
    with_all: float
    usable: float
    farthest: float
    reasons: str = ""


def told_means(feature: str, with_all: float, rows: int, *, usable: float, usable_rows: int) -> str:
    """The mean over all rows with a number, and over the usable ones."""
    return f"the mean of {feature} would be {with_all:.4g} over {rows:,} rows and is {usable:.4g} over the {usable_rows:,} usable ones"


def told_impossible(farthest: float) -> str:
    """The sentence for a jump caused by impossible values alone."""
    return f"impossible values (up to {farthest:,.6g}), which is data quality, not drift"


@dataclass(frozen=True)
class BlockQuality:
    """Unusable rows in a block's part of the file, by reason, the most frequent first."""

    rows: int  # usable
    reasons: tuple[tuple[str, int], ...]
    jumps: tuple[Jump, ...]

    @property
    def set_aside(self) -> int:
        """Rows that could not be used."""
        return sum(count for _, count in self.reasons)

    @property
    def message(self) -> str:
        """How the set-aside rows move the means, in words; empty when none jumps."""
        return "; ".join(self._told(jump) for jump in self.jumps)

    def _told(self, jump: Jump) -> str:
        means = told_means(jump.feature, jump.with_all, jump.rows, usable=jump.usable, usable_rows=self.rows)
        if jump.reasons:
            return f"{means}: the {jump.rows - self.rows:,} rows set aside ({jump.reasons}) differ in it, so the usable ones are a biased sample"
        return f"{means}: {told_impossible(jump.farthest)}"

    def figures(self) -> dict[str, Any]:
        """The fields of a `BlockScore` for data quality."""
        why = ", ".join(f"{reason}: {count}" for reason, count in self.reasons[:REASONS])
        return {"set_aside": self.set_aside, "set_aside_why": why, "quality": self.message}


def of_block(stream: Stream, block: Block) -> BlockQuality:
    """The quality of one block; a set-aside row belongs to the block that covers its position in the file."""
    before = stream.aside.before
    inside = (before >= block.start) & (before < block.stop)
    if block.stop == len(stream):
        inside |= before == block.stop
    at = np.flatnonzero(inside)
    why = [stream.set_aside[row][1] for row in at]
    reasons = Counter(map(kind_of, why))
    numbers = [place for place, column in enumerate(stream.columns) if column.kind == "number"]  # a mean of codes is meaningless
    names = [stream.features[place] for place in numbers]
    jumps = _jumps(names, stream.rows[block.start : block.stop, numbers], stream.aside.values[at][:, numbers], why) if len(at) else ()
    return BlockQuality(block.rows, tuple(reasons.most_common()), jumps)


def findings(scores: Sequence[BlockScore]) -> tuple[str, ...]:
    """The data quality of a watch, in sentences; none when no row was set aside."""
    aside, rows = sum(score.set_aside for score in scores), sum(score.rows for score in scores)
    if not aside:
        return ()
    worst = max(scores, key=lambda score: score.set_aside / (score.set_aside + score.rows))
    told = [
        f"Data quality: {aside:,} of {aside + rows:,} rows were set aside ({100 * aside / (aside + rows):.1f} %), most in block {worst.block} "
        f"({100 * worst.set_aside / (worst.set_aside + worst.rows):.1f} %: {worst.set_aside_why})."
    ]
    told += [f"Data quality, block {score.block} ({score.timestamp[:10]}): {score.quality}." for score in scores if score.quality]
    return tuple(told)


def kind_of(reason: str) -> str:
    """A reason without the row's value.

    >>> kind_of("distance_miles over 100 (46826.2)"), kind_of("x is 'abc', not a number"), kind_of("x is missing")
    ('distance_miles over 100', 'x is not a number', 'x is missing')
    >>> kind_of("x is 1e400, not finite"), kind_of("time is 'soon', not a time")
    ('x is not finite', 'time is not a time')
    """
    found = _WRONG.fullmatch(reason)
    return f"{found[1]} is {found[2]}" if found else reason.partition(" (")[0]


def _jumps(features: Sequence[str], rows: np.ndarray, aside: np.ndarray, why: Sequence[str]) -> tuple[Jump, ...]:
    found = []
    blamed = np.array([max((name for name in features if reason.startswith(f"{name} ")), key=len, default="") for reason in why], object)
    for at, feature in enumerate(features):
        given = np.isfinite(aside[:, at])
        own = given & (blamed == feature)
        others = given & ~own
        jump = _jump(feature, rows[:, at], aside[own, at])
        if jump is None and (jump := _jump(feature, rows[:, at], aside[others, at])):
            reasons = Counter(kind_of(why[int(row)]) for row in np.flatnonzero(others))
            jump = replace(jump, reasons=", ".join(f"{reason}: {count:,}" for reason, count in reasons.most_common(REASONS)))
        found += [jump] if jump else []
    return tuple(found)


def _jump(feature: str, usable: np.ndarray, aside: np.ndarray) -> Jump | None:
    usable = usable[np.isfinite(usable)]  # a missing value may be a value of the stream
    if not len(aside) or not len(usable):
        return None
    with np.errstate(over="ignore", invalid="ignore"):  # sums near the ends of float64 overflow: reported as inf
        mean, spread = float(usable.mean()), float(usable.std())
        with_all = float(np.concatenate([usable, aside]).mean())
        if not abs(with_all - mean) > JUMP * spread > 0:
            return None
        return Jump(feature, len(usable) + len(aside), with_all, mean, float(aside[np.abs(aside - mean).argmax()]))
