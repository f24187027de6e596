"""What Grafana shows: four pages of panels, each panel with the queries behind it. `ops.dashboards` writes them as Grafana reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Panel:
    """One panel: what it shows, why one looks at it, and its queries as (PromQL, legend)."""

    title: str
    description: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"  # Grafana's name of it
    low: float | None = None  # of the axis
    high: float | None = None
    kind: str = "timeseries"  # or stat: the newest values


@dataclass(frozen=True)
class Dashboard:
    """One page; its `uid` is its address and the name of its file."""

    uid: str
    title: str
    panels: tuple[Panel, ...]


def _share(title: str, description: str, *queries: tuple[str, str]) -> Panel:
    return Panel(title, description, queries, unit="percentunit", low=0, high=1)


S: Final = '{stream=~"$stream"}'

SERVICE = Dashboard(
    "service",
    "driftloop: service health",
    (
        Panel("Parts that answer", "1 when Prometheus can read a part's metrics.", (("up", "{{job}}"),), low=0, high=1, kind="stat"),
        Panel(
            "Model answers", "1 when TorchServe answered the last request; at 0 the fallback answers.", ((f"driftloop_model_up{S}", "{{stream}}"),), kind="stat"
        ),
        Panel("Requests", "Requests answered, by route.", (("route:driftloop_requests:rate5m", "{{route}}"),), unit="reqps", low=0),
        _share(
            "Failed requests", "Share of requests answered with a 5xx. The alert ServerErrors fires over 1 %.", ("route:driftloop_errors:share5m", "{{route}}")
        ),
        Panel(
            "Time to answer",
            "What the slowest of 2 and of 100 requests take.",
            (
                ("histogram_quantile(0.5, sum by (route, le) (rate(driftloop_request_seconds_bucket[5m])))", "{{route}} 50 %"),
                ("route:driftloop_request_seconds:p99_5m", "{{route}} 99 %"),
            ),
            unit="s",
            low=0,
        ),
        Panel(
            "Predictions",
            "Rows answered, by who answered.",
            ((f"sum by (stream, source) (rate(driftloop_predictions_total{S}[5m]))", "{{stream}} {{source}}"),),
            unit="rowsps",
            low=0,
        ),
        _share("Answered by the fallback", "The alert FallbackAnswers fires over 5 %.", (f"stream:driftloop_fallback:share5m{S}", "{{stream}}")),
        Panel(
            "Answered without enough context",
            "Rows for which a model with a history was given fewer rows before them than it wants: its answers are then worse than was judged.",
            ((f"sum by (stream, version) (rate(driftloop_rows_without_context_total{S}[5m]))", "{{stream}} version {{version}}"),),
            unit="rowsps",
            low=0,
        ),
        Panel(
            "Time per row",
            "As the records say, 99 % of rows.",
            ((f"histogram_quantile(0.99, sum by (stream, le) (rate(driftloop_latency_seconds_bucket{S}[5m])))", "{{stream}}"),),
            unit="s",
            low=0,
        ),
        Panel("Spool: waiting records", "Records that MongoDB or the monitor has not yet taken.", (("driftloop_spool_records", "{{consumer}}"),), low=0),
        Panel("Spool: oldest record", "The alert SpoolGrowing fires over two minutes.", (("driftloop_spool_oldest_seconds", "{{consumer}}"),), unit="s", low=0),
        Panel(
            "Spool: lost records",
            "They could not be written since the service began: a full disk. RecordsLost fires.",
            (("driftloop_lost_records_total", "lost"),),
            low=0,
        ),
        Panel("Spool: room taken", "Bytes on the disk.", (("driftloop_spool_bytes", "spool"),), unit="bytes", low=0),
        Panel(
            "Memory", "Of the two services' processes.", (('process_resident_memory_bytes{job=~"prediction_service|monitor"}', "{{job}}"),), unit="bytes", low=0
        ),
    ),
)

PERFORMANCE = Dashboard(
    "performance",
    "driftloop: model performance",
    (
        Panel(
            "KPI with its interval",
            "Of the version in use on its newest labelled rows, with the 95 % interval and the threshold. A point under the threshold is no drift yet.",
            (
                (f"driftloop_kpi{S}", "{{stream}} {{kpi}}, version {{version}}"),
                (f"driftloop_kpi_lower{S}", "{{stream}} lower"),
                (f"driftloop_kpi_upper{S}", "{{stream}} upper"),
                (f"driftloop_kpi_threshold{S}", "{{stream}} threshold"),
            ),
        ),
        Panel(
            "KPI beside what costs nothing",
            "A model under its baselines is worth nothing, whatever its threshold.",
            ((f"driftloop_kpi{S}", "{{stream}} model"), (f"driftloop_kpi_baseline{S}", "{{stream}} {{baseline}}")),
        ),
        Panel(
            "Evidence against the model",
            "Share of what an alarm takes: at 1 the alert KpiBelowThreshold fires.",
            ((f"driftloop_drift_evidence{S}", "{{stream}}"),),
            low=0,
        ),
        Panel(
            "KPI estimated without labels",
            "From the model's confidence, with the mean error of such estimates so far. Only to be believed where the next panel says 1.",
            (
                (f"driftloop_kpi_estimated{S}", "{{stream}} estimated"),
                (f"driftloop_kpi_estimate_error{S}", "{{stream}} its error"),
                (f"sum by (stream) (driftloop_kpi{S})", "{{stream}} measured"),
            ),
        ),
        Panel(
            "Estimate is trustworthy",
            "1 when it did clearly better than guessing the mean.",
            ((f"driftloop_kpi_estimate_trustworthy{S}", "{{stream}}"),),
            kind="stat",
        ),
        _share("Labels that have come", "Share of the newest predictions.", (f"driftloop_label_coverage{S}", "{{stream}}")),
        Panel("Version that answers", "1 for the version in use.", ((f"driftloop_model_version{S}", "{{stream}} version {{version}}"),), low=0, high=1),
        Panel(
            "Champion",
            "1 for the version that the registry calls champion. It must be the one that answers.",
            ((f"driftloop_champion_version{S}", "{{stream}} version {{version}}"),),
            low=0,
            high=1,
        ),
        Panel("Blocks judged", "Labelled blocks since the monitor's start.", ((f"driftloop_blocks_total{S}", "{{stream}}"),), low=0),
        Panel(
            "Newest retrain",
            "1 for what came of it: running, promoted, kept, failed or cut off. The alert RetrainFailed fires on failed.",
            ((f"driftloop_last_retrain{S}", "{{stream}} {{state}}"),),
            low=0,
            high=1,
        ),
        Panel("Retrains", "That alerts have asked for, by what came of them.", ((f"driftloop_retrains{S}", "{{stream}} {{state}}"),), low=0, kind="stat"),
    ),
)

QUALITY = Dashboard(
    "quality",
    "driftloop: data quality",
    (
        _share(
            "Invalid rows", "Share of the newest rows that were refused, or hold a missing or impossible value.", (f"driftloop_invalid_share{S}", "{{stream}}")
        ),
        _share("Refused rows", "Of all rows that came. The alert DataQuality fires over 5 %.", (f"stream:driftloop_rejected:share5m{S}", "{{stream}}")),
        Panel(
            "Refused rows by reason",
            "By the first thing wrong with each.",
            ((f"sum by (stream, reason) (rate(driftloop_rejected_rows_total{S}[5m]))", "{{stream}} {{reason}}"),),
            unit="rowsps",
            low=0,
        ),
        Panel(
            "Verdict on the quality",
            "1 while the monitor says that the values cannot be.",
            (('driftloop_drift{stream=~"$stream",kind="quality"}', "{{stream}}"),),
            kind="stat",
        ),
        Panel(
            "Records taken in",
            "By the monitor, each id once.",
            ((f"sum by (stream, kind) (rate(driftloop_monitor_records_total{S}[5m]))", "{{stream}} {{kind}}"),),
            unit="rowsps",
            low=0,
        ),
        Panel(
            "Time since the last record",
            "The alert NoLabels waits for a day.",
            ((f"time() - driftloop_last_record_timestamp_seconds{S}", "{{stream}} {{kind}}"),),
            unit="s",
            low=0,
        ),
    ),
)

DRIFT = Dashboard(
    "drift",
    "driftloop: drift",
    (
        Panel("Verdicts", "1 while the verdict of that kind holds.", ((f"driftloop_drift{S}", "{{stream}} {{kind}}"),), low=0, high=1),
        Panel(
            "Evidence against the model",
            "Share of what an alarm takes: at 1 the alert KpiBelowThreshold fires.",
            ((f"driftloop_drift_evidence{S}", "{{stream}}"),),
            low=0,
        ),
        Panel(
            "Distance of each feature",
            "Kolmogorov-Smirnov distance of the newest rows from the training rows.",
            ((f"driftloop_feature_distance{S}", "{{stream}} {{feature}}"),),
            low=0,
            high=1,
        ),
        Panel(
            "Could that be chance?",
            "Calibrated p-value of that distance, corrected for all features. Low: the feature has moved.",
            ((f"driftloop_feature_p_value{S}", "{{stream}} {{feature}}"),),
            low=0,
            high=1,
        ),
        Panel("Features that moved", "1 when the p-value says so.", ((f"driftloop_feature_moved{S}", "{{stream}} {{feature}}"),), kind="stat"),
        Panel(
            "Blocks to the threshold",
            "When the KPI will cross it, as an 80 % interval; infinite: not in sight.",
            ((f"driftloop_forecast_blocks{S}", "{{stream}} {{edge}}"),),
            low=0,
        ),
    ),
)

DASHBOARDS: Final = (SERVICE, PERFORMANCE, QUALITY, DRIFT)
