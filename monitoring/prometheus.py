"""Declares all metrics of the prediction service, the monitor and the retrain hook; the only module that uses prometheus_client.

The monitor's values come from `online/state.py`.

An unknown value has no series: there is no `driftloop_kpi` before the first labels, and no p-value without enough rows. So no
metric is ever nan; a forecast of "not in sight" is +Inf. Labels are streams, features, versions and a few fixed words, never
ids or error texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass(frozen=True)
class Metric:
    """One metric as Prometheus sees it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One value of a gauge; label values in the declared order."""

    name: str
    labels: tuple[str, ...]
    value: float


SERVICE: Final = (
    Metric("driftloop_requests_total", "counter", "Requests answered, by HTTP status", ("route", "status")),
    Metric("driftloop_request_seconds", "histogram", "Time to answer a request", ("route",)),
    Metric("driftloop_predictions_total", "counter", "Rows answered; source is model or fallback", ("stream", "version", "source")),
    Metric("driftloop_rows_without_context_total", "counter", "Rows that the model answered with less context than its history", ("stream", "version")),
    Metric("driftloop_unseen_values_total", "counter", "Texts of a category that its model never saw; it answers as for another", ("stream", "feature")),
    Metric("driftloop_rejected_rows_total", "counter", "Rows refused, by the first thing wrong with them", ("stream", "reason")),
    Metric("driftloop_model_up", "gauge", "1 when the model answered the last request to it", ("stream",)),
    Metric("driftloop_model_resolve_failures_total", "counter", "Looks at a model_uri's alias that failed: the version at hand keeps answering", ("stream",)),
    Metric("driftloop_spool_records", "gauge", "Records not yet taken by mongodb or monitor", ("consumer",)),
    Metric("driftloop_spool_oldest_seconds", "gauge", "Age of the oldest of them", ("consumer",)),
    Metric("driftloop_spool_bytes", "gauge", "Bytes of the spool on the disk"),
    Metric("driftloop_lost_records_total", "counter", "Records that could not be written to the spool: the disk is full or failing"),
)
MONITOR: Final = (
    Metric("driftloop_stream_info", "gauge", "1 for each stream, with what its KPI is and its unit", ("stream", "task", "kpi", "unit")),
    Metric("driftloop_monitor_records_total", "counter", "Records taken in, each id once; kind is prediction, label or rejected", ("stream", "kind")),
    Metric("driftloop_latency_seconds", "histogram", "Time the prediction service took for a row, as its records say", ("stream",)),
    Metric("driftloop_kpi", "gauge", "KPI of the version in use on its newest labelled rows", ("stream", "version", "kpi")),
    Metric("driftloop_kpi_lower", "gauge", "Lower end of the KPI's 95 % interval, rows taken as independent", ("stream", "version", "kpi")),
    Metric("driftloop_kpi_upper", "gauge", "Upper end of the KPI's 95 % interval, rows taken as independent", ("stream", "version", "kpi")),
    Metric("driftloop_kpi_rows", "gauge", "Labelled rows that the KPI is measured on", ("stream", "version", "kpi")),
    Metric("driftloop_kpi_threshold", "gauge", "Worst KPI that is good enough", ("stream", "kpi")),
    Metric("driftloop_kpi_baseline", "gauge", "KPI of a trivial baseline on the same rows", ("stream", "kpi", "baseline")),
    Metric("driftloop_label_coverage", "gauge", "Share of the newest rows, with label_delay of those older than it, whose label has come, 0..1", ("stream",)),
    Metric(
        "driftloop_labels_not_judged",
        "gauge",
        "Labels not judged, by reason: early (row younger than label_delay), late or corrected (after its block was judged)",
        ("stream", "reason"),
    ),
    Metric("driftloop_kpi_estimated", "gauge", "KPI of the newest rows as estimated without labels", ("stream",)),
    Metric("driftloop_kpi_estimate_error", "gauge", "Mean absolute error of such estimates so far", ("stream",)),
    Metric("driftloop_kpi_estimate_trustworthy", "gauge", "1 when the estimate did clearly better than guessing the mean", ("stream",)),
    Metric(
        "driftloop_feature_distance",
        "gauge",
        "Distance of the newest rows from the training reference, 0..1: Kolmogorov-Smirnov, of categories total variation",
        ("stream", "feature"),
    ),
    Metric("driftloop_feature_p_value", "gauge", "Calibrated p-value of that distance, corrected for all features", ("stream", "feature")),
    Metric("driftloop_feature_moved", "gauge", "1 when that p-value is at most alpha", ("stream", "feature")),
    Metric("driftloop_feature_missing_share", "gauge", "Share of the newest rows without a value, of streams that take such rows, 0..1", ("stream", "feature")),
    Metric("driftloop_feature_unseen_share", "gauge", "Share of the newest values that are texts new to the model, 0..1", ("stream", "feature")),
    Metric("driftloop_invalid_share", "gauge", "Share of the newest rows that were refused or hold an impossible or missing value", ("stream",)),
    Metric("driftloop_drift", "gauge", "1 while the verdict of that kind holds: performance, data, concept, both or quality", ("stream", "kind")),
    Metric("driftloop_drift_evidence", "gauge", "Evidence against the model as a share of what an alarm takes: 1 alarms", ("stream",)),
    Metric("driftloop_segment_kpi", "gauge", "KPI of a segment's newest judged rows, of streams with segments: at most 50", ("stream", "segment")),
    Metric(
        "driftloop_segment_drift", "gauge", "1 when the segment has become worse, at one false-alarm rate over the stream's segments", ("stream", "segment")
    ),
    Metric("driftloop_fleet_alpha", "gauge", "False-alarm rate over all streams together; none where each alarms at its own"),
    Metric("driftloop_fleet_alarm", "gauge", "1 while the fleet's decision on the stream is an alarm", ("stream",)),
    Metric("driftloop_fleet_evidence", "gauge", "Evidence against the model as a share of what an alarm of the fleet takes: 1 alarms", ("stream",)),
    Metric(
        "driftloop_forecast_blocks",
        "gauge",
        "Blocks until the KPI crosses the threshold; edge early and late bound 80 %, +Inf not in sight",
        ("stream", "edge"),
    ),
    Metric("driftloop_model_version", "gauge", "1 for the version that answers now", ("stream", "version")),
    Metric("driftloop_champion_version", "gauge", "1 for the version that the registry calls champion", ("stream", "version")),
    Metric("driftloop_last_record_timestamp_seconds", "gauge", "When the newest record of a kind came, seconds since 1970", ("stream", "kind")),
    Metric("driftloop_blocks_total", "counter", "Labelled blocks judged", ("stream",)),
)
HOOK: Final = (
    Metric("driftloop_retrains", "gauge", "Retrains that the hook remembers, by what came of them", ("stream", "state")),
    Metric(
        "driftloop_last_retrain", "gauge", "1 for what came of the newest retrain: running, promoted, kept, retrained, failed or cut_off", ("stream", "state")
    ),
    Metric("driftloop_last_retrain_start_timestamp_seconds", "gauge", "When the newest retrain began, seconds since 1970", ("stream",)),
    Metric("driftloop_last_retrain_end_timestamp_seconds", "gauge", "When the newest retrain that is over ended, seconds since 1970", ("stream", "state")),
)
METRICS: Final = {metric.name: metric for metric in (*SERVICE, *MONITOR, *HOOK)}


class _Metrics:
    """Metrics in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # a second series for each counter that nothing reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def text(self) -> bytes:
        """The response to `/metrics`, of type `CONTENT_TYPE`."""
        return generate_latest(self.registry)

    def _counter(self, name: str) -> Counter:
        return Counter(name, METRICS[name].help, METRICS[name].labels, registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        return Gauge(name, METRICS[name].help, METRICS[name].labels, registry=self.registry)

    def _histogram(self, name: str) -> Histogram:
        return Histogram(name, METRICS[name].help, METRICS[name].labels, registry=self.registry, buckets=SECONDS)


class ServiceMetrics(_Metrics):
    """The prediction service's metrics; each attribute is used as in prometheus_client, `requests.labels("/predict", "200").inc()`.

    A spool gauge can take a function that is called at each scrape: `spool_bytes.set_function(spool.size_bytes)`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests = self._counter("driftloop_requests_total")
        self.request_seconds = self._histogram("driftloop_request_seconds")
        self.predictions = self._counter("driftloop_predictions_total")
        self.rows_without_context = self._counter("driftloop_rows_without_context_total")
        self.unseen_values = self._counter("driftloop_unseen_values_total")
        self.rejected_rows = self._counter("driftloop_rejected_rows_total")
        self.model_up = self._gauge("driftloop_model_up")
        self.resolve_failures = self._counter("driftloop_model_resolve_failures_total")
        self.spool_records = self._gauge("driftloop_spool_records")
        self.spool_oldest_seconds = self._gauge("driftloop_spool_oldest_seconds")
        self.spool_bytes = self._gauge("driftloop_spool_bytes")
        self.lost_records = self._counter("driftloop_lost_records_total")


class MonitorMetrics(_Metrics):
    """The monitor's metrics. `read` returns the current values of all gauges at each scrape: a stream, feature or version that is gone has none."""

    def __init__(self, read: Callable[[], Iterable[Sample]]) -> None:
        super().__init__()
        self.records = self._counter("driftloop_monitor_records_total")
        self.latency_seconds = self._histogram("driftloop_latency_seconds")
        self.blocks = self._counter("driftloop_blocks_total")
        self.registry.register(_Gauges(MONITOR, read))


class HookMetrics(_Metrics):
    """The retrain hook's metrics; `read` as in `MonitorMetrics`."""

    def __init__(self, read: Callable[[], Iterable[Sample]]) -> None:
        super().__init__()
        self.registry.register(_Gauges(HOOK, read))


class _Gauges(Collector):
    def __init__(self, metrics: Iterable[Metric], read: Callable[[], Iterable[Sample]]) -> None:
        self._metrics, self._read = [metric for metric in metrics if metric.kind == "gauge"], read

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return [_family(metric) for metric in self._metrics]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families = {metric.name: _family(metric) for metric in self._metrics}
        for sample in self._read():
            families[sample.name].add_metric(sample.labels, sample.value)
        yield from (family for family in families.values() if family.samples)


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
