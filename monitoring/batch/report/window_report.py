"""The report of one window as a self-contained HTML file, with plots of its KPI by block and of each feature's distribution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Final

import plotly.graph_objects as go

from driftloop.report import plots, wording
from monitoring.batch.measures.window_measures import FeatureMeasure, Measures
from monitoring.batch.report import batch_page, measure_words

MOST_LETTERS: Final = 36  # on an axis as narrow as a phone
LOOKS: Final = {False: plots.Look("model, 95 % interval"), True: plots.Look("drift proven", plots.DRIFT, "diamond", plots.DRIFT)}


def html(measures: Measures, *, index_url: str = "") -> str:
    """The report; all names and values in it are escaped.

    Args:
        measures: of the window; nan is shown as "–".
        index_url: of the list of the stream's reports; "" for none.
    """
    drawn = {f"plot-feature-{number}": _feature(one) for number, one in enumerate(measures.features, start=1) if one.reference or one.current}
    if any(math.isfinite(block.kpi.value) for block in measures.blocks):
        drawn = {"plot-kpi": _kpi_by_block(measures), **drawn}
    told, ahead = measures.verdict, measures.forecast
    return batch_page.render(
        "report.html",
        drawn,
        m=measures,
        kpi=measure_words.kpi(measures),
        rivals=list(dict.fromkeys(name for block in measures.blocks for name in block.baselines)),
        parts=math.isfinite(told.explained) or math.isfinite(told.rest),
        forecast=not all(map(math.isnan, (ahead.early, ahead.middle, ahead.late))),
        undefined=math.nan,
        index_url=batch_page.link(index_url),
    )


def _kpi_by_block(measures: Measures) -> go.Figure:
    """Plot the KPI of each block with its interval, the threshold, and the baselines on the same rows; lines mark new versions."""
    write, blocks = measure_words.kpi(measures), measures.blocks
    points = [
        plots.Point(
            plots.middle(block.first_time, block.last_time),
            block.kpi.value,
            block.kpi.lower,
            block.kpi.upper,
            measures.threshold,
            block.baselines,
            LOOKS[block.drift],
            measure_words.block(write, block),
        )
        for block in blocks
    ]
    span = measures.window.start, measures.window.stop
    figure = plots.kpi_over_time(points, write, span=span)
    switches = [(after.first_time, after.version) for before, after in itertools.pairwise(blocks) if before.version != after.version]
    plots.mark_versions(figure, switches, span=span)
    return figure


def _feature(measure: FeatureMeasure) -> go.Figure:
    """Plot the shares of the bins: the training reference wide and pale, the window narrow and strong. All bins are equally wide."""
    bins = measure_words.shares(measure)[:-1] if measure.categorical else measure_words.shares(measure)  # "all others" would dwarf the rest
    names, places = [name for name, _, _ in bins], [number + 0.5 for number in range(len(bins))]
    figure = plots.figure(height=230, barmode="overlay", showlegend=False, bargap=0)
    strong = plots.DRIFT if measure.moved else plots.MODEL
    for number, width, colour, whose in ((1, 0.94, plots.PALE, "reference"), (2, 0.5, strong, "window")):
        values = [float(one[number]) for one in bins]
        told = [f"{name}: {whose} {wording.with_sign(share, digits=1)}" for name, share in zip(names, values, strict=True)]
        figure.add_bar(x=places, y=[100 * share for share in values], width=width, marker={"color": colour}, hovertext=told, hoverinfo="text")
    figure.update_xaxes(**_bin_axis(measure, names))
    figure.update_yaxes(ticksuffix=" %", rangemode="tozero", nticks=5)
    return figure


def _bin_axis(measure: FeatureMeasure, names: Sequence[str]) -> dict[str, Any]:
    """Names under categories, bounds between bins of numbers; as many as are readable."""
    axis: dict[str, Any] = {"range": [0, max(1, len(names))], "tickangle": 0}
    if measure.categorical:
        every = max(1, math.ceil(len(names) / 12))
        return axis | {"tickvals": [number + 0.5 for number in range(0, len(names), every)], "ticktext": list(names[::every])}
    bounds = [f"{edge:.3g}" if math.isfinite(edge) else "" for edge in measure.edges]
    every = max(1, math.ceil(len(names) / min(6, MOST_LETTERS // max(1, *map(len, bounds)))))
    return axis | {"tickvals": list(range(0, len(bounds), every)), "ticktext": bounds[::every]}
