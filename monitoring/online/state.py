"""The state of one stream at a moment, as a value, as JSON, and as Prometheus samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from driftloop.drift.answer import Answer, Standing
from driftloop.drift.estimate.confidence import Estimate
from driftloop.drift.forecast.crossing import Forecast
from driftloop.drift.inputs.distribution import FeatureTest
from driftloop.drift.verdict import Verdict
from driftloop.system.json_values import plain
from monitoring.fleet.evidence import FleetState
from monitoring.fleet.ranking import FleetRow
from monitoring.online.gaps import Gap
from monitoring.online.judging import Figure
from monitoring.online.label_progress import NO_DELAY, LabelCounts
from monitoring.online.segments.served_segments import SegmentKnown
from monitoring.prometheus import Sample
from monitoring.records.events import parse_time
from monitoring.stream_settings import StreamConfig

_REASONS = {
    "good": "the KPI is good enough",
    "not proven": "the KPI is not proven to be worse than its threshold",
    "no labels": "the KPI is unknown: no labels yet",
}


@dataclass(frozen=True)
class Known:
    """The state of one stream; None, nan or an empty tuple where unknown."""

    config: StreamConfig
    version: str  # in service; "" before the first prediction of a model
    champion: str  # of the registry; "" if not asked or none
    drift: dict[str, bool]  # whether it holds, for the KPI ("performance") and each kind that can be decided
    verdict: Verdict | None  # of the drift rule on the newest block
    told: Verdict | None  # the kind of the proven drift
    evidence: float | None
    note: str  # why something is unknown
    kpi: Figure
    baselines: dict[str, Figure]
    blocks: int  # judged, of the version in service
    newest_labelled: str  # newest time of a labelled row, by whoever answered; "" without one
    coverage: float  # share of the newest rows whose labels should have come that have one; nan without such rows
    estimate: Estimate | None
    forecast: Forecast | None
    features: tuple[FeatureTest, ...]
    gaps: tuple[Gap, ...]  # of streams with texts, booleans or missing values
    invalid: Figure  # share of the newest rows
    last: dict[str, str]  # by kind of record: when the newest came
    last_block: str = ""  # time of the last row of the newest judged block, of the version in service
    fleet: FleetState | None = None  # None without a rate over all streams, and before the first prediction
    labels: LabelCounts = NO_DELAY  # which are not judged
    segments: tuple[SegmentKnown, ...] = ()  # the worst first

    @property
    def answer(self) -> Answer:
        """Is the version bad, and why?"""
        kpi = self.kpi
        standing = Standing(kpi.value, kpi.lower, kpi.upper, self.config.goal, drifted=self.drift.get("performance", False))
        told = self.told.kind if self.told else "none"
        return Answer.of(standing, told=told, moved=self.drift.get("data", False), bad_data=self.drift.get("quality", False))

    @property
    def acceptable(self) -> tuple[bool, str]:
        """Whether the version may answer, and why; it may not while it drifts and the fallback is better on the same rows."""
        fallback = self.baselines.get("fallback")
        if not self.drift.get("performance"):
            return True, _REASONS[self.answer.health]
        if fallback is None:
            return True, "the KPI has drifted, but the fallback's answers on these rows are unknown"
        better = self.config.goal.task.better(fallback.value, self.kpi.value)
        figures = f"{self.config.kpi} {fallback.value:.3f} against {self.kpi.value:.3f} of version {self.version} on {fallback.rows} rows"
        return not better, f"the KPI has drifted, and the fallback is {'better' if better else 'no better'}: {figures}"

    def as_json(self) -> dict[str, Any]:
        """JSON values; undefined and infinite figures are null."""
        acceptable, reason = self.acceptable
        found = self.answer
        values = {
            "stream": self.config.name,
            "task": self.config.task,
            "version": self.version,
            "champion": self.champion,
            "drift": any(self.drift.values()),
            "health": found.health,
            "verdict": found.words,
            "kind": found.kind,
            "kinds": self.drift,
            "message": self.verdict.message if self.verdict else "no block is complete yet",
            "kind_message": self.told.message if self.told else "",
            "note": self.note,
            "evidence": self.evidence,
            "kpi": {"name": self.config.kpi, **asdict(self.kpi), "threshold": self.config.threshold},
            "baselines": {name: asdict(figure) for name, figure in self.baselines.items()},
            "acceptable": acceptable,
            "reason": reason,
            "blocks": self.blocks,
            "block_size": self.config.block_size,
            "newest_labelled_time": self.newest_labelled,
            "coverage": self.coverage,
            "labels": self.labels.as_json(),
            "estimate": self._estimate,
            "forecast": asdict(self.forecast) if self.forecast else None,
            "features": [asdict(test) for test in self.features],
            "gaps": [asdict(gap) for gap in self.gaps],
            "invalid": asdict(self.invalid),
            "segments": [asdict(segment) for segment in self.segments],
            "last": self.last,
            "fleet": {**asdict(self.fleet), "evidence": self.fleet.evidence} if self.fleet else None,
        }
        made: dict[str, Any] = plain(values)
        return made

    @property
    def fleet_row(self) -> FleetRow:
        """The stream's line in the list of all."""
        config, kpi = self.config, self.kpi
        decides = self._deciding
        return FleetRow(
            stream=config.name,
            model=config.model,
            version=self.version,
            kpi=config.kpi,
            value=kpi.value,
            lower=kpi.lower,
            upper=kpi.upper,
            rows=kpi.rows,
            threshold=config.threshold,
            unit=config.unit,
            blocks=self.blocks,
            last_block=self.last_block,
            evidence=decides.evidence,
            e_value=decides.e_value,
            alarm_at=decides.alarm_at,
            p_value=decides.p_value,
            verdict=self.answer.words,
            alpha=config.alpha,
            alarmed=self.drift.get("performance", False),
            alarmed_in_fleet=decides.alarmed if config.shared_alpha is not None else None,
        )

    @property
    def _deciding(self) -> FleetState:
        """The evidence that decides on an alert: the fleet's, else that of the stream's own rule."""
        own, alpha = self.verdict, self.config.alpha
        if self.fleet:
            return self.fleet
        if self.config.shared_alpha is not None or own is None or self.evidence is None:
            return FleetState(False, math.nan, math.nan, math.nan)
        if math.isnan(own.p_value):  # on probation since the alarm, or a block whose KPI is undefined: the e-value of before counts
            return FleetState(self.evidence >= 1, self.evidence / alpha, 1 / alpha, min(1.0, alpha / self.evidence) if self.evidence else 1.0)
        return FleetState(own.drift, own.statistic, own.threshold, own.p_value)

    @property
    def _estimate(self) -> dict[str, Any] | None:
        """The estimate, its value under the KPI's name."""
        found = self.estimate
        return {self.config.kpi: found.value, **{name: value for name, value in asdict(found).items() if name != "value"}} if found else None

    def samples(self) -> Iterator[Sample]:
        """One sample for each gauge with a value."""
        for name, labels, value in (*self._of_kpi(), *self._of_drift(), *self._of_inputs(), *self._of_versions()):
            if not math.isnan(value):
                yield Sample(name, (self.config.name, *labels), value)

    def _of_kpi(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        kpi = self.config.kpi
        yield "driftloop_stream_info", (self.config.task, kpi, self.config.unit), 1.0
        if self.version:
            yield "driftloop_kpi", (self.version, kpi), self.kpi.value
            yield "driftloop_kpi_lower", (self.version, kpi), self.kpi.lower
            yield "driftloop_kpi_upper", (self.version, kpi), self.kpi.upper
            if self.kpi.rows:
                yield "driftloop_kpi_rows", (self.version, kpi), float(self.kpi.rows)
        yield "driftloop_kpi_threshold", (kpi,), self.config.threshold
        for name, figure in self.baselines.items():
            yield "driftloop_kpi_baseline", (kpi, name), figure.value
        yield "driftloop_label_coverage", (), self.coverage
        for reason in ("early", "late", "corrected") if self.last else ():
            yield "driftloop_labels_not_judged", (reason,), float(getattr(self.labels, reason))
        if self.estimate:
            yield "driftloop_kpi_estimated", (), self.estimate.value
            yield "driftloop_kpi_estimate_error", (), self.estimate.error
            yield "driftloop_kpi_estimate_trustworthy", (), float(self.estimate.trustworthy)

    def _of_drift(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        for kind, holds in self.drift.items():
            yield "driftloop_drift", (kind,), float(holds)
        if self.evidence is not None:
            yield "driftloop_drift_evidence", (), self.evidence
        if self.config.shared_alpha is not None:  # also before the first block: else the alert would follow the stream's own rule
            yield "driftloop_fleet_alarm", (), float(bool(self.fleet and self.fleet.alarmed))
            yield "driftloop_fleet_evidence", (), self.fleet.evidence if self.fleet else math.nan
        for segment in self.segments:
            yield "driftloop_segment_kpi", (segment.name,), segment.kpi
            if not math.isnan(segment.e_value):
                yield "driftloop_segment_drift", (segment.name,), float(segment.drift)
        if self.forecast:
            for edge in ("early", "middle", "late"):
                yield "driftloop_forecast_blocks", (edge,), getattr(self.forecast, edge)

    def _of_inputs(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        for test in self.features:
            yield "driftloop_feature_distance", (test.feature,), test.distance
            yield "driftloop_feature_p_value", (test.feature,), test.corrected
            if not math.isnan(test.corrected):
                yield "driftloop_feature_moved", (test.feature,), float(test.moved)
        for gap in self.gaps:
            yield "driftloop_feature_missing_share", (gap.feature,), gap.missing
            yield "driftloop_feature_unseen_share", (gap.feature,), gap.unseen
        yield "driftloop_invalid_share", (), self.invalid.value

    def _of_versions(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        if self.version:
            yield "driftloop_model_version", (self.version,), 1.0
        if self.champion:
            yield "driftloop_champion_version", (self.champion,), 1.0
        for kind, when in self.last.items():
            yield "driftloop_last_record_timestamp_seconds", (kind,), parse_time(when).timestamp()
