"""Plots how a feature is distributed: the training reference wide and pale, the window narrow and strong.

Numbers have bins that are equally wide on the page. Categories with a name have a line each, as names need the width of the page: the most
frequent on top, then all others, then the rows without a value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import plotly.graph_objects as go

from driftloop.report import plots, wording
from monitoring.batch.measures.window_measures import FeatureMeasure
from monitoring.batch.report import measure_words

MOST_LETTERS: Final = 36  # on an axis as narrow as a phone
LONGEST_NAME: Final = 20  # letters of a category's name
HEIGHT: Final = 230
LINE: Final = 26  # pixels of a category
_SIDES: Final = ((1, 0.94, "reference"), (2, 0.5, "window"))


def draw(measure: FeatureMeasure) -> go.Figure:
    """The shares of both sides in each bin or category."""
    return _lines(measure) if measure.names else _bins(measure)


def _bins(measure: FeatureMeasure) -> go.Figure:
    bins = measure_words.shares(measure)[:-1] if measure.categorical else measure_words.shares(measure)  # "all others" would dwarf the rest
    names, places = [name for name, _, _ in bins], [number + 0.5 for number in range(len(bins))]
    figure = plots.figure(height=HEIGHT, barmode="overlay", showlegend=False, bargap=0)
    for number, width, whose in _SIDES:
        values = [float(one[number]) for one in bins]
        told = [f"{name}: {whose} {wording.with_sign(share, digits=1)}" for name, share in zip(names, values, strict=True)]
        figure.add_bar(x=places, y=_percents(values), width=width, marker={"color": _colour(measure, whose)}, hovertext=told, hoverinfo="text")
    figure.update_xaxes(**_bin_axis(measure, names))
    figure.update_yaxes(ticksuffix=" %", rangemode="tozero", nticks=5)
    return figure


def _lines(measure: FeatureMeasure) -> go.Figure:
    lines, missing = measure_words.shares(measure), measure_words.missing(measure)
    places = [number + 0.5 for number in range(len(lines))]
    if missing:
        lines, places = [*lines, missing], [*places, len(lines) + 1.0]  # apart: a share of all rows, the others of those with a value
    names = [wording.in_plot(name, most=LONGEST_NAME) + " (new)" * (name in measure.new) for name, _, _ in lines]
    whole = [wording.in_plot(name) for name, _, _ in lines]
    figure = plots.figure(height=round(LINE * places[-1]) + 60, barmode="overlay", showlegend=False, bargap=0)
    for number, width, whose in _SIDES:
        values = [float(one[number]) for one in lines]
        told = [f"{name}: {whose} {wording.with_sign(share, digits=1)}" for name, share in zip(whole, values, strict=True)]
        look = {"marker": {"color": _colour(measure, whose)}, "hovertext": told, "hoverinfo": "text"}
        figure.add_bar(x=_percents(values), y=places, width=width, orientation="h", **look)
    figure.update_xaxes(type="linear", ticksuffix=" %", rangemode="tozero", nticks=5, showgrid=True)
    figure.update_yaxes(tickvals=places, ticktext=names, range=[places[-1] + 0.5, 0], showgrid=False, automargin=True)
    return figure


def _percents(shares: Sequence[float]) -> list[float]:
    return [100 * share for share in shares]


def _colour(measure: FeatureMeasure, whose: str) -> str:
    if whose == "reference":
        return plots.PALE
    return plots.DRIFT if measure.moved else plots.MODEL


def _bound(edge: float) -> str:
    """A bound in three digits, which thousands need no exponent for.

    >>> _bound(0.12345), _bound(10234.0), _bound(1.5e7)
    ('0.123', '10,200', '1.5e+07')
    """
    if not math.isfinite(edge):
        return ""
    short = f"{edge:.3g}"
    return f"{float(short):,.0f}" if 1e3 <= abs(edge) < 1e6 else short


def _bin_axis(measure: FeatureMeasure, names: Sequence[str]) -> dict[str, Any]:
    """Names under categories, bounds between bins of numbers; as many as are readable."""
    axis: dict[str, Any] = {"range": [0, max(1, len(names))], "tickangle": 0}
    if measure.categorical:
        every = max(1, math.ceil(len(names) / 12))
        return axis | {"tickvals": [number + 0.5 for number in range(0, len(names), every)], "ticktext": list(names[::every])}
    bounds = [_bound(edge) for edge in measure.edges]
    bounds[:2] = ["", *bounds[1:2]] if bounds[:1] == bounds[1:2] else bounds[:2]  # the lowest bin holds one value
    every = max(1, math.ceil(len(names) / min(6, MOST_LETTERS // (1 + max(map(len, bounds), default=0)))))
    return axis | {"tickvals": list(range(0, len(bounds), every)), "ticktext": bounds[::every]}
