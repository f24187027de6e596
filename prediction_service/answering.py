"""Handles a request, without HTTP: calls the model or the fallback, and records the answer in the spool.

The client waits for the model and for one append to a local file (write(2)), never for the log's database or the monitor.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from driftloop.errors import DriftloopError, ServingError
from monitoring.fallback import Fallback
from monitoring.http.answers import RequestError
from monitoring.prometheus import ServiceMetrics
from monitoring.records import events
from monitoring.spool.writer import Spool
from monitoring.stream_settings import StreamConfig
from prediction_service.log_requests import LoggedRow, LogRequest
from prediction_service.requests import LabelRequest, PredictRequest, RequestRow
from prediction_service.row_forms import RowsError
from prediction_service.served_model import AskedModel, ModelAnswer, ModelAnswers

UNAVAILABLE, UNACCEPTABLE, INCOMPLETE = "model_unavailable", "model_unacceptable", "row_incomplete"
FALLBACKS = {
    UNAVAILABLE: "the model did not answer, or not in time, or the circuit before it is open",
    UNACCEPTABLE: "the monitor judges the version that serves worse than the fallback",
    INCOMPLETE: "a feature that may be null is null, and the model takes numbers only",
}
ELSEWHERE = "elsewhere"  # the source of predictions that another system made
MOST_VERSIONS, OTHER_VERSIONS = 50, "other"  # of a stream, as others log them, that are counted each for itself
LOG = logging.getLogger("prediction_service")


@dataclass(frozen=True)
class MonitorVerdict:
    """The monitor's verdict on a version: whether it may answer."""

    acceptable: bool = True
    version: str = ""


class ServedStream:
    """One stream: its model, its fallback, and which of the two answers. The background thread replaces `fallback` and `verdict`."""

    def __init__(self, config: StreamConfig, model: AskedModel, fallback: Fallback) -> None:
        self.config, self.model, self.fallback = config, model, fallback
        self.verdict = MonitorVerdict()

    @property
    def why_fallback(self) -> str:
        """Why the fallback will answer the next complete row; "" when the model will. A verdict holds only for the version it was reached on."""
        if not self.verdict.acceptable and self.verdict.version == self.model.version:
            return UNACCEPTABLE
        return UNAVAILABLE if self.model.open else ""

    @property
    def fallback_reason(self) -> str:
        """Why the fallback answers now, also before the model's first answer; "" when the model answers."""
        return self.why_fallback or ("" if self.model.up else UNAVAILABLE)

    def answer(self, request: PredictRequest) -> tuple[ModelAnswers, list[Any], str]:
        """The answers to the rows, the fallback's own answers, and why they were used ("" when they were not)."""
        features = [row.features for row in request.rows]
        baselines = [self.fallback.predict(row) for row in features]
        reason = self.why_fallback
        if (
            not reason
            and self.config.ours
            and not self.config.described
            and any(value is None for row in (*features, *request.context) for value in row.values())
        ):
            reason = INCOMPLETE
        if not reason:
            try:
                return self.model.ask(features, request.context), baselines, ""
            except ServingError as exc:
                LOG.warning("%s: the fallback answers: %s", self.config.name, exc)
                reason = UNAVAILABLE
        if self.config.model_uri and self.config.fallback is None:
            raise RequestError(503, reason, f"{FALLBACKS[reason]}, and the stream has no fallback: try again later")
        return ModelAnswers([ModelAnswer(baseline, None, None, "") for baseline in baselines], {}), baselines, reason


def _record(
    config: StreamConfig, row: RequestRow | LoggedRow, answer: ModelAnswer, baseline: Any, *, served_at: str, fallback: str, latency_ms: float
) -> dict[str, Any]:
    return events.Prediction(
        id=row.id,
        stream=config.name,
        time=row.time or served_at,
        served_at=served_at,
        model=config.model,
        version=answer.version,
        features=dict(row.features),
        prediction=answer.prediction,
        probability=answer.probability,
        probabilities=None if answer.probabilities is None else list(answer.probabilities),
        baseline=baseline,
        fallback=fallback,
        latency_ms=latency_ms,
    ).as_json()


def _logged(config: StreamConfig, row: LoggedRow, baseline: Any, *, served_at: str) -> dict[str, Any]:
    answer = ModelAnswer(row.prediction, row.probability, row.probabilities, row.version)
    return _record(config, row, answer, baseline, served_at=served_at, fallback="", latency_ms=0.0)  # the latency is not known


