"""The Flask app of the prediction service: routes, strict bodies, JSON errors, metrics. `monitoring.http.gunicorn` runs it under gunicorn.

    POST /predict       answers to one row or a list          GET /health        the process is alive; errors of the log
    POST /log           predictions of another system         GET /ready         who answers for each stream
    POST /labels        labels of earlier predictions, by id
    GET  /openapi.json  the API, for programs             GET /metrics       for Prometheus
    GET  /docs          the same for people                   GET /              an overview, with commands to paste

An error is {"error": {"code": "a fixed word", "message": "what is wrong and what to do"}}.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from flask import Flask, Response, g, request

from monitoring.http import pages, strict_json
from monitoring.http.answers import answer, error, new_app
from monitoring.http.gunicorn import CLOSE
from monitoring.prometheus import CONTENT_TYPE, ServiceMetrics
from monitoring.spool.writer import Spool
from monitoring.stream_settings import StreamConfig
from prediction_service import openapi
from prediction_service.answering import PredictionService, ServedStream
from prediction_service.background import Background
from prediction_service.fallback_tables import fetch
from prediction_service.front_page import TITLE, front
from prediction_service.log_requests import read_log
from prediction_service.requests import read_labels, read_predict
from prediction_service.row_forms import RowsError
from prediction_service.served_model import AskedModel, ServedModel
from prediction_service.service_settings import MAX_BODY_BYTES, Settings

CONSUMERS = ("mongodb", "monitor")  # of the spool


def create_app(settings: Settings) -> Flask:
    """The app, its spool open and its background thread running; `app.extensions[CLOSE]()` ends both."""
    metrics = ServiceMetrics()
    streams = {
        name: ServedStream(config, _model(config, settings, metrics), settings.fallbacks[name])
        for name, config in settings.streams.items()
        if not config.elsewhere
    }
    elsewhere = [config for config in settings.streams.values() if config.elsewhere]
    spool = None if settings.spool is None else Spool(settings.spool)
    service = PredictionService(streams, spool, metrics, elsewhere=elsewhere)
    watcher = Background(list(streams.values()), monitor_url=settings.monitor_url, fetch=fetch if settings.renew else None, every_s=settings.look_every_s)
    app = build_app(service, max_rows=settings.max_rows)
    for name, stream in streams.items():
        metrics.model_up.labels(name).set_function(partial(getattr, stream.model, "up"))
    if spool is not None:
        _watch_spool(metrics, spool)
    watcher.start()

    def close() -> None:
        watcher.close()
        for stream in streams.values():
            stream.model.close()
        if spool is not None:
            spool.close()

    app.extensions[CLOSE] = close
    return app


def _model(config: StreamConfig, settings: Settings, metrics: ServiceMetrics) -> AskedModel:
    if not config.model_uri:
        return ServedModel(settings.torchserve_url, config, timeout_s=settings.model_timeout_s)
    from prediction_service.registry_model.pyfunc_model import PyfuncModel  # MLflow takes seconds, and may be absent

    failures = metrics.resolve_failures.labels(config.name)
    return PyfuncModel(config, timeout_s=settings.model_timeout_s, every_s=settings.resolve_every_s, failed=failures.inc)


def _watch_spool(metrics: ServiceMetrics, spool: Spool) -> None:
    for consumer in CONSUMERS:
        metrics.spool_records.labels(consumer).set_function(partial(spool.length, consumer))
        metrics.spool_oldest_seconds.labels(consumer).set_function(partial(spool.oldest_s, consumer))
    metrics.spool_bytes.set_function(spool.size_bytes)


def build_app(service: PredictionService, *, max_rows: int) -> Flask:
    """The routes over a service; nothing is started."""
    app = new_app("prediction_service", max_bytes=MAX_BODY_BYTES, at_most=f"{max_rows:,} rows")
    _add_post_routes(app, service, max_rows=max_rows)
    _add_get_routes(app, service, max_rows=max_rows)
    _add_counting(app, service.metrics)
    return app


def _add_post_routes(app: Flask, service: PredictionService, *, max_rows: int) -> None:
    @app.post("/predict")
    def predict() -> Response:
        try:
            wanted = read_predict(strict_json.read_request(), service.configs, max_rows=max_rows)
        except RowsError as exc:
            service.reject(exc)
            raise
        answers = service.predict(wanted)
        return answer(answers[0] if wanted.single else {"predictions": answers})

    @app.post("/log")
    def log() -> Response:
        try:
            wanted = read_log(strict_json.read_request(), service.configs, max_rows=max_rows)
        except RowsError as exc:
            service.reject(exc)
            raise
        if not service.log(wanted):
            return error(503, "not_logged", "the predictions could not be stored: send them again later")
        return answer({"accepted": len(wanted.rows), "ids": [row.id for row in wanted.rows]}, 202)

    @app.post("/labels")
    def labels() -> Response:
        wanted = read_labels(strict_json.read_request(), service.configs, max_rows=max_rows)
        if not service.label(wanted):
            return error(503, "not_logged", "the labels could not be stored: send them again later")
        return answer({"accepted": len(wanted.labels)}, 202)


def _add_get_routes(app: Flask, service: PredictionService, *, max_rows: int) -> None:
    document = openapi.document(list(service.configs.values()), max_rows=max_rows)

    @app.get("/health")
    def health() -> Response:
        bad = bool(service.log_error)
        return answer({"status": "degraded" if bad else "ok", "log": {"error": service.log_error, "lost_records": service.lost}})

    @app.get("/ready")
    def ready() -> Response:
        return answer({"ready": True, "streams": {name: _readiness(service, name) for name in service.configs}})

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(service.metrics.text(), content_type=CONTENT_TYPE)

    @app.get("/openapi.json")
    def openapi_json() -> Response:
        return answer(document)

    @app.get("/docs")
    def docs() -> Response:
        return pages.page("openapi.html", package="prediction_service", title=f"{TITLE}: its API", document=document)

    @app.get("/")
    def root() -> Response:
        return pages.front(front(document, service, url=pages.own_url()))


def _readiness(service: PredictionService, name: str) -> dict[str, Any]:
    if name in service.elsewhere:
        versions = service.logged_versions[name]
        return {"answers": "elsewhere", "version": versions[-1] if versions else "", "fallback": "", "model_error": ""}
    stream = service.streams[name]
    reason = stream.fallback_reason
    return {"answers": "fallback" if reason else "model", "version": stream.model.version, "fallback": reason, "model_error": stream.model.error}


def _add_counting(app: Flask, metrics: ServiceMetrics) -> None:
    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "other"  # never the path itself: clients can send any number of them
        metrics.requests.labels(route, str(response.status_code)).inc()
        if "started" in g:
            metrics.request_seconds.labels(route).observe(time.perf_counter() - g.started)
        return response
