"""The report of one window as a self-contained HTML file, with plots of its KPI by block and of each feature's distribution."""

from __future__ import annotations

import itertools
import math
from typing import Final

import plotly.graph_objects as go

from driftloop.report import plots, segment_report
from monitoring.batch.measures.window_measures import Measures
from monitoring.batch.report import batch_page, feature_plot, measure_words

LOOKS: Final = {False: plots.Look("model, 95 % interval"), True: plots.Look("drift proven", plots.DRIFT, "diamond", plots.DRIFT)}


def html(measures: Measures, *, index_url: str = "") -> str:
    """The report; all names and values in it are escaped.

    Args:
        measures: of the window; nan is shown as "–".
        index_url: of the list of the stream's reports; "" for none.
    """
    drawn = {f"plot-feature-{number}": feature_plot.draw(one) for number, one in enumerate(measures.features, start=1) if one.reference or one.current}
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
        e_value=segment_report.e_value,
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
