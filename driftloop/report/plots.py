"""Shared parts of all reports' plots: colours, style, and a KPI over time with its threshold, baselines, versions and retrains.

Figures are plotly's, in the light page's colours; in dark mode the page replaces them by `DARK`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import plotly.graph_objects as go

from driftloop.report import wording
from driftloop.report.kpi_words import Figures

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
WITH_INTERVAL: Final = "95 % interval"
MANY: Final = 60  # number of points from which they are drawn smaller, on top of the intervals
LETTER: Final = 0.021  # width of a mark's letter as a share of the plot's, on a phone
LONGEST_MARK: Final = 10  # letters of a mark's name
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
    "line-ns": "┃",
}
_STROKES: Final = {None: "none", "dash": "8 4", "dot": "2 3", "dashdot": "8 3 2 3", "longdashdot": "12 3 2 3"}
_MARGIN: Final = {"l": 44, "r": 10, "t": 10, "b": 30}

Place = str | float  # on the axis: an ISO time, or a number where there are no times


@dataclass(frozen=True)
class Look:
    """The style and name of a kind of points or marks."""

    name: str
    colour: str = MODEL
    symbol: str = "circle"
    bars: str = INTERVAL  # colour of the interval


@dataclass(frozen=True)
class Key:
    """A legend entry; toggles the trace with its number."""

    trace: int
    name: str
    colour: str
    glyph: str = ""  # of marks and bars
    dash: str = ""  # of a line: SVG's stroke-dasharray
    shown: bool = True  # until it is switched


@dataclass(frozen=True)
class Point:
    """The KPI of a block or a window with its 95 % interval."""

    at: Place
    kpi: float
    lower: float
    upper: float
    threshold: float
    baselines: Mapping[str, float]
    look: Look
    told: str  # hover text


def figure(**layout: Any) -> go.Figure:
    """An empty figure in the page's style; the browser sets its width."""
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
            "showlegend": False,  # the page has its own: plotly's takes the plot's space on a phone
            "xaxis": {**axis, "showgrid": False},
            "yaxis": axis,
            **layout,
        }
    )


def kpi_over_time(points: Sequence[Point], write: Figures, *, span: tuple[Place, Place], height: int = 340, off: Collection[str] = ()) -> go.Figure:
    """Points in order with their intervals over the whole span, the threshold, and a line for each baseline; those in `off` are hidden until switched on."""
    made = figure(height=height, margin={**_MARGIN, "t": 24})
    scale, places, many = scale_of(write), [point.at for point in points], len(points) > MANY
    if many:
        _add_faint(made, points, scale)
    _add_rivals(made, points, write, span=span, off=off)
    limits = [scale * point.threshold for point in points]
    line = {"color": INK, "width": 1.3, "shape": "hvh"}
    made.add_scatter(x=[span[0], *places, span[1]], y=[*limits[:1], *limits, *limits[-1:]], name="threshold", mode="lines", line=line, hoverinfo="skip")
    if not many:
        for look, some in _by_look(points):
            _add_points(made, some, scale, name=look.name, error_y=_interval(some, look.bars, scale), **_told(look, some, size=7))
    # Years are only under their first month: on a phone, "Mar 1998" and its neighbours would be turned to fit.
    months = [{"dtickrange": ["M1", "M6"], "value": "%b\n%Y"}]
    made.update_xaxes(type="date" if isinstance(span[0], str) else "linear", range=span, tickformatstops=months if isinstance(span[0], str) else None)
    unit = {"text": wording.in_plot(write.unit, most=20), "font": {"size": 12}, "standoff": 6} if write.plain and write.unit else None
    made.update_yaxes(ticksuffix="" if write.plain else " %", title=unit)
    return made


def _add_rivals(made: go.Figure, points: Sequence[Point], write: Figures, *, span: tuple[Place, Place], off: Collection[str]) -> None:
    """A line for each baseline; for a single point over the whole span, as a line needs two ends."""
    places = [point.at for point in points] if len(points) > 1 else list(span)
    rivals = list(dict.fromkeys(name for point in points for name, kpi in point.baselines.items() if not math.isnan(kpi)))
    for name, (colour, dash) in zip(rivals, itertools.cycle(zip(RIVALS, DASHES, strict=True))):
        values = [point.baselines.get(name, math.nan) for point in points] * (1 if len(points) > 1 else 2)
        told = [f"{wording.in_plot(wording.baseline(name))} {write.value(value, digits=2)}" for value in values]
        made.add_scatter(
            x=places,
            y=[scale_of(write) * value for value in values],
            name=wording.baseline(name),
            mode="lines",
            line={"color": colour, "dash": dash, "width": 1.6},
            visible=name not in off,
            hovertext=told,
            hoverinfo="text",
        )


def scale_of(write: Figures) -> float:
    """Accuracies are drawn in percent."""
    return 1.0 if write.plain else 100.0


def _add_faint(made: go.Figure, points: Sequence[Point], scale: float) -> None:
    """Many points: small, on top of all intervals, so that the lines above stay visible."""
    ticks = {"color": INTERVAL, "symbol": "line-ns", "size": 1}
    _add_points(made, points, scale, name=WITH_INTERVAL, marker=ticks, hoverinfo="skip", error_y=_interval(points, INTERVAL, scale), opacity=0.5)
    for look, some in _by_look(points):
        size = 7 if len(some) <= MANY else 4 if len(points) <= 20 * MANY else 2.5
        name = look.name.removesuffix(f", {WITH_INTERVAL}")
        _add_points(made, some, scale, name=name, opacity=1 if size == 7 else 0.6, **_told(look, some, size=size))


