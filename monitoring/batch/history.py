"""Lists all measured windows of a stream from the database: a table on the terminal, and a page.

    python -m monitoring history --stream taxi
    python -m monitoring history --stream taxi --html history.html

The page shows the KPI by window with its interval, threshold and baselines, what was found in each window, which features had moved, and where
versions and retrains began. `monitoring batch` measures windows.
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
        stream: its name.
        measures: of its windows, in any order; there may be none.
        retrains: those that are known; those of other streams are left out.
        reports: where the report of each window lies, by `Measures.id`.
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
    """A line a window in the order of time, under a header; then what was found in all."""
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
        measure_words.health(one),
        f"{one.labels.rows:,}",
        wording.percent(one.labels.coverage),
        versions,
        measure_words.moved(one),
    )


@dataclass(frozen=True)
class HistoryFlags(Flags):
    """The values of this command's flags."""

    stream: str = flag("elec", "name of the stream")
    mongodb_uri: str = flag("", "the database; empty: an embedded server", type=mongodb_uri)
    log_folder: Path = flag(FOLDER, "folder of the embedded server", type=Path)
    html: str = flag("", "write the page to this file; empty: no page")
    state: Path = flag(Path(".driftloop/retrains"), "the retrain hook's folder, for the retrains", type=Path)


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    parser = parsing.parser("monitoring history", __doc__)
    parsing.add_flags(parser, HistoryFlags, mongodb_uri=os.environ.get("MONGODB_URI", ""))
    return parser


def work(args: HistoryFlags) -> tuple[dict[str, Any], int]:
    """Read, print, write the page."""
    if args.html:
        check_place(Path(args.html))
    with open_log(args.mongodb_uri or None, folder=args.log_folder) as log:
        measures, reports = measure_store.read(log, args.stream), report_links.read(log, args.stream)
    if not measures:
        how = flow_command.measuring(args, stream=args.stream, window="last-month")
        raise DataError(f"stream {args.stream}: the database holds no measured window: look at the stream's name, or run {how}")
    print(text(measures))
    if args.html:
        pages.write(Path(args.html), page(args.stream, measures, retrains=remembered(args.state), reports=reports))
        print(args.html)
    return {"stream": args.stream, "windows": [one.as_json() | {"report": reports.get(one.id, "")} for one in measures]}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, HistoryFlags)
