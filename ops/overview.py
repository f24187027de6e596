"""The row of tiles that every board begins with, and the queries and states that several boards share."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.common import BigValueTextMode

from ops.panels import BAD, GOOD, LOOK, NEUTRAL, OTHER, Panel, Query, State, Step, chart, in_unit_of_stream, linked, tile

STREAM: Final = '{stream=~"$stream"}'
FIRING: Final = 'ALERTS{alertstate="firing",stream=~"$stream"}'
FIRING_ANY: Final = 'ALERTS{alertstate="firing",stream=~"$stream|all"}'  # all: of the services, of no stream

VERDICT: Final[tuple[State, ...]] = ((0, "ok", GOOD), (1, "drift", BAD))
CHANGED: Final[tuple[State, ...]] = ((0, "no", GOOD), (1, "yes", LOOK))
STATUS: Final[tuple[State, ...]] = ((0, "ok", GOOD), (1, "inputs changed", LOOK), (2, "drift", BAD))
SERVED: Final[tuple[State, ...]] = ((1, "served", NEUTRAL),)
CHAMPION: Final[tuple[State, ...]] = ((1, "champion", OTHER),)
COUNT_OF_BAD: Final[tuple[Step, ...]] = ((None, GOOD), (1, BAD))

COVERAGE: Final = (
    "Share of the newest rows whose label has arrived; of a stream with label_delay, of the rows that are older: early labels are seldom like the others."
)
EVIDENCE: Final = (
    "Evidence against the model, as a share of what an alarm needs (anytime-valid, over all blocks of the version). At 100 % the verdict is drift and the "
    "alert KpiBelowThreshold fires, unless the monitor has --fleet_alpha: then it follows the board fleet."
)


def overview() -> tuple[Panel, ...]:
    """Tiles of one stream, for a row that is repeated for each."""
    bad_inputs = 'driftloop_drift{stream=~"$stream",kind=~"data|quality"}'
    status = tile(
        "Status",
        "drift: the KPI is proven to be worse than its threshold. inputs changed: the inputs are distributed differently, or hold invalid values, "
        "while the KPI still holds. unknown: nothing could be judged yet.",
        Query(f'max by (stream) (2 * driftloop_drift{{stream=~"$stream",kind="performance"}} or {bad_inputs})', "{{stream}}"),
        width=4,
        states=STATUS,
    )
    kpi = tile(
        "KPI and threshold",
        "KPI of the served version on its newest labelled rows, and the worst value that is good enough. A single value beyond the threshold may be noise.",
        Query(f"driftloop_kpi{STREAM}", "{{kpi}}"),
        Query(f"driftloop_kpi_threshold{STREAM}", "threshold"),
        width=6,
    )
    margin = tile(
        "Margin to threshold",
        "By how much the KPI is better than its threshold, as a share of the threshold; below 0 it is worse.",
        Query(f"stream:driftloop_kpi_margin:ratio{STREAM}", "{{stream}}"),
        width=4,
        unit="percentunit",
        steps=((None, LOOK), (0, GOOD)),
    )
    covered = Query(f"driftloop_label_coverage{STREAM}", "{{stream}}")
    coverage = tile("Label coverage", f"{COVERAGE} The KPI says nothing about the others.", covered, width=4, unit="percentunit")
    version = Query(f"driftloop_model_version{STREAM}", "{{version}}")
    alerts = Query(f"count({FIRING}) or vector(0)", "alerts")
    return (
        linked(status, "Drift of $stream", "drift"),
        linked(in_unit_of_stream(kpi), "Model performance of $stream", "performance"),
        margin,
        linked(coverage, "Data quality of $stream", "quality"),
        tile("Version served", "Model version that serves now.", version, width=3).text_mode(BigValueTextMode.NAME),
        linked(tile("Firing alerts", "Alerts of this stream that fire now.", alerts, width=3, steps=COUNT_OF_BAD), "Service health", "service"),
    )


def coverage_over_time() -> Panel:
    """Label coverage as a chart, of all chosen streams."""
    return chart("Label coverage", COVERAGE, Query(f"driftloop_label_coverage{STREAM}", "{{stream}}"), width=8, unit="percentunit", high=1)