class PredictionService:
    """All streams by name, the spool, and the metrics; thread-safe. Without a log nothing is recorded: labels and others' predictions are refused.

    Args:
        streams: those whose model we serve.
        log: the spool.
        metrics: counts everything.
        elsewhere: those whose model another system serves.
    """

    def __init__(self, streams: Mapping[str, ServedStream], log: Spool | None, metrics: ServiceMetrics, *, elsewhere: Sequence[StreamConfig] = ()) -> None:
        self.streams = dict(streams)
        self.elsewhere = {config.name: config for config in elsewhere}
        self.configs = {name: stream.config for name, stream in self.streams.items()} | self.elsewhere
        self.logged_versions: dict[str, list[str]] = {name: [] for name in self.configs}  # by stream: those that others have logged, the newest last
        self.metrics = metrics
        self.lost = 0  # records that could not be written
        self.log_error = ""  # of the latest append; "" if it worked
        self._log = log
        self._lock = threading.Lock()

    def predict(self, request: PredictRequest) -> list[dict[str, Any]]:
        """Answer the rows; a full disk does not prevent this. Returns the JSON object of each row."""
        started = time.perf_counter()
        stream = self.streams[request.stream.name]
        answers, baselines, reason = stream.answer(request)
        self._count(request, answers, reason)
        if self._log is not None:
            took_ms, now = round((time.perf_counter() - started) * 1000, 3), events.now()
            answered = zip(request.rows, answers.rows, baselines, strict=True)
            self._append([_record(stream.config, *one, served_at=now, fallback=reason, latency_ms=took_ms) for one in answered])
        return [
            {
                "id": row.id,
                "stream": stream.config.name,
                "prediction": answer.prediction,
                "probability": answer.probability,
                "model": stream.config.model,
                "version": answer.version,
                "fallback": reason,
                "context_rows": answer.rows_before,
                "context_needed": answer.history,
            }
            for row, answer in zip(request.rows, answers.rows, strict=True)
        ]

    def label(self, request: LabelRequest) -> bool:
        """Put labels into the spool; False when that failed and nothing may be acknowledged."""
        now = events.now()
        return self._append([events.Label(id=name, stream=request.stream.name, label=label, labelled_at=now).as_json() for name, label in request.labels])

    def log(self, request: LogRequest) -> bool:
        """Put predictions of another system into the spool; False when that failed and nothing may be acknowledged."""
        now, config = events.now(), request.stream
        served = self.streams.get(config.name)
        baselines = [served.fallback.predict(row.features) if served else None for row in request.rows]
        if not self._append([_logged(config, row, baseline, served_at=now) for row, baseline in zip(request.rows, baselines, strict=True)]):
            return False
        for version, rows in Counter(row.version for row in request.rows).items():
            self.metrics.predictions.labels(config.name, self._counted(config.name, version), ELSEWHERE).inc(rows)
        return True

    def _counted(self, stream: str, version: str) -> str:
        """The version under which a prediction is counted: clients can send any number of them."""
        with self._lock:
            known = self.logged_versions[stream]
            if version in known:
                known.remove(version)
            elif len(known) >= MOST_VERSIONS:
                return OTHER_VERSIONS
            known.append(version)
        return version

    def reject(self, error: RowsError) -> None:
        """Count refused rows and log each."""
        now = events.now()
        for bad in error.bad:
            self.metrics.rejected_rows.labels(error.stream.name, bad.reason).inc()
        if self._log is not None:
            self._append([events.Rejected(bad.id, error.stream.name, now, bad.reason, bad.time, dict(bad.features)).as_json() for bad in error.bad])

    def _append(self, records: list[dict[str, Any]]) -> bool:
        if self._log is None:
            return False
        try:
            self._log.append(records)
        except (OSError, DriftloopError) as exc:
            with self._lock:
                if not self.log_error:
                    LOG.error("records are lost: %s", exc)
                self.lost += len(records)
                self.log_error = str(exc)
            self.metrics.lost_records.inc(len(records))
            return False
        self.log_error = ""
        return True

    def _count(self, request: PredictRequest, answers: ModelAnswers, reason: str) -> None:
        stream, source = request.stream.name, "fallback" if reason else "model"
        versions = [answer.version for answer in answers.rows]
        for version in set(versions):
            self.metrics.predictions.labels(stream, version, source).inc(versions.count(version))
            if not reason:
                short = [answer for answer in answers.rows if answer.version == version and answer.rows_before < (answer.history or 0)]
                self.metrics.rows_without_context.labels(stream, version).inc(len(short))  # 0 begins the series
        for feature in request.stream.features:
            if feature.texts:
                self.metrics.unseen_values.labels(stream, feature.name).inc(answers.unseen.get(feature.name, 0))
