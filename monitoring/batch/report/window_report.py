"""The report of one window as one self-contained HTML file: no network, no server, no library needed."""

from __future__ import annotations

import math

from monitoring.batch.measures.window_measures import Measures
from monitoring.batch.report import batch_page, measure_words, window_plots


def html(measures: Measures, *, index_url: str = "") -> str:
    """The report; all names and values in it are escaped.

    Args:
        measures: of the window; a figure that is nan is written "–".
        index_url: where the reports of the stream are listed; "" for nowhere.
    """
    plots = {f"plot-feature-{number}": window_plots.feature(one) for number, one in enumerate(measures.features, start=1) if one.reference or one.current}
    if any(math.isfinite(block.kpi.value) for block in measures.blocks):
        plots = {"plot-kpi": window_plots.kpi_by_block(measures), **plots}
    told, ahead = measures.verdict, measures.forecast
    return batch_page.render(
        "report.html",
        plots,
        m=measures,
        kpi=measure_words.kpi(measures),
        rivals=list(dict.fromkeys(name for block in measures.blocks for name in block.baselines)),
        parts=math.isfinite(told.explained) or math.isfinite(told.rest),
        forecast=not all(map(math.isnan, (ahead.early, ahead.middle, ahead.late))),
        undefined=math.nan,
        index_url=batch_page.link(index_url),
    )
