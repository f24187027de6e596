"""What every chart marks: alerts while they fire, retrains, and when another version began to serve."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as models

from ops.overview import FIRING_ANY, STREAM
from ops.panels import BAD, DATA_SOURCE, GOOD, NEUTRAL, OTHER

BEFORE: Final = f"driftloop_model_version{STREAM} offset 5m"  # longer than the step of a month's chart, so that no change falls between two steps
CHANGED: Final = f"(driftloop_model_version{STREAM} unless on (stream, version) {BEFORE}) and on (stream) {BEFORE}"  # 1: serves now, another did before


class PrometheusAnnotation(models.AnnotationQuery):
    """An annotation with Prometheus' own settings, which Grafana's schema leaves to the data source.

    Args:
        name: as the switch on the board calls it.
        expr: each of its series is one annotation for as long as it is above 0.
        colour: of the mark.
        title, text: with labels of the series as `{{label}}`.
        at_value: the values are the times to mark, in milliseconds since 1970.
    """

    def __init__(self, name: str, expr: str, *, colour: str, title: str, text: str, at_value: bool = False) -> None:
        super().__init__(name=name, datasource=DATA_SOURCE, icon_color=colour, expr=expr)
        self._of_prometheus = {"titleFormat": title, "textFormat": text, "tagKeys": "stream", "step": "15s", "useValueForTime": at_value}

    def to_json(self) -> dict[str, object]:
        """The schema's fields and the data source's own settings."""
        return {**super().to_json(), **self._of_prometheus}


ANNOTATIONS: Final = (
    PrometheusAnnotation("Alerts", f"max by (alertname, stream, severity) ({FIRING_ANY})", colour=BAD, title="{{alertname}}", text="{{stream}}, {{severity}}"),
    PrometheusAnnotation(
        "Retrains started",
        f"1000 * driftloop_last_retrain_start_timestamp_seconds{STREAM}",
        colour=NEUTRAL,
        title="Retrain of {{stream}} started",
        text="Triggered by an alert.",
        at_value=True,
    ),
    PrometheusAnnotation(
        "Retrains ended",
        f"1000 * driftloop_last_retrain_end_timestamp_seconds{STREAM}",
        colour=OTHER,
        title="Retrain of {{stream}}: {{state}}",
        text="The performance board shows the versions.",
        at_value=True,
    ),
    PrometheusAnnotation("Promotions", CHANGED, colour=GOOD, title="{{stream}}: version {{version}} serves", text="It replaced the previous version."),
)