def _by_look(points: Sequence[Point]) -> list[tuple[Look, list[Point]]]:
    return [(look, [point for point in points if point.look == look]) for look in dict.fromkeys(point.look for point in points)]


def _told(look: Look, points: Sequence[Point], *, size: float) -> dict[str, Any]:
    marker = {"color": look.colour, "symbol": look.symbol, "size": size}
    return {"marker": marker, "hovertext": [point.told for point in points], "hoverinfo": "text"}


def _add_points(made: go.Figure, points: Sequence[Point], scale: float, **look: Any) -> None:
    made.add_scatter(x=[point.at for point in points], y=[scale * point.kpi for point in points], mode="markers", **look)


def _interval(points: Sequence[Point], colour: str, scale: float) -> dict[str, Any]:
    return interval([(point.kpi, point.lower, point.upper) for point in points], colour, scale)


def interval(values: Sequence[tuple[float, float, float]], colour: str, scale: float) -> dict[str, Any]:
    """Error bars of (value, lower, upper)."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [scale * (upper - value) for value, _, upper in values],
        "arrayminus": [scale * (value - lower) for value, lower, _ in values],
        "color": colour,
        "thickness": 1.6,
        "width": 0,
    }


def mark_versions(made: go.Figure, versions: Sequence[tuple[Place, str]], *, span: tuple[Place, Place]) -> None:
    """A vertical line where each version begins to serve; its name where there is room. Invalid times are left out."""
    taken = -1.0  # right end of the names, as a share of the width
    for at, version in versions:
        share = _share(at, span)
        if math.isnan(share):
            continue
        made.add_shape(type="line", x0=at, x1=at, y0=0, y1=1, yref="paper", line={"color": SOFT, "width": 1}, layer="below")
        name = wording.in_plot(wording.version(version), most=LONGEST_MARK)
        room = LETTER * (1 + min(len(wording.version(version)), LONGEST_MARK))
        left = share if share + room <= 1 else share - room
        if left >= taken:
            place = {"x": at, "y": 1, "yref": "paper", "xanchor": "left" if left == share else "right", "yanchor": "bottom"}
            made.add_annotation(**place, text=name, showarrow=False, font={"size": 12, "color": SOFT})
            taken = left + room


def mark_retrains(made: go.Figure, retrains: Sequence[tuple[Place, bool, str]]) -> None:
    """Marks at the lower edge of the KPI's plot: position, whether the model was promoted, and hover text. Invalid times are left out."""
    for promoted, name, symbol in ((True, "retrain, promoted", "triangle-up"), (False, "retrain, not promoted", "triangle-up-open")):
        some = [(at, told) for at, state, told in retrains if state is promoted and (not isinstance(at, str) or moment(at))]
        if some:
            places, marker = [at for at, _ in some], {"color": INK, "symbol": symbol, "size": 9}
            told = [told for _, told in some]
            look = {"name": name, "mode": "markers", "marker": marker, "cliponaxis": False}  # one after the last block is on the edge
            made.add_scatter(x=places, y=[0.04] * len(some), hovertext=told, hoverinfo="text", yaxis="y3", **look)
    made.update_layout(yaxis3={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True})


def keys(made: go.Figure) -> tuple[Key, ...]:
    """The legend of a figure: a key for each trace that has a name."""
    return tuple(_key(number, trace) for number, trace in enumerate(made.data) if trace.name)


def _key(number: int, trace: Any) -> Key:
    if trace.type == "scatter" and trace.mode == "lines":
        return Key(number, trace.name, trace.line.color, dash=_STROKES[trace.line.dash], shown=trace.visible is not False)
    return Key(number, trace.name, trace.marker.color, glyph=_GLYPHS[trace.marker.symbol if trace.type == "scatter" else "square"])


def moment(text: str) -> datetime | None:
    """The time of a text, in UTC and without a zone; None where plotly would misplace it.

    >>> moment("2020-04-01T09:30:00+02:00"), moment("2020-W14-1")
    (datetime.datetime(2020, 4, 1, 7, 30), None)
    """
    try:
        found = datetime.fromisoformat(text) if text[4:8:3] == "--" else None
        return found.astimezone(UTC).replace(tzinfo=None) if found and found.tzinfo else found
    except (ValueError, OverflowError):
        return None


def middle(first: str, last: str) -> str:
    """The time between two times; the first if they are invalid.

    >>> middle("2020-04-01T00:00:00Z", "2020-04-03T00:00:00Z")
    '2020-04-02T00:00:00.000'
    """
    start, stop = moment(first), moment(last)
    return (start + (stop - start) / 2).isoformat(timespec="milliseconds") if start and stop else first


def _share(at: Place, span: tuple[Place, Place]) -> float:
    """The relative position in the span; nan if undefined."""
    if isinstance(at, str):
        place, first, last = moment(at), moment(str(span[0])), moment(str(span[1]))
        return (place - first) / (last - first) if place and first and last and last > first else math.nan
    return (at - float(span[0])) / (float(span[1]) - float(span[0]))
