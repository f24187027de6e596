"""Service health: do the parts answer, how fast, and is anything lost on the way to the log?"""

from __future__ import annotations

from typing import Final

from ops.overview import COUNT_OF_BAD, FIRING_ANY, STREAM, overview
from ops.panels import BAD, CHART, GOOD, LOOK, NEUTRAL, OTHER, Column, Panel, Query, chart, coloured, listing, stacked, tile, timeline
from ops.rows import Board, Choice, Row

UP: Final = ((1, "up", GOOD), (0, "down", BAD))
ANSWERS: Final = ((1, "answers", GOOD), (0, "fallback answers", BAD))
ROUTE: Final = '{route=~"$route"}'


def board() -> Board:
    """The board of the two services and of what they stand on."""
    return Board(
        "service",
        "driftloop: service health",
        "Parts, requests, latency and the spool between the prediction service and its log.",
        (Choice("stream", "Stream", "driftloop_model_up"), Choice("route", "Route", "driftloop_requests_total")),
        (
            Row("Overview: $stream", overview(), each_stream=True),
            Row("Services", _services()),
            Row("Alerts", _alerts()),
            Row("Requests", _requests()),
            Row("Predictions", _predictions()),
            Row("Spool and memory", _spool()),
        ),
    )


def _services() -> tuple[Panel, ...]:
    return (
        tile("Parts", "down: Prometheus cannot read the metrics of the part. The alert TargetDown fires.", Query("up", "{{job}}"), width=10, states=UP),
        tile(
            "Model",
            "Whether TorchServe answered the last request for a prediction; if not, the fallback answers.",
            Query(f"driftloop_model_up{STREAM}", "{{stream}}"),
            width=5,
            states=ANSWERS,
        ),
        tile("Requests", "Requests answered, over all routes.", Query("sum(route:driftloop_requests:rate5m)", "all"), width=3, unit="reqps"),
        tile(
            "Failed requests",
            "Largest share of requests of a route that were answered with a 5xx. The alert ServerErrors fires over 1 %.",
            Query("max(route:driftloop_errors:share5m)", "worst route"),
            width=3,
            unit="percentunit",
            steps=((None, GOOD), (0.01, BAD)),
        ),
        tile(
            "Latency, 99 %",
            "99 % of the requests to the slowest route were answered within this time.",
            Query("max(route:driftloop_request_seconds:p99_5m)", "slowest route"),
            width=3,
            unit="s",
        ),
        timeline("Parts over time", "down: the part's metrics could not be read.", Query("up", "{{job}}"), states=UP),
        timeline("Model over time", "Who answers: the model, or the fallback instead.", Query(f"driftloop_model_up{STREAM}", "{{stream}}"), states=ANSWERS),
    )


def _alerts() -> tuple[Panel, ...]:
    since = f"(time() - ALERTS_FOR_STATE) and ignoring (alertstate) {FIRING_ANY}"
    active = f'max by (alertname, severity, stream, what) (label_join({since}, "what", "", "job", "route", "consumer", "version"))'
    return (
        listing(
            "Firing alerts",
            "Alerts that fire now, the longest first; stream all: of the services. GET /api/v2/alerts of Alertmanager has their descriptions.",
            (Column("Active for", active, unit="s"),),
            width=10,
            height=7,
        ),
        timeline(
            "Alerts over time",
            "When each alert fired.",
            Query(f"max by (alertname, stream) ({FIRING_ANY})", "{{alertname}}: {{stream}}"),
            states=((1, "firing", BAD),),
            width=14,
            height=7,
        ),
    )


def _requests() -> tuple[Panel, ...]:
    return (
        chart("Requests by route", "Requests answered a second.", Query(f"route:driftloop_requests:rate5m{ROUTE}", "{{route}}"), unit="reqps"),
        chart(
            "Failed requests by route",
            "Share of requests answered with a 5xx. The alert ServerErrors fires over 1 %.",
            Query(f"route:driftloop_errors:share5m{ROUTE}", "{{route}}"),
            unit="percentunit",
            limit=0.01,
        ),
        coloured(
            chart(
                "Latency by route",
                "Time within which half and 99 % of the requests were answered.",
                Query(f"histogram_quantile(0.5, sum by (route, le) (rate(driftloop_request_seconds_bucket{ROUTE}[5m])))", "{{route}} 50 %"),
                Query(f"route:driftloop_request_seconds:p99_5m{ROUTE}", "{{route}} 99 %"),
                unit="s",
            ),
            {"50 %$": NEUTRAL, "99 %$": OTHER},
        ),
        chart(
            "Latency of a row by stream",
            "Time within which 99 % of the rows were answered, by the records in the log.",
            Query(f"histogram_quantile(0.99, sum by (stream, le) (rate(driftloop_latency_seconds_bucket{STREAM}[5m])))", "{{stream}}"),
            unit="s",
        ),
    )


def _predictions() -> tuple[Panel, ...]:
    by_source = Query(f"sum by (stream, source) (rate(driftloop_predictions_total{STREAM}[5m]))", "{{stream}} {{source}}")
    return (
        coloured(
            stacked(chart("Predictions by source", "Rows answered a second, by the model or by its fallback.", by_source, width=8, unit="rowsps")),
            {"model$": NEUTRAL, "fallback$": LOOK},
        ),
        chart(
            "Answered by the fallback",
            "Share of the rows. The alert FallbackAnswers fires over 5 %.",
            Query(f"stream:driftloop_fallback:share5m{STREAM}", "{{stream}}"),
            width=8,
            unit="percentunit",
            limit=0.05,
        ),
        chart(
            "Rows without enough context",
            "Rows that a model with a history answered with fewer preceding rows than its history: such answers are worse than the model was judged to be.",
            Query(f"sum by (stream, version) (rate(driftloop_rows_without_context_total{STREAM}[5m]))", "{{stream}} version {{version}}"),
            width=8,
            unit="rowsps",
            colour=LOOK,
        ),
    )


def _spool() -> tuple[Panel, ...]:
    return (
        chart("Spool: waiting records", "Records that MongoDB or the monitor has not taken yet.", Query("driftloop_spool_records", "{{consumer}}"), width=8),
        chart(
            "Spool: oldest record",
            "Age of the oldest waiting record. The alert SpoolGrowing fires over two minutes.",
            Query("driftloop_spool_oldest_seconds", "{{consumer}}"),
            width=8,
            unit="s",
            limit=120,
        ),
        chart("Spool: size on disk", "What the spool takes on the disk.", Query("driftloop_spool_bytes", "spool"), width=8, unit="bytes"),
        tile(
            "Lost records",
            "Records that could not be written since the service started: its disk is full or failing. The alert RecordsLost fires.",
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
