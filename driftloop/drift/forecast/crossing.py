"""Forecasts when the accuracy will cross the threshold: an interval in blocks from now, from the trend or from earlier versions.

Block 1 from now is the next block. A crossing is the first block whose true accuracy is strictly under the threshold; the
true accuracy is what the model would reach on infinitely many rows like the block's, so one unlucky block is not a crossing. The
measured crossing is the first block whose measured KPI is under the threshold: the block at which the plain rule alarms. It
includes noise and comes sooner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from driftloop.drift.forecast import survival, trend

HORIZON = 365  # blocks
Blocks = tuple[Sequence[float], Sequence[int]]  # accuracies and rows of the blocks of a version
MIN_BLOCKS = 5  # that a trend needs; with known earlier versions one is enough
FEW_BLOCKS = 10  # with fewer the prior dominates, and the message calls the forecast a guess
MIN_VERSIONS = 4  # earlier versions that must have crossed for a survival forecast
# The trend's prior covers more kinds of decline than one stream has, so its intervals are too wide: on simulated declines
# a share of 0.13 in each tail, not 0.1, leaves 80 % of the crossings inside (benchmarks/forecast.md).
TAIL = 1.3
# A proactive retrain uses the early end of the 40 % interval of the measured crossing: at the same number of retrains fewer blocks were
# under the threshold than with the plain rule, on ELEC and on a seasonal stream; a wider interval retrains too often (benchmarks/forecast.md).
AHEAD = 0.4


@dataclass(frozen=True)
class Forecast:
    """Blocks from now until the threshold is crossed: in `early`..`late` with probability `confidence`; `middle` is the median.

    inf is "not within the horizon"; nan, with source "none", is "cannot tell". 0 is "probably under the threshold already".
    """

    early: float
    middle: float
    late: float
    confidence: float
    source: Literal["trend", "survival", "none"]
    message: str  # one sentence in words


@dataclass(frozen=True)
class CrossingWords:
    """How a message names the KPI and its crossing of the threshold."""

    true: str
    measured: str
    crosses: str
    crossed: str

    @classmethod
    def of_accuracy(cls, threshold: float) -> CrossingWords:
        """For an accuracy."""
        return cls("the true accuracy", "the block KPI", f"falls under {threshold:.4g}", f"under {threshold:.4g}")

    @classmethod
    def of_error(cls, kpi: str, threshold: float, unit: str = "") -> CrossingWords:
        """For an error, such as MAE."""
        limit = f"{threshold:g} {unit}".strip()
        return cls(f"the true {kpi}", f"the block {kpi}", f"rises above {limit}", f"above {limit}")


@dataclass(frozen=True)
class Lifetime:
    """Blocks that a version served, including the block in which it crossed; not crossed: it was replaced before, or the watch ended."""

    blocks: int
    crossed: bool


def due(forecast: Forecast, lead_blocks: float) -> bool:
    """Whether to retrain now, because the crossing may be at most `lead_blocks` away; never on "cannot tell".

    >>> due(Forecast(early=3, middle=9, late=20, confidence=0.8, source="trend", message=""), 3)
    True
    """
    return forecast.early <= lead_blocks


def predict(
    accuracies: Sequence[float],
    rows: Sequence[int],
    *,
    threshold: float,
    lifetimes: Sequence[Lifetime] = (),
    earlier: Sequence[Blocks] = (),
    confidence: float = 0.8,
    horizon: int = HORIZON,
    measured: bool = False,
    words: CrossingWords | None = None,
) -> Forecast:
    """Forecast from the served version's trend; until it has one, from the survival of earlier versions.

    Arguments as in `crossing` and `from_survival`; the version's age is its number of blocks.
    """
    trending = crossing(accuracies, rows, threshold=threshold, earlier=earlier, confidence=confidence, horizon=horizon, measured=measured, words=words)
    if trending.source != "none":
        return trending
    surviving = from_survival(lifetimes, age=len(accuracies), confidence=confidence)
    return surviving if surviving.source != "none" else _none(f"{trending.message}; {surviving.message}", confidence)


def ahead(
    accuracies: Sequence[float],
    rows: Sequence[int],
    *,
    threshold: float,
    earlier: Sequence[Blocks],
    lead_blocks: float,
    confidence: float = AHEAD,
    words: CrossingWords | None = None,
) -> Forecast:
    """The measured crossing, for a retrain before it (`due`): from the trend, the earlier versions' KPIs and their lifetimes.

    Arguments as in `crossing`; `lead_blocks` is how far ahead it matters.
    """
    lives = [lifetime(values, threshold=threshold) for values, _ in earlier]
    horizon = math.ceil(lead_blocks) + 1
    return predict(
        accuracies, rows, threshold=threshold, lifetimes=lives, earlier=earlier, confidence=confidence, horizon=max(horizon, 1), measured=True, words=words
    )


def lifetime(accuracies: Sequence[float], *, threshold: float) -> Lifetime:
    """A version's lifetime from its block KPIs: up to its measured crossing, because the true one is unknown.

    >>> lifetime([0.8, 0.6, 0.9], threshold=0.7), lifetime([0.8, 0.7], threshold=0.7)
    (Lifetime(blocks=2, crossed=True), Lifetime(blocks=2, crossed=False))
    """
    under = np.flatnonzero(np.asarray(accuracies, float) < threshold)
    return Lifetime(int(under[0]) + 1, True) if len(under) else Lifetime(len(accuracies), False)


def crossing(
    accuracies: Sequence[float],
    rows: Sequence[int],
    *,
    threshold: float,
    earlier: Sequence[Blocks] = (),
    confidence: float = 0.8,
    horizon: int = HORIZON,
    measured: bool = False,
    words: CrossingWords | None = None,
) -> Forecast:
    """Forecast from the block KPIs of the served version.

    Args:
        accuracies: (n,) of its blocks so far, oldest first, each in 0..1; nan for a block without labels.
        rows: (n,) rows of each block.
        threshold: lowest accuracy that is good enough, in (0, 1).
        earlier: accuracies and rows of the blocks of each earlier version, oldest first: versions of one stream are assumed
            to decline alike, which narrows the interval where they do.
        confidence: chance that the crossing lies in the interval, in (0, 1).
        horizon: blocks ahead to look.
        measured: forecast the measured crossing (see the module), for blocks as large as the newest.
        words: of the message; by default those of an accuracy.

    Raises:
        ValueError: an argument is outside its range, or `accuracies` and `rows` differ in length.

    >>> falling = [0.9 - 0.005 * block for block in range(20)]
    >>> soon = crossing(falling, [336] * 20, threshold=0.75)
    >>> soon.source, soon.early < 11 < soon.late
    ('trend', True)
    """
    values, sizes, words = np.asarray(accuracies, float), np.asarray(rows), words or CrossingWords.of_accuracy(threshold)
    _check(confidence)
    if values.ndim != 1 or values.shape != sizes.shape:
        raise ValueError(f"accuracies {values.shape} and rows {sizes.shape} must be two lists of the same length")
    if not 0 < threshold < 1:
        raise ValueError(f"threshold is {threshold:g}: it must lie in (0, 1)")
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}: it must be at least 1")
    if np.any((values < 0) | (values > 1)) or np.any(sizes < 0):
        raise ValueError("accuracies must lie in 0..1 and rows must not be negative")
    blocks = int(np.count_nonzero(~np.isnan(values) & (sizes > 0)))
    needed = MIN_BLOCKS if len(earlier) < MIN_VERSIONS else 1
    if blocks < needed:
        return _none(f"cannot tell from the trend: {_count(blocks, 'block')}, needs at least {needed}", confidence)
    past = [(np.asarray(one, float), np.asarray(size)) for one, size in earlier]
    times = trend.crossing_times(values, sizes, threshold=threshold, horizon=horizon, measured=measured, earlier=past)
    guess = f"; a rough guess, from {_count(blocks, 'block')} of this version" if blocks < FEW_BLOCKS else ""
    if not len(times):
        return Forecast(0.0, 0.0, 0.0, confidence, "trend", f"{words.true} is probably {words.crossed} already{guess}")
    tail = (1 - confidence) / 2 * TAIL
    early, middle, late = np.quantile(times, [min(tail, 0.5), 0.5, max(1 - tail, 0.5)], method="inverted_cdf").tolist()
    what = words.measured if measured else words.true
    return Forecast(early, middle, late, confidence, "trend", f"{what} {words.crosses} {_when(early, middle, late, confidence)}{guess}")


def from_survival(lifetimes: Sequence[Lifetime], *, age: int, confidence: float = 0.8) -> Forecast:
    """Forecast for a version too young for a trend, from the lifetimes of the versions before it.

    Args:
        lifetimes: of the earlier versions.
        age: blocks that the current version has served without crossing.
        confidence: as in `crossing`.

    Raises:
        ValueError: an argument is outside its range.

    >>> from_survival([Lifetime(blocks, True) for blocks in (3, 5, 6, 8, 9)], age=1).source
    'survival'
    """
    _check(confidence)
    blocks = np.array([life.blocks for life in lifetimes], int)
    if age < 0 or np.any(blocks < 0):
        raise ValueError("age and the blocks of a lifetime must not be negative")
    censored = np.array([not life.crossed for life in lifetimes], bool)
    times, chance = survival.crossed_by(blocks, censored, age=age)
    versions = len(times) - 1
    if versions < MIN_VERSIONS:
        told = f"{_count(versions, 'earlier version')} crossed the threshold after more than {_count(age, 'block')}"
        return _none(f"cannot tell from earlier versions: {told}, needs at least {MIN_VERSIONS}", confidence)
    tail = (1 - confidence) / 2
    early, middle, late = (float(np.interp(share, chance, times, right=math.inf)) for share in (tail, 0.5, 1 - tail))
    when = _when(early, middle, late, confidence)
    return Forecast(early, middle, late, confidence, "survival", f"a version of this age crosses the threshold {when}, as {versions} earlier ones did")


def _none(message: str, confidence: float) -> Forecast:
    return Forecast(math.nan, math.nan, math.nan, confidence, "none", message)


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence:g}: it must lie in (0, 1)")


def _when(early: float, middle: float, late: float, confidence: float) -> str:
    if math.isinf(early):
        return f"later than the horizon, if at all (confidence {confidence:.0%})"
    until = f"to {late:.0f} blocks" if math.isfinite(late) else "blocks or later than the horizon"
    about = f", about {middle:.0f}" if math.isfinite(middle) else ""
    return f"in {early:.0f} {until} from now{about} (confidence {confidence:.0%})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
