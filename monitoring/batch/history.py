"""Lists all measured windows of a stream, as a table on the terminal and as an HTML page.

    python -m monitoring history --stream taxi
    python -m monitoring history --stream taxi --html history.html

The page shows each window's KPI with its interval, threshold and baselines, the kind of drift, the features that moved, and when versions and
retrains started. `monitoring batch` measures windows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags, flag
from driftloop.cli.flag_types import mongodb_uri
from driftloop.errors import DataError
from driftloop.report import terminal, wording
from driftloop.report.watch_report import check_place
from monitoring.batch import flow_command, measure_store
from monitoring.batch.measures.window_measures import Measures
from monitoring.batch.report import batch_page as pages
from monitoring.batch.report import measure_words, timeline
from monitoring.log import report_links
from monitoring.log.prediction_log import FOLDER, open_log
from monitoring.retrain.retrains import Retrain, remembered

HEADER = ("window", "found", "KPI", "95 %\ninterval", "thresh-\nold", "is it\ngood?", "rows", "labelled\n%", "version", "features\nmoved")


def page(stream: str, measures: Sequence[Measures], *, retrains: Sequence[Retrain] = (), reports: Mapping[str, str] | None = None) -> str:
    """The page of a stream; all names and values in it are escaped.

    Args:
        measures: of the stream's windows, in any order; possibly none.
        retrains: known retrains; those of other streams are ignored.
        reports: URL of each window's report, by `Measures.id`.
    """
    ordered = sorted(measures, key=lambda one: (one.window.start, one.window.stop))
    spans = timeline.spans(ordered)
    own = [one for one in retrains if one.stream == stream]
    return pages.render(
        "history.html",
        {f"plot-{number}": timeline.draw(some, own) for number, some in enumerate(spans.values(), start=1)},
        stream=stream,
        measures=ordered,
        last=max((one.window.stop for one in ordered), default=""),
        sentence=measure_words.of_all(ordered),
        spans=spans,
        rivals={name: list(dict.fromkeys(rival for one in some for rival in one.baselines)) for name, some in spans.items()},
        features={name: timeline.features(some) for name, some in spans.items()},
        retrains=own,
        reports={key: pages.link(url) for key, url in (reports or {}).items()},
    )


def text(measures: Sequence[Measures]) -> str:
    """A table with one line a window, in time order, then a summary."""
    tables = [terminal.table(HEADER, [_cells(one) for one in some], left={0, 1, 5, 8, 9}, widest=40) for some in timeline.spans(measures).values()]
    return "\n\n".join([*tables, measure_words.of_all(measures)])


def _cells(one: Measures) -> tuple[str, ...]:
    write = measure_words.kpi(one)
    versions = ", ".join(version.version for version in one.versions) or wording.UNDEFINED
    figures = write.value(one.kpi.value, digits=2), write.bounds(one.kpi), write.value(one.threshold, digits=2)
    return (
        one.window.name,
        measure_words.found(one),
        *figures,
        one.answer.health,
        f"{one.labels.rows:,}",
        wording.percent(one.labels.coverage),
        versions,
        measure_words.moved(one),
    )


@dataclass(frozen=True)
class HistoryFlags(Flags):
    """The flags of this command."""

    stream: str = flag("elec", "name of the stream")
    mongodb_uri: str = flag("", "MongoDB with the measures; empty: an embedded server", type=mongodb_uri)
    log_folder: Path = flag(FOLDER, "folder of the embedded server", type=Path)
    html: str = flag("", "write the page to this file; empty: no page")
    state: Path = flag(Path(".driftloop/retrains"), "the retrain hook's folder, to list its retrains", type=Path)


def build_parser() -> parsing.Parser:
    """The parser of this command."""
    parser = parsing.parser("monitoring history", __doc__)
    parsing.add_flags(parser, HistoryFlags, mongodb_uri=os.environ.get("MONGODB_URI", ""))
    return parser


def work(args: HistoryFlags) -> tuple[dict[str, Any], int]:
    """Print the table and write the page."""
    if args.html:
        check_place(Path(args.html))
    with open_log(args.mongodb_uri or None, folder=args.log_folder) as log:
        measures, reports = measure_store.read(log, args.stream), report_links.read(log, args.stream)
    if not measures:
        how = flow_command.measuring(args, stream=args.stream, window="last-month")
        raise DataError(f"stream {args.stream}: the database holds no measured window: check the stream's name, or run {how}")
    print(text(measures))
    if args.html:
        pages.write(Path(args.html), page(args.stream, measures, retrains=remembered(args.state), reports=reports))
        print(f"page: {args.html}")
    return {"stream": args.stream, "windows": [one.as_json() | {"report": reports.get(one.id, "")} for one in measures]}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, HistoryFlags)
