"""The result of a watch as one HTML file that needs nothing else: no network, no server, no library.

The template holds the words, the style and a short script for pointing at a block; `chart`
holds the plot's geometry. A report of 284 blocks is about 150 kB.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from driftloop.errors import DriftloopError
from driftloop.metrics.results import WatchResult
from driftloop.report import chart, kpi_words, wording
from driftloop.system import places


def write_report(result: WatchResult, path: Path) -> Path:
    """Write the report of `result` to `path` and return it; an older report stays whole until the new one is.

    Raises:
        DriftloopError: the file cannot be written there.
    """
    html = report_html(result)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_text(html, encoding="utf-8", errors="backslashreplace")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as exc:
        raise _unwritable(path, exc.strerror) from exc
    return path


def check_place(path: Path) -> None:
    """Refuse a place where no report can be written, before the work that it reports on.

    Raises:
        DriftloopError: it is a folder, lies where no file can be made, or the disk is full.
    """
    if reason := places.unwritable(path):
        raise _unwritable(path, reason)


def _unwritable(path: Path, reason: str | None) -> DriftloopError:
    return DriftloopError(f"the report cannot be written to {path}: {reason}; give another place")


def report_html(result: WatchResult) -> str:
    """The report of `result` as one HTML document; every name in it is escaped."""
    write = kpi_words.of(result)
    environment = Environment(
        loader=PackageLoader("driftloop.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        result=result,
        verdict=kpi_words.verdict(result),
        notes=kpi_words.reading_notes(result),
        compared=[("base model, unretrained", result.kpi_without_retraining), *write.baselines(result).items()],
        longest=max(filter(math.isfinite, [result.kpi, result.kpi_without_retraining, *result.baselines.values()]), default=1.0) if write.regression else 1.0,
        kpi=write,
        lines=list(result.scores[0].rivals) if write.regression and result.scores else [],
        starts={score.block: wording.moment(score.timestamp) for score in result.scores},
        ends={score.block: wording.moment(score.until) for score in result.scores},
        chart=chart.draw(result),
        plot=chart,
        write=wording,
    )
