"""The plots of a report, as plotly figures in the light page's colours; the page exchanges them by `DARK` where it is dark."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Final

import plotly.graph_objects as go

from driftloop import wording
from monitoring.batch import words
from monitoring.batch.measures import FeatureMeasure, Measures

INK, SOFT, RULE, PALE = "#1d2330", "#5b6475", "#dfe3ea", "#c6cdd8"
MODEL, INTERVAL, DRIFT, QUALITY = "#0072b2", "#8fc1de", "#d55e00", "#b58900"
RIVALS: Final = ("#7a7f87", "#00835f", "#9a7b00", "#b5568f")
DASHES: Final = ("dash", "dot", "dashdot", "longdashdot")
DARK: Final = {
    INK: "#e8ebf0", SOFT: "#a6afbd", RULE: "#363d4a", PALE: "#525c6d", MODEL: "#56b4e9", INTERVAL: "#35688a", DRIFT: "#ff8f45", QUALITY: "#e0b030",
    **dict(zip(RIVALS, ("#a2a8b2", "#45c49c", "#d0b040", "#de90bd"), strict=True)),
}  # fmt: skip
MOST_MARKS: Final = 8  # switches of version that are named in a plot


def kpi_by_block(measures: Measures) -> go.Figure:
    """KPI of each block with its interval, the threshold, and each baseline on the same rows; a line marks each switch of version."""
    write, blocks = words.kpi(measures), measures.blocks
    scale = 1 if write.regression else 100
    times = [block.first_time for block in blocks]
    figure = _figure(height=390, margin={"l": 44, "r": 10, "t": 24, "b": 30}, legend={"orientation": "h", "y": -0.16, "yanchor": "top", "x": 0})
    names = list(dict.fromkeys(name for block in blocks for name in block.baselines))
    for name, (colour, dash) in zip(names, itertools.cycle(zip(RIVALS, DASHES, strict=True))):  # the styles come again
        values = [scale * block.baselines.get(name, math.nan) for block in blocks]
        told = [f"{words.in_plot(words.baseline(name))} {write.value(value / scale, digits=2)}" for value in values]
        line = {"color": colour, "dash": dash, "width": 1.6}
        figure.add_scatter(x=times, y=values, name=words.in_plot(words.baseline(name)), mode="lines", line=line, hovertext=told, hoverinfo="text")
    limit = scale * measures.threshold
    name = f"threshold {write.value(measures.threshold)}"
    span = [measures.window.start, measures.window.stop]
    figure.add_scatter(x=span, y=[limit] * 2, name=name, mode="lines", line={"color": INK, "width": 1.3}, hoverinfo="skip")
    for drift, name, colour, symbol in ((False, "model, 95 % interval", MODEL, "circle"), (True, "drift proven", DRIFT, "diamond")):
        some = [block for block in blocks if block.drift is drift]
        if some:
            figure.add_scatter(
                x=[block.first_time for block in some],
                y=[scale * block.kpi.value for block in some],
                error_y=_error([block.kpi for block in some], scale, INTERVAL if not drift else DRIFT),
                name=name,
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 7},
                hovertext=[words.block(write, block) for block in some],
                hoverinfo="text+x",
            )
    _mark_versions(figure, measures)
    figure.update_xaxes(type="date", range=span)
    return figure


def feature(measure: FeatureMeasure) -> go.Figure:
    """Shares of the bins: wide and pale the training reference, narrow and strong the window. All bins are drawn equally wide."""
    bins = words.shares(measure)
    names, places = [name for name, _, _ in bins], [number + 0.5 for number in range(len(bins))]
    figure = _figure(height=230, barmode="overlay", showlegend=False, bargap=0)
    strong = DRIFT if measure.moved else MODEL
    for number, width, colour, whose in ((1, 0.94, PALE, "reference"), (2, 0.5, strong, "window")):
        values = [float(one[number]) for one in bins]
        told = [f"{name}: {whose} {wording.with_sign(share, digits=1)}" for name, share in zip(names, values, strict=True)]
        figure.add_bar(x=places, y=[100 * share for share in values], width=width, marker={"color": colour}, hovertext=told, hoverinfo="text")
    figure.update_xaxes(**_bin_axis(measure, names))
    figure.update_yaxes(ticksuffix=" %", rangemode="tozero", nticks=5)
    return figure


def _bin_axis(measure: FeatureMeasure, names: Sequence[str]) -> dict[str, Any]:
    """Names under the categories; between the bins of numbers their bounds, not more than can be read."""
    axis: dict[str, Any] = {"range": [0, max(1, len(names))], "tickangle": 0}
    if measure.categorical:
        every = max(1, math.ceil(len(names) / 12))
        return axis | {"tickvals": [number + 0.5 for number in range(0, len(names), every)], "ticktext": [*names[:-1], "rest"][::every]}
    every = max(1, math.ceil(len(names) / 6))
    return axis | {"tickvals": list(range(0, len(measure.edges), every)), "ticktext": [f"{edge:.3g}" for edge in measure.edges[::every]]}


def _mark_versions(figure: go.Figure, measures: Measures) -> None:
    switches = [(after.first_time, after.version) for before, after in itertools.pairwise(measures.blocks) if before.version != after.version]
    for time, version in switches:
        figure.add_shape(type="line", x0=time, x1=time, y0=0, y1=1, yref="paper", line={"color": SOFT, "width": 1}, layer="below")
        if len(switches) <= MOST_MARKS:
            told = f"version {words.in_plot(version)}"
            figure.add_annotation(x=time, y=1, yref="paper", yanchor="bottom", xanchor="left", text=told, showarrow=False, font={"size": 12, "color": SOFT})


def _error(intervals: Sequence[Any], scale: float, colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [scale * (one.upper - one.value) for one in intervals],
        "arrayminus": [scale * (one.value - one.lower) for one in intervals],
        "color": colour,
        "thickness": 1.6,
        "width": 0,
    }


def _figure(**layout: Any) -> go.Figure:
    """An empty figure in the page's look; the browser sets its width."""
    axis = {"fixedrange": True, "gridcolor": RULE, "zeroline": False, "linecolor": RULE, "automargin": True}
    return go.Figure(
        layout={
            "template": go.layout.Template(),
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": SOFT},
            "margin": {"l": 44, "r": 10, "t": 10, "b": 30},
            "dragmode": False,
            "hovermode": "closest",
            "xaxis": {**axis, "showgrid": False},
            "yaxis": axis,
            **layout,
        }
    )
