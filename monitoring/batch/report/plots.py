"""What the plots of the report and of the history share: colours, the look, and a KPI over time with its threshold and baselines.

Figures are plotly's, in the light page's colours; the page exchanges them by `DARK` where it is dark.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import plotly.graph_objects as go

from driftloop.errors import DataError
from driftloop.report.kpi_words import Figures
from monitoring.batch.measures.window_measures import Interval
from monitoring.batch.report import measure_words
from monitoring.records.events import parse_time, time_text

INK, SOFT, RULE, PALE = "#1d2330", "#5b6475", "#dfe3ea", "#c6cdd8"
MODEL, INTERVAL, DRIFT, QUALITY = "#0072b2", "#8fc1de", "#d55e00", "#b58900"
RIVALS: Final = ("#7a7f87", "#00835f", "#9a7b00", "#b5568f")
DASHES: Final = ("dash", "dot", "dashdot", "longdashdot")
DARK: Final = {
    INK: "#e8ebf0",
    SOFT: "#a6afbd",
    RULE: "#363d4a",
    PALE: "#525c6d",
    MODEL: "#56b4e9",
    INTERVAL: "#35688a",
    DRIFT: "#ff8f45",
    QUALITY: "#e0b030",
    **dict(zip(RIVALS, ("#a2a8b2", "#45c49c", "#d0b040", "#de90bd"), strict=True)),
}
MOST_NAMED: Final = 8  # marks in a plot that are named in it
_GLYPHS: Final = {
    "circle": "●",
    "circle-open": "○",
    "square": "■",
    "diamond": "◆",
    "triangle-up": "▲",
    "triangle-up-open": "△",
    "triangle-down": "▼",
    "hexagram": "✶",
    "x": "✕",
}
_STROKES: Final = {None: "none", "dash": "8 4", "dot": "2 3", "dashdot": "8 3 2 3", "longdashdot": "12 3 2 3"}
_MARGIN: Final = {"l": 44, "r": 10, "t": 10, "b": 30}


@dataclass(frozen=True)
class Look:
    """How a kind of points is drawn and called."""

    name: str
    colour: str = MODEL
    symbol: str = "circle"
    bars: str = INTERVAL  # colour of the interval


@dataclass(frozen=True)
class Key:
    """A line of the legend; switches the trace with its number."""

    trace: int
    name: str
    colour: str
    glyph: str = ""  # of marks and bars
    dash: str = ""  # of a line: SVG's stroke-dasharray


@dataclass(frozen=True)
class Point:
    """The KPI of a block or a window at a time."""

    time: str
    kpi: Interval
    threshold: float
    baselines: dict[str, float]
    look: Look
    told: str  # when it is pointed at


def figure(**layout: Any) -> go.Figure:
    """An empty figure in the page's look; the browser sets its width."""
    axis = {"fixedrange": True, "gridcolor": RULE, "zeroline": False, "linecolor": RULE, "automargin": True}
    return go.Figure(
        layout={
            "template": go.layout.Template(),
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": SOFT},
            "margin": _MARGIN,
            "dragmode": False,
            "hovermode": "closest",
            "showlegend": False,  # the page has its own: plotly's takes the plot's place on a phone
            "xaxis": {**axis, "showgrid": False},
            "yaxis": axis,
            **layout,
        }
    )


def kpi_over_time(points: Sequence[Point], write: Figures, *, span: tuple[str, str], height: int = 340) -> go.Figure:
    """Points in time order with their intervals over the whole span, the threshold, and a line for each baseline."""
    made = figure(height=height, margin={**_MARGIN, "t": 24})
    scale, times = _scale(write), [point.time for point in points]
    _add_rivals(made, points, write, span=span)
    limits = [scale * point.threshold for point in points]
    line = {"color": INK, "width": 1.3, "shape": "hvh"}
    made.add_scatter(x=[span[0], *times, span[1]], y=[*limits[:1], *limits, *limits[-1:]], name="threshold", mode="lines", line=line, hoverinfo="skip")
    for look in dict.fromkeys(point.look for point in points):
        _add_points(made, [point for point in points if point.look == look], look, scale)
    made.update_xaxes(type="date", range=span)
    made.update_yaxes(ticksuffix="" if write.regression else " %")
    return made


def _add_rivals(made: go.Figure, points: Sequence[Point], write: Figures, *, span: tuple[str, str]) -> None:
    """A line for each baseline; that of a lone point goes over the whole span, as a line needs two ends."""
    times = [point.time for point in points] if len(points) > 1 else list(span)
    rivals = list(dict.fromkeys(name for point in points for name in point.baselines))
    for name, (colour, dash) in zip(rivals, itertools.cycle(zip(RIVALS, DASHES, strict=True))):
        values = [point.baselines.get(name, math.nan) for point in points] * (1 if len(points) > 1 else 2)
        told = [f"{measure_words.in_plot(measure_words.baseline(name))} {write.value(value, digits=2)}" for value in values]
        line = {"color": colour, "dash": dash, "width": 1.6}
        y = [_scale(write) * value for value in values]
        made.add_scatter(x=times, y=y, name=measure_words.baseline(name), mode="lines", line=line, hovertext=told, hoverinfo="text")


def _scale(write: Figures) -> float:
    """Accuracies are drawn in percent."""
    return 1.0 if write.regression else 100.0


def _add_points(made: go.Figure, points: Sequence[Point], look: Look, scale: float) -> None:
    made.add_scatter(
        x=[point.time for point in points],
        y=[scale * point.kpi.value for point in points],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [scale * (point.kpi.upper - point.kpi.value) for point in points],
            "arrayminus": [scale * (point.kpi.value - point.kpi.lower) for point in points],
            "color": look.bars,
            "thickness": 1.6,
            "width": 0,
        },
        name=look.name,
        mode="markers",
        marker={"color": look.colour, "symbol": look.symbol, "size": 7},
        hovertext=[point.told for point in points],
        hoverinfo="text",
    )


def mark(made: go.Figure, times: Sequence[tuple[str, str]]) -> None:
    """A vertical line at each (time, name); the names are written while they are few enough to be read. What is no time is left out."""
    known = [(time, name) for time, name in times if is_time(time)]
    for time, name in known:
        made.add_shape(type="line", x0=time, x1=time, y0=0, y1=1, yref="paper", line={"color": SOFT, "width": 1}, layer="below")
        if len(known) <= MOST_NAMED:
            place = {"x": time, "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
            made.add_annotation(**place, text=measure_words.in_plot(name), showarrow=False, font={"size": 12, "color": SOFT})


def keys(made: go.Figure) -> tuple[Key, ...]:
    """The legend of a figure: a key for each trace that has a name."""
    return tuple(_key(number, trace) for number, trace in enumerate(made.data) if trace.name)


def _key(number: int, trace: Any) -> Key:
    if trace.type == "scatter" and trace.mode == "lines":
        return Key(number, trace.name, trace.line.color, dash=_STROKES[trace.line.dash])
    return Key(number, trace.name, trace.marker.color, glyph=_GLYPHS[trace.marker.symbol if trace.type == "scatter" else "square"])


def is_time(text: str) -> bool:
    """Whether a text is a time: plotly would draw others somewhere."""
    try:
        parse_time(text)
    except DataError:
        return False
    return True


def middle(first: str, last: str) -> str:
    """The time between two times; the first when they are none.

    >>> middle("2020-04-01T00:00:00Z", "2020-04-03T00:00:00Z")
    '2020-04-02T00:00:00.000Z'
    """
    try:
        start: datetime = parse_time(first)
        return time_text(start + (parse_time(last) - start) / 2)
    except DataError:
        return first
