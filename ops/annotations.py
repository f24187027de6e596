"""What is marked on every chart: alerts while they fire, retrains, and the moments at which another version began to answer."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from ops.overview import FIRING_ANY, STREAM
from ops.panels import BAD, DATA_SOURCE, GOOD, NEUTRAL, OTHER

BEFORE: Final = "5m"  # longer than the step of a chart of a month, so that none of them steps over a change


class PrometheusAnnotation(models.AnnotationQuery):
    """An annotation with the settings of Prometheus' annotations, which Grafana's schema leaves to the data source.

    Args:
        name: as the switch on the board calls it.
        expr: each of its series is one annotation for as long as it is above 0.
        colour: of the mark.
        title, text: with labels of the series as `{{label}}`.
        at_value: the values are the times to be marked, in milliseconds since 1970.
    """

    def __init__(self, name: str, expr: str, *, colour: str, title: str, text: str, at_value: bool = False) -> None:
        super().__init__(name=name, datasource=DATA_SOURCE, icon_color=colour, expr=expr)
        self._of_prometheus = {"titleFormat": title, "textFormat": text, "tagKeys": "stream", "step": "15s", "useValueForTime": at_value}

    def to_json(self) -> dict[str, object]:
        """As the schema has it, and the data source's own settings."""
        return {**super().to_json(), **self._of_prometheus}


class _Made(Builder[models.AnnotationQuery]):
    def __init__(self, made: models.AnnotationQuery) -> None:
        self._made = made

    def build(self) -> models.AnnotationQuery:
        return self._made


def _changed() -> str:
    """1 for a version that answers now and did not a moment ago, when another one of its stream did."""
    before = f"driftloop_model_version{STREAM} offset {BEFORE}"
    return f"(driftloop_model_version{STREAM} unless on (stream, version) {before}) and on (stream) {before}"


ANNOTATIONS: Final[tuple[Builder[models.AnnotationQuery], ...]] = tuple(
    _Made(one)
    for one in (
        PrometheusAnnotation(
            "Alerts", f"max by (alertname, stream, severity) ({FIRING_ANY})", colour=BAD, title="{{alertname}}", text="{{stream}}, {{severity}}"
        ),
        PrometheusAnnotation(
            "Retrains started",
            f"1000 * driftloop_last_retrain_start_timestamp_seconds{STREAM}",
            colour=NEUTRAL,
            title="Retrain of {{stream}} started",
            text="An alert asked for it.",
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
        PrometheusAnnotation("Promotions", _changed(), colour=GOOD, title="{{stream}}: version {{version}} answers", text="It replaced the version before."),
    )
)
