"""The geometry of the report's plot: accuracy by block over time, as SVG coordinates.

Pure arithmetic: values in, rounded coordinates and path strings out; the template draws them.
The plot is made here and not in the browser so that the report stays small (a plotting library
would add megabytes), prints sharply and needs no script to be seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np
import pandas as pd

from driftloop.metrics.results import REGRESSION, BlockScore, WatchResult

WIDTH, HEIGHT = 1120, 440  # user units of the viewBox; text is about 12 of them high
LEFT, RIGHT, TOP, BOTTOM = 50, 1106, 28, 392
CROSS = "m-3.5-3.5l7 7m0-7l-7 7"  # the sign of a drift, drawn around its point
LETTER = 9  # room a letter of a version's label takes
AVERAGES = 40  # independent averages along the plot: 284 day blocks are averaged over 7
AVERAGED = ("kpi", "kpi_unretrained", "no_change", "same_time_yesterday", "majority")

Edge = tuple[float, float]

# The first step that gives at most MOST_TICKS ticks is taken: pandas frequency, seconds, how a tick is written.
MOST_TICKS = 10
STEPS = (
    ("1min", 60, "%H:%M"),
    ("10min", 600, "%H:%M"),
    ("1h", 3600, "%d %b %H:%M"),
    ("3h", 10800, "%d %b %H:%M"),
    ("12h", 43200, "%d %b %H:%M"),
    ("1D", 86400, "%d %b %Y"),
    ("2D", 172800, "%d %b %Y"),
    ("7D", 604800, "%d %b %Y"),
    ("MS", 2629800, "%b %Y"),
    ("2MS", 5259600, "%b %Y"),
    ("3MS", 7889400, "%b %Y"),
    ("6MS", 15778800, "%b %Y"),
    ("YS", 31557600, "%Y"),
    ("2YS", 63115200, "%Y"),
    ("5YS", 157788000, "%Y"),
    ("10YS", 315576000, "%Y"),
    ("50YS", 1577880000, "%Y"),
)


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Stretch:
    """Consecutive blocks that one version answered."""

    left: float
    width: float
    label: str  # empty where there is no room for it


@dataclass(frozen=True)
class Mark:
    """Where a retrain took effect."""

    at: float
    block: int
    promoted: bool


@dataclass(frozen=True)
class Chart:
    """Everything the template draws; `middles` is the x of each block, in order, for pointing at it."""

    x_title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    stretches: tuple[Stretch, ...]
    marks: tuple[Mark, ...]
    interval: str
    threshold: str
    points: str
    drifts: str
    averages: dict[str, str]  # name of a BlockScore field, or of a regression's baseline -> path
    averaged_blocks: int
    middles: tuple[float, ...]


def draw(result: WatchResult) -> Chart:
    """Lay out the plot of a result; undefined figures leave gaps, no blocks leave an empty plot."""
    scores = result.scores
    edges, x_ticks, x_title = _x_axis(scores)
    averaged = max(7, len(scores) // AVERAGES) if len(scores) >= 3 * 7 else 1
    names = [*AVERAGED[:2], *scores[0].rivals] if result.task == REGRESSION and scores else AVERAGED
    averages = {name: _average(scores, name, averaged) for name in names}
    bounds = [*(score.lower for score in scores), *(score.threshold for score in scores), *chain(*averages.values())]
    axis = _mae_axis([*bounds, *(score.upper for score in scores)], result.unit) if result.task == REGRESSION else _accuracy_axis(bounds)

    def height(value: float) -> float:
        return round(BOTTOM - (value - axis.low) / (axis.high - axis.low) * (BOTTOM - TOP), 1)

    middles = tuple(round((left + right) / 2, 1) for left, right in edges)
    spots = [(f"M{x} {height(score.kpi)}", score.drift) for x, score in zip(middles, scores, strict=True) if math.isfinite(score.kpi)]
    return Chart(
        x_title=x_title,
        x_ticks=x_ticks,
        y_ticks=tuple(Tick(height(value), text) for value, text in axis.ticks),
        stretches=tuple(_stretches(scores, edges)),
        marks=tuple(_marks(result, edges)),
        interval=_outline(edges, [(height(score.upper), height(score.lower)) for score in scores]),
        threshold=_outline(edges, [(height(score.threshold),) for score in scores]),
        points="".join(f"{spot}h0" for spot, drift in spots if not drift),
        drifts="".join(f"{spot}{CROSS}" for spot, drift in spots if drift),
        averages={name: _line(middles, [height(share) for share in shares]) for name, shares in averages.items()},
        averaged_blocks=averaged,
        middles=middles,
    )


def _x_axis(scores: Sequence[BlockScore]) -> tuple[list[Edge], tuple[Tick, ...], str]:
    """Left and right edge of every block, ticks, and title: over time, or over block numbers where there is no usable time."""
    if not scores:
        return [], (), "block"
    times = pd.to_datetime(pd.Series([score.timestamp for score in scores]), format="ISO8601", errors="coerce", utc=True)
    timed = len(times) > 1 and times.notna().all() and times.is_monotonic_increasing and times.is_unique
    starts = (times - times[0]).dt.total_seconds().to_numpy() if timed else np.arange(len(scores), dtype=float)
    # A block lasts until the next one starts, but not through a gap in the stream.
    usual = float(np.median(np.diff(starts))) if len(starts) > 1 else 1.0
    stops = np.minimum(np.append(starts[1:], np.inf), starts + 2 * usual)
    stops[-1] = starts[-1] + usual

    def across(start: float) -> float:
        return round(float(LEFT + start / stops[-1] * (RIGHT - LEFT)), 1)

    edges = [(across(start), across(stop)) for start, stop in zip(starts, stops, strict=True)]
    if timed:
        return edges, tuple(Tick(across(seconds), text) for seconds, text in _time_ticks(times[0], float(stops[-1]))), "time"
    every = math.ceil(len(scores) / MOST_TICKS)
    return edges, tuple(Tick(sum(edges[at]) / 2, str(scores[at].block)) for at in range(0, len(scores), every)), "block"


def _time_ticks(start: pd.Timestamp, seconds: float) -> Iterator[tuple[float, str]]:
    """Round times within `seconds` of the start: (seconds since the start, text)."""
    step, _, written = next((step for step in STEPS if seconds / step[1] <= MOST_TICKS), STEPS[-1])
    for time in pd.date_range(start.normalize(), start + pd.Timedelta(seconds=seconds), freq=step):
        if time >= start:
            yield (time - start).total_seconds(), time.strftime(written)


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


def _accuracy_axis(shown: Sequence[float]) -> _Axis:
    """Shares up to 1 with ticks at tenths, from the highest tenth under all that is shown."""
    lowest = min(filter(math.isfinite, shown), default=0.0)
    tenths = min(max(math.floor(10 * lowest), 0), 9)
    return _Axis(tenths / 10, 1.0, tuple((tenth / 10, f"{100 * tenth / 10:.0f} %") for tenth in range(tenths, 11)))


def _mae_axis(shown: Sequence[float], unit: str) -> _Axis:
    """Errors from 0 to over all that is shown, with 4 to 10 round ticks."""
    highest = max(filter(math.isfinite, shown), default=1.0) or 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    step = next(size for size in (0.1 * power, 0.2 * power, 0.5 * power, power, 2 * power) if highest / size <= 9)
    steps = math.ceil(highest / step)
    return _Axis(0.0, steps * step, tuple((at * step, f"{at * step:g}{f' {unit[:3]}' if unit else ''}") for at in range(steps + 1)))


def _stretches(scores: Sequence[BlockScore], edges: Sequence[Edge]) -> Iterator[Stretch]:
    for version, group in groupby(zip(scores, edges, strict=True), key=lambda pair: pair[0].version):
        stretch = [edge for _, edge in group]
        left, width = stretch[0][0], stretch[-1][1] - stretch[0][0]
        label = f"v{version}" if version.isdecimal() else version
        yield Stretch(left=left, width=round(width, 1), label=label if width >= LETTER * len(label) else "")


def _marks(result: WatchResult, edges: Sequence[Edge]) -> Iterator[Mark]:
    ends = {score.block: right for score, (_, right) in zip(result.scores, edges, strict=True)}
    for record in result.retrains:
        if record.block in ends:
            yield Mark(at=ends[record.block], block=record.block, promoted=record.promoted)


def _average(scores: Sequence[BlockScore], name: str, blocks: int) -> list[float]:
    """The share right over each block and those before it, `blocks` in all, each row counting the same.

    Trailing, not centred: a centred average would rise before the retrain that raised it. For the same
    reason the served model's starts anew with each version.
    """
    if name == "kpi" and len({score.version for score in scores}) > 1:
        parts = (list(part) for _, part in groupby(scores, key=lambda score: score.version))
        return [share for part in parts for share in _average(part, name, blocks)]
    shares = pd.Series([score.rivals[name] if name in score.rivals else getattr(score, name) for score in scores], dtype=float)
    rows = pd.Series([score.rows for score in scores], dtype=float).where(shares.notna())
    right = (shares * rows).rolling(blocks, min_periods=1).sum()
    return (right / rows.rolling(blocks, min_periods=1).sum()).where(shares.notna()).tolist()


def _outline(edges: Sequence[Edge], heights: Sequence[tuple[float, ...]]) -> str:
    """A path over each run of blocks with defined heights: a step line for one height a block, a closed band for two."""
    parts = []
    for defined, group in groupby(zip(edges, heights, strict=True), key=lambda pair: all(map(math.isfinite, pair[1]))):
        if not defined:
            continue
        run = list(group)
        parts.append("M" + "L".join(f"{left} {level[0]}H{right}" for (left, right), level in run))
        if len(run[0][1]) == 2:
            parts.append("L" + "L".join(f"{right} {level[1]}H{left}" for (left, right), level in reversed(run)) + "Z")
    return "".join(parts)


def _line(middles: Sequence[float], heights: Sequence[float]) -> str:
    """A path through the defined heights, broken where one is undefined."""
    path, pen = [], "M"
    for x, y in zip(middles, heights, strict=True):
        if math.isfinite(y):
            path.append(f"{pen}{x} {y}")
        pen = "L" if math.isfinite(y) else "M"
    return "".join(path)
