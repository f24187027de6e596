"""Plots many windows: the KPI over time, coloured by health, with a symbol for the kind; below it the features that moved."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import plotly.graph_objects as go

from driftloop.report import plots, wording
from monitoring.batch.measures.window_measures import FeatureMeasure, Measures
from monitoring.batch.report import measure_words
from monitoring.retrain.retrain_outcome import PROMOTED, RETRAINED
from monitoring.retrain.retrains import Retrain

KPI_PIXELS: Final = 330
FEATURE_PIXELS: Final = 24  # a row of the heat map
MOST_FEATURES: Final = 40  # rows of the heat map; the tables have all
COLOURS: Final = {  # of each health: for the marker and its interval
    "good": (plots.MODEL, plots.INTERVAL),
    "not proven": (plots.QUALITY, plots.QUALITY),
    "drifted": (plots.DRIFT, plots.DRIFT),
    "no labels": (plots.RIVALS[0], plots.PALE),
}
SYMBOLS: Final = {"none": "circle", "data": "triangle-up", "concept": "triangle-down", "both": "hexagram", "quality": "square", "cannot tell": "x"}
SPANS: Final = {"months": r"\d{4}-\d\d", "days": r"\d{4}-\d\d-\d\d", "other windows": ".*"}
CELLS: Final = {"moved": plots.DRIFT, "not moved": plots.MODEL, "cannot tell": plots.PALE}


def spans(measures: Sequence[Measures]) -> dict[str, list[Measures]]:
    """The windows in time order, split into months, days and others, because windows of different length overlap."""
    found: dict[str, list[Measures]] = {name: [] for name in SPANS}
    for one in sorted(measures, key=lambda one: (one.window.start, one.window.stop)):
        found[next(name for name, form in SPANS.items() if re.fullmatch(form, one.window.name, re.DOTALL))].append(one)
    return {name: some for name, some in found.items() if some}


def switches(measures: Sequence[Measures]) -> list[tuple[str, str]]:
    """Time and name of each version after the first, from its first answer."""
    first: dict[str, str] = {}
    for one in measures:
        for version in one.versions:
            first[version.version] = min(version.first_time, first.get(version.version, version.first_time))
    return sorted((time, version) for version, time in first.items())[1:]


def features(measures: Sequence[Measures]) -> tuple[str, ...]:
    """Names of all features, sorted by the number of windows in which they moved, then by their largest distance."""
    far: dict[str, tuple[int, float]] = {}
    for one in measures:
        for feature in one.features:
            moved, distance = far.get(feature.feature, (0, 0.0))
            far[feature.feature] = (moved + feature.moved, max(distance, feature.distance if math.isfinite(feature.distance) else 0.0))
    return tuple(sorted(far, key=lambda name: far[name], reverse=True))


def draw(measures: Sequence[Measures], retrains: Sequence[Retrain] = ()) -> go.Figure:
    """Plot windows that do not overlap, in time order; at least one."""
    named = features(measures)[:MOST_FEATURES]
    heat = FEATURE_PIXELS * len(named)
    span = (measures[0].window.start, max(one.window.stop for one in measures))
    figure = plots.kpi_over_time([_point(one) for one in measures], measure_words.kpi(measures[-1]), span=span, height=KPI_PIXELS + heat)
    if heat:
        _add_heat(figure, measures, named, share=heat / (heat + KPI_PIXELS - 54))
    plots.mark_versions(figure, switches(measures), span=span)
    plots.mark_retrains(
        figure, [(one.until_time, one.state in {PROMOTED, RETRAINED}, _retrained(one)) for one in retrains if span[0] <= one.until_time <= span[1]]
    )
    return figure


def _add_heat(figure: go.Figure, measures: Sequence[Measures], named: Sequence[str], *, share: float) -> None:
    """Add one row per feature with a cell per window: the hue shows whether it moved, the opacity how far."""
    figure.update_yaxes(domain=[share, 1])
    row = {name: number for number, name in enumerate(reversed(named))}
    cells = [(one, feature) for one in measures for feature in one.features if feature.feature in row]
    farthest = max((feature.distance for _, feature in cells if math.isfinite(feature.distance)), default=0.0) or 1.0
    for kind, colour in CELLS.items():
        some = [(one, feature) for one, feature in cells if feature.found == kind]
        if some:
            strengths = [0.12 + 0.88 * feature.distance / farthest if math.isfinite(feature.distance) else 1.0 for _, feature in some]
            figure.add_bar(
                x=[_middle(one) for one, _ in some],
                width=[_milliseconds(one) for one, _ in some],
                base=[row[feature.feature] + 0.06 for _, feature in some],
                y=[0.88] * len(some),
                marker={"color": colour, "opacity": strengths},
                name=f"feature: {kind}",
                hovertext=[_cell_told(one, feature) for one, feature in some],
                hoverinfo="text",
                yaxis="y2",
            )
    figure.update_layout(
        barmode="overlay",
        yaxis2={
            "domain": [0, share - 0.06],
            "range": [0, len(named)],
            "tickvals": [number + 0.5 for number in row.values()],
            "ticktext": [wording.in_plot(name, most=16) for name in row],
            "tickfont": {"size": 11},
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
        },
    )
    figure.update_xaxes(anchor="y2")


def _retrained(one: Retrain) -> str:
    return f"retrain on rows before {wording.in_plot(one.until_time)}: {wording.in_plot(one.state)}"


def _cell_told(one: Measures, feature: FeatureMeasure) -> str:
    distance = f"{wording.in_plot(feature.statistic.upper())} {wording.number(feature.distance, digits=3)}"
    which = f"{wording.in_plot(one.window.name)}, {wording.in_plot(feature.feature)}"
    words = f" ({wording.in_plot(feature.words)})" if feature.words else ""
    return f"{which}: {feature.found}, {distance}{words}, p {wording.p_value(feature.corrected)}"


def _point(one: Measures) -> plots.Point:
    rivals = {name: interval.value for name, interval in one.baselines.items()}
    return plots.Point(_middle(one), one.kpi.value, one.kpi.lower, one.kpi.upper, one.threshold, rivals, _look(one), _told(one))


def _look(one: Measures) -> plots.Look:
    answer, (colour, bars) = one.answer, COLOURS[one.answer.health]
    in_sample = bool(answer.calm and measure_words.in_sample(one))
    return plots.Look(f"{answer.words}{', in-sample' * in_sample}", colour, "circle-open" if in_sample else SYMBOLS[answer.kind], bars)


def _told(one: Measures) -> str:
    write = measure_words.kpi(one)
    kpi = write.with_bounds(one.kpi.value, one.kpi)
    return f"{wording.in_plot(one.window.name)}: {kpi}, {wording.count(one.kpi.rows, 'row')}, {wording.in_plot(one.answer.words)}"


def _middle(one: Measures) -> str:
    return plots.middle(one.window.start, one.window.stop)


def _milliseconds(one: Measures) -> float:
    """Length of a window, as plotly needs it on a date axis; 0 if its times are invalid."""
    start, stop = plots.moment(one.window.start), plots.moment(one.window.stop)
    return (stop - start) / timedelta(milliseconds=1) if start and stop else 0.0
