"""The list of a stream's reports, as a page and a table, rebuilt from the database each time."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Final

from monitoring.batch.measures.window_measures import Measures
from monitoring.batch.report import batch_page, measure_words

COLUMNS: Final = (
    "window",
    "start",
    "stop",
    "rows",
    "labelled",
    "kpi",
    "lower",
    "upper",
    "drift",
    "kind",
    "verdict",
    "versions",
    "features_moved",
    "link",
    "health",
)


def table(measures: Sequence[Measures], links: Mapping[str, str]) -> str:
    """One CSV line for each window, oldest first; undefined values are empty, `link` is the report's URL if known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in measures:
        figures = [_number(value) for value in (one.kpi.value, one.kpi.lower, one.kpi.upper)]
        moved = " ".join(one.moved)
        told = [one.verdict.drift, one.verdict.kind, _text(one.verdict.sentence), " ".join(version.version for version in one.versions), moved]
        window = [one.window.name, one.window.start, one.window.stop]
        writer.writerow([*window, one.labels.rows, one.labels.labelled, *figures, *told, links.get(one.id, ""), one.answer.health])
    return out.getvalue()


def html(stream: str, measures: Sequence[Measures], links: Mapping[str, str]) -> str:
    """The same as a page, newest first; all names and values are escaped, and only safe URLs become links."""
    rows = [(one, batch_page.link(links.get(one.id, ""))) for one in reversed(measures)]
    return batch_page.render("index.html", {}, stream=stream, rows=rows, sentence=measure_words.of_all(measures))


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def _text(text: str) -> str:
    """The text, made safe from being read as a formula by a spreadsheet."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t"} else text
