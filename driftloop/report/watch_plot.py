"""Plots a watch: the served model's KPI by block over time, with the threshold, the baselines, the versions and the retrains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from driftloop.metrics import scoring
from driftloop.metrics.results import BlockScore, WatchResult
from driftloop.report import block_table, kpi_words, plots, wording

UNRETRAINED: Final = "base model, unretrained"
AVERAGES: Final = 40  # independent averages along the plot: 284 day blocks are averaged over 7
LOOKS: Final = {False: plots.Look("block, 95 % interval"), True: plots.Look("block, drift", plots.DRIFT, "diamond", plots.DRIFT)}
OFF: Final = ("majority", "majority class", "class shares of the training rows", scoring.CONSTANT)  # baselines hidden until switched on
PIXELS: Final = 440
FEW: Final = 10  # up to this many block numbers all are written

Edge = tuple[plots.Place, plots.Place]


def draw(result: WatchResult) -> go.Figure:
    """The plot of a result with at least one block; undefined figures leave gaps."""
    scores, write = result.scores, kpi_words.of(result)
    blocks, places = averaged(scores), edges(scores)
    lines = {name: average(scores, name, blocks) for name in (*scores[0].baselines, *([] if result.reference else [UNRETRAINED]))}
    cells = block_table.columns(result)
    points = [
        plots.Point(
            at=_middle(edge),
            kpi=score.kpi,
            lower=score.lower,
            upper=score.upper,
            threshold=score.threshold,
            baselines={name: values[at] for name, values in lines.items()},
            look=LOOKS[score.drift],
            told="<br>".join(f"{wording.in_plot(one.title)} {wording.in_plot(one.cell(score))}" for one in cells),
        )
        for at, (score, edge) in enumerate(zip(scores, places, strict=True))
    ]
    span = places[0][0], places[-1][1]
    made = plots.kpi_over_time(points, write, span=span, height=PIXELS, off=OFF)
    if blocks > 1:
        name = "model, average" if result.reference else "served model, average"
        served = [plots.scale_of(write) * value for value in average(scores, "", blocks)]
        line = {"color": plots.MODEL, "width": 2.6}
        made.add_scatter(x=[point.at for point in points], y=served, name=name, mode="lines", line=line, hoverinfo="skip")
    if not isinstance(span[0], str):
        made.update_xaxes(title={"text": "block", "font": {"size": 12}}, dtick=1 if len(scores) <= FEW else None)
    plots.mark_versions(made, [(edge[0], version) for version, edge in _first_edges(scores, places)], span=span)
    ends = {score.block: stop for score, (_, stop) in zip(scores, places, strict=True)}
    retrains = [record for record in result.retrains if record.block in ends]
    told = {True: "promoted", False: "not promoted"}
    plots.mark_retrains(made, [(ends[one.block], one.promoted, f"retrain after block {one.block}: {told[one.promoted]}") for one in retrains])
    return made


def averaged(scores: Sequence[BlockScore]) -> int:
    """Number of blocks over which the lines are averaged."""
    return max(7, len(scores) // AVERAGES) if len(scores) >= 3 * 7 else 1


def edges(scores: Sequence[BlockScore]) -> list[Edge]:
    """Where each block begins and ends: in time, or in block numbers where there is no usable time."""
    times = pd.to_datetime(pd.Series([score.timestamp for score in scores]), format="ISO8601", errors="coerce", utc=True)
    if not (len(times) > 1 and times.notna().all() and times.is_monotonic_increasing and times.is_unique):
        return [(score.block - 0.5, score.block + 0.5) for score in scores]
    starts = (times - times[0]).dt.total_seconds().to_numpy()
    # A block lasts until the next one starts, but not across a gap in the stream.
    usual = float(np.median(np.diff(starts)))
    stops = np.minimum(np.append(starts[1:], np.inf), starts + 2 * usual)
    stops[-1] = starts[-1] + usual
    return [(_after(times[0], start), _after(times[0], stop)) for start, stop in zip(starts, stops, strict=True)]


def _after(first: pd.Timestamp, seconds: float) -> str:
    return str((first + pd.Timedelta(seconds=seconds)).tz_localize(None).isoformat(timespec="milliseconds"))


def _middle(edge: Edge) -> plots.Place:
    start, stop = edge
    return plots.middle(start, stop) if isinstance(start, str) and isinstance(stop, str) else (float(start) + float(stop)) / 2


def _first_edges(scores: Sequence[BlockScore], places: Sequence[Edge]) -> list[tuple[str, Edge]]:
    """Each version with the edges of the first block of each of its stretches."""
    return [(version, next(group)[1]) for version, group in groupby(zip(scores, places, strict=True), key=lambda pair: pair[0].version)]


def average(scores: Sequence[BlockScore], name: str, blocks: int) -> list[float]:
    """A baseline's KPI, or with "" the served model's, over each block and those before it, `blocks` in all, weighted by rows.

    Trailing, not centred: a centred average would rise before the retrain that raised it. For the same
    reason the served model's restarts with each version.
    """
    if not name and len({score.version for score in scores}) > 1:
        parts = (list(part) for _, part in groupby(scores, key=lambda score: score.version))
        return [share for part in parts for share in average(part, name, blocks)]
    values = pd.Series([_of(score, name) for score in scores], dtype=float)
    rows = pd.Series([score.rows for score in scores], dtype=float).where(values.notna())
    total = (values * rows).rolling(blocks, min_periods=1).sum()
    return (total / rows.rolling(blocks, min_periods=1).sum()).where(values.notna()).round(6).tolist()


def _of(score: BlockScore, name: str) -> float:
    if not name:
        return score.kpi
    if name == UNRETRAINED:
        return score.kpi_unretrained
    return score.baselines.get(name, math.nan)
