"""Writes the result of a watch as one self-contained HTML file: no network, no server, no library needed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from driftloop.errors import DriftloopError
from driftloop.metrics.results import WatchResult
from driftloop.report import block_table, kpi_words, page, segment_report, why_report, wording
from driftloop.system import places
from driftloop.system.files import replace_file

if TYPE_CHECKING:
    import plotly.graph_objects as go


def write_report(result: WatchResult, path: Path) -> Path:
    """Write the report of `result` to `path` atomically and return the path.

    Raises:
        DriftloopError: the file cannot be written.
    """
    html = report_html(result)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, html)
    except OSError as exc:
        raise _unwritable(path, exc.strerror) from exc
    return path


def check_place(path: Path) -> None:
    """Reject an unwritable path for the report before the work starts.

    Raises:
        DriftloopError: it is a folder, not writable, or the disk is full.
    """
    if reason := places.unwritable(path):
        raise _unwritable(path, reason)


def _unwritable(path: Path, reason: str | None) -> DriftloopError:
    return DriftloopError(f"the report cannot be written to {path}: {reason}; give another place")


def report_html(result: WatchResult) -> str:
    """The report of `result` as one HTML document; every name in it is escaped."""
    from driftloop.report import watch_plot  # loads plotly: only when a report is written

    write = kpi_words.of(result)
    compared = kpi_words.compared(result)
    return page.render(
        "watch.html",
        drawings(result),
        result=result,
        verdict=kpi_words.verdict(result),
        notes=kpi_words.reading_notes(result),
        compared=compared,
        longest=(max(filter(math.isfinite, [result.kpi, *compared.values()]), default=1.0) or 1.0) if write.plain else 1.0,
        kpi=write,
        columns=block_table.columns(result),
        why=result.explained,
        causes=why_report,
        segments=segment_report.sentence(result),
        segment_columns=segment_report.columns(result),
        segment_notes=segment_report.reading_notes(result),
        averaged=watch_plot.averaged(result.scores),
        starts={score.block: wording.moment(score.timestamp) for score in result.scores},
        ends={score.block: wording.moment(score.until) for score in result.scores},
    )


def drawings(result: WatchResult) -> dict[str, go.Figure]:
    """The plots of a result by the id of their element."""
    from driftloop.report import watch_plot  # loads plotly: only when a report is written

    made = {"plot-kpi": watch_plot.draw(result)} if result.scores else {}
    if result.by_segment:
        made["plot-segments"] = segment_report.draw(result)
    if result.explained:
        made["plot-why"] = why_report.draw(result.explained, result)
    return made
