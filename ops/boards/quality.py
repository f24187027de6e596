"""Data quality: are the rows valid, do records and labels arrive, and how old are the newest?"""

from __future__ import annotations

from typing import Final

from ops.boards import Board, Choice, Row
from ops.overview import CHANGED, STREAM, coverage_over_time
from ops.panels import GOOD, LOOK, NEUTRAL, OTHER, Panel, Query, chart, coloured, stacked, tile, timeline

OF_KIND: Final = {"prediction$": NEUTRAL, "label$": OTHER, "rejected$": LOOK}


def board() -> Board:
    """The board of the incoming rows, records and labels."""
    return Board(
        "quality",
        "driftloop: data quality",
        "Refused and invalid rows by reason, and the records and labels that arrive.",
        (Choice("stream", "Stream", "driftloop_stream_info"), Choice("reason", "Reason", "driftloop_rejected_rows_total")),
        (Row("Invalid rows", _rows()), Row("Missing and new values", _gaps()), Row("Records and labels", _records())),
    )


def _rows() -> tuple[Panel, ...]:
    reasons = Query('sum by (stream, reason) (rate(driftloop_rejected_rows_total{stream=~"$stream",reason=~"$reason"}[5m]))', "{{stream}} {{reason}}")
    return (
        timeline(
            "Verdict on the values",
            "yes: more rows than usual are refused or hold missing or impossible values. The alert DataQuality fires.",
            Query('driftloop_drift{stream=~"$stream",kind="quality"}', "{{stream}}: invalid values"),
            states=CHANGED,
            width=24,
            height=5,
        ),
        chart(
            "Invalid rows",
            "Share of the newest rows that were refused or hold a missing or impossible value.",
            Query(f"driftloop_invalid_share{STREAM}", "{{stream}}"),
            width=8,
            unit="percentunit",
        ),
        chart(
            "Refused rows",
            "Share of all incoming rows. The alert DataQuality fires above 5 %.",
            Query(f"stream:driftloop_rejected:share5m{STREAM}", "{{stream}}"),
            width=8,
            unit="percentunit",
            limit=0.05,
        ),
        stacked(chart("Refused rows by reason", "By the first fault of each row.", reasons, width=8, unit="rowsps", colour=LOOK)),
    )


def _gaps() -> tuple[Panel, ...]:
    return (
        chart(
            "Missing values by feature",
            "Share of the newest rows without a value, of streams whose model takes such rows. Whether it is more than in training is part of the p-value.",
            Query(f"driftloop_feature_missing_share{STREAM}", "{{stream}} {{feature}}"),
            unit="percentunit",
        ),
        chart(
            "New values by feature",
            "Share of the newest values that are texts which the model has not learned. It takes all of them as the same unknown category.",
            Query(f"driftloop_feature_unseen_share{STREAM}", "{{stream}} {{feature}}"),
            unit="percentunit",
            colour=LOOK,
        ),
    )


def _records() -> tuple[Panel, ...]:
    age = f"time() - driftloop_last_record_timestamp_seconds{STREAM}"
    return (
        tile(
            "Age of the newest record",
            "Time since the newest record of each kind. The alert NoLabels fires after a day without labels.",
            Query('time() - driftloop_last_record_timestamp_seconds{stream=~"$stream",kind!="rejected"}', "{{stream}} {{kind}}"),
            width=24,
            unit="s",
            steps=((None, GOOD), (86400, LOOK)),
        ),
        coloured(
            chart(
                "Records ingested",
                "By the monitor; each id counts once.",
                Query(f"sum by (stream, kind) (rate(driftloop_monitor_records_total{STREAM}[5m]))", "{{stream}} {{kind}}"),
                width=8,
                unit="rowsps",
            ),
            OF_KIND,
        ),
        coloured(
            chart("Age of the newest record over time", "Time since the newest record of each kind.", Query(age, "{{stream}} {{kind}}"), width=8, unit="s"),
            OF_KIND,
        ),
        coverage_over_time(),
        chart(
            "Labels not judged",
            "Early: their row is younger than the stream's label_delay. Late or corrected: they came after their block was judged, which is not judged again.",
            Query(f"driftloop_labels_not_judged{STREAM}", "{{stream}} {{reason}}"),
            width=24,
        ),
    )
