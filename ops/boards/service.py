"""Service health: do the services answer, how fast, and are records lost on the way to the log?"""

from __future__ import annotations

from typing import Final

from ops.boards import Board, Choice, Row
from ops.overview import COUNT_OF_BAD, FIRING_ANY, STREAM
from ops.panels import BAD, CHART, GOOD, LOOK, NEUTRAL, OTHER, Column, Panel, Query, chart, coloured, listing, stacked, tile, timeline

UP: Final = ((1, "up", GOOD), (0, "down", BAD))
ANSWERS: Final = ((1, "answers", GOOD), (0, "fallback answers", BAD))
ROUTE: Final = '{route=~"$route"}'


def board() -> Board:
    """The board of the services and their dependencies."""
    return Board(
        "service",
        "driftloop: service health",
        "Services, requests, latency and the spool between the prediction service and its log.",
        (Choice("stream", "Stream", "driftloop_model_up"), Choice("route", "Route", "driftloop_requests_total")),
        (
            Row("Services", _services()),
            Row("Alerts", _alerts()),
            Row("Requests", _requests()),
            Row("Predictions", _predictions()),
            Row("Spool and memory", _spool()),
        ),
    )


def _services() -> tuple[Panel, ...]:
    up, model = Query("up", "{{job}}"), Query(f"driftloop_model_up{STREAM}", "{{stream}}")
    return (
        tile("Targets", "down: Prometheus cannot scrape the service. The alert TargetDown fires.", up, width=10, states=UP),
        tile("Model", "Whether the model answered the last prediction request; if not, the fallback answers.", model, width=5, states=ANSWERS),
        tile("Requests", "Requests a second, over all routes.", Query("sum(route:driftloop_requests:rate5m)", "all"), width=3, unit="reqps"),
        tile(
            "Failed requests",
            "Share of requests answered with a 5xx, on the worst route. The alert ServerErrors fires above 1 %.",
            Query("max(route:driftloop_errors:share5m)", "worst route"),
            width=3,
            unit="percentunit",
            steps=((None, GOOD), (0.01, BAD)),
        ),
        tile(
            "Latency, 99th percentile",
            "99th percentile of the response time, on the slowest route.",
            Query("max(route:driftloop_request_seconds:p99_5m)", "slowest route"),
            width=3,
            unit="s",
        ),
        timeline("Targets over time", "down: Prometheus could not scrape the service.", up, states=UP),
        timeline("Model over time", "Whether the model or the fallback answers.", model, states=ANSWERS),
    )


def _alerts() -> tuple[Panel, ...]:
    since = f"(time() - ALERTS_FOR_STATE) and ignoring (alertstate) {FIRING_ANY}"
    active = f'max by (alertname, severity, stream, what) (label_join({since}, "what", "", "job", "route", "consumer", "version"))'
    return (
        listing(
            "Firing alerts",
            "Alerts that fire now, the oldest first; stream all: about the services. Descriptions: GET /api/v2/alerts of Alertmanager.",
            (Column("Active for", active, unit="s"),),
            width=10,
            height=7,
        ),
        timeline(
            "Alerts over time",
            "Periods in which each alert fired.",
            Query(f"max by (alertname, stream) ({FIRING_ANY})", "{{alertname}}: {{stream}}"),
            states=((1, "firing", BAD),),
            width=14,
            height=7,
        ),
    )


def _requests() -> tuple[Panel, ...]:
    return (
        chart("Requests by route", "Requests a second.", Query(f"route:driftloop_requests:rate5m{ROUTE}", "{{route}}"), unit="reqps"),
        chart(
            "Failed requests by route",
            "Share of requests answered with a 5xx. The alert ServerErrors fires above 1 %.",
            Query(f"route:driftloop_errors:share5m{ROUTE}", "{{route}}"),
            unit="percentunit",
            limit=0.01,
        ),
        coloured(
            chart(
                "Latency by route",
                "Median and 99th percentile of the response time.",
                Query(f"histogram_quantile(0.5, sum by (route, le) (rate(driftloop_request_seconds_bucket{ROUTE}[5m])))", "{{route}} 50 %"),
                Query(f"route:driftloop_request_seconds:p99_5m{ROUTE}", "{{route}} 99 %"),
                unit="s",
            ),
            {"50 %$": NEUTRAL, "99 %$": OTHER},
        ),
        chart(
            "Latency of a row by stream",
            "99th percentile of the time to answer a row, from the logged records.",
            Query(f"histogram_quantile(0.99, sum by (stream, le) (rate(driftloop_latency_seconds_bucket{STREAM}[5m])))", "{{stream}}"),
            unit="s",
        ),
    )


def _predictions() -> tuple[Panel, ...]:
    by_source = Query(f"sum by (stream, source) (rate(driftloop_predictions_total{STREAM}[5m]))", "{{stream}} {{source}}")
    return (
        coloured(
            stacked(chart("Predictions by source", "Rows a second, answered by the model or by its fallback.", by_source, width=8, unit="rowsps")),
            {"model$": NEUTRAL, "fallback$": LOOK},
        ),
        chart(
            "Answered by the fallback",
            "Share of the rows. The alert FallbackAnswers fires above 5 %.",
            Query(f"stream:driftloop_fallback:share5m{STREAM}", "{{stream}}"),
            width=8,
            unit="percentunit",
            limit=0.05,
        ),
        chart(
            "Rows without enough context",
            "Rows that a model with a history answered from too few preceding rows: such answers are worse than the model's measured KPI.",
            Query(f"sum by (stream, version) (rate(driftloop_rows_without_context_total{STREAM}[5m]))", "{{stream}} version {{version}}"),
            width=8,
            unit="rowsps",
            colour=LOOK,
        ),
        chart(
            "Texts new to the model",
            "Values a second of a category that the model did not learn from: it answers as for any other text.",
            Query(f"sum by (stream, feature) (rate(driftloop_unseen_values_total{STREAM}[5m])) > 0", "{{stream}} {{feature}}"),
            width=12,
            unit="cps",
            colour=LOOK,
        ),
        chart(
            "Aliases that could not be followed",
            "Failed looks at the alias of a model_uri in the last 15 minutes: the version at hand keeps answering; the prediction service's log says why.",
            Query(f"sum by (stream) (increase(driftloop_model_resolve_failures_total{STREAM}[15m])) > 0", "{{stream}}"),
            width=12,
            colour=LOOK,
        ),
    )


def _spool() -> tuple[Panel, ...]:
    return (
        chart("Spool: waiting records", "Records that MongoDB or the monitor has not received yet.", Query("driftloop_spool_records", "{{consumer}}"), width=8),
        chart(
            "Spool: oldest record",
            "Age of the oldest waiting record. The alert SpoolGrowing fires above two minutes.",
            Query("driftloop_spool_oldest_seconds", "{{consumer}}"),
            width=8,
            unit="s",
            limit=120,
        ),
        chart("Spool: size on disk", "Disk space used by the spool.", Query("driftloop_spool_bytes", "spool"), width=8, unit="bytes"),
        tile(
            "Lost records",
            "Records that could not be written since the service started, because its disk is full or failing. The alert RecordsLost fires.",
            Query("driftloop_lost_records_total", "lost"),
            width=8,
            height=CHART,
            steps=COUNT_OF_BAD,
        ),
        chart(
            "Memory",
            "Resident memory of the services.",
            Query('process_resident_memory_bytes{job=~"prediction_service|monitor|retrain_hook"}', "{{job}}"),
            width=16,
            unit="bytes",
            colour=OTHER,
        ),
    )
