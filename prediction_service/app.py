"""The Flask app of the prediction service: routes, strict bodies, JSON errors, metrics. `monitoring.web` runs it under gunicorn.

    POST /predict       answers to one row or a list          GET /health        the process is alive; what the log says
    POST /labels        labels of earlier predictions, by id  GET /ready         who answers for each stream
    GET  /openapi.json  this, for programs                    GET /metrics       for Prometheus

An error is {"error": {"code": "a fixed word", "message": "what is wrong and what to do"}}.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from monitoring.metrics import CONTENT_TYPE, ServiceMetrics
from monitoring.spool import Spool
from monitoring.web import CLOSE
from prediction_service import body, openapi
from prediction_service.body import RequestError
from prediction_service.model import ServedModel
from prediction_service.references import fetch
from prediction_service.rows import RowsError, read_labels, read_predict
from prediction_service.service import PredictionService, ServedStream
from prediction_service.settings import MAX_BODY_BYTES, Settings
from prediction_service.watch import Watcher

CONSUMERS = ("mongodb", "monitor")  # of the spool
WORDS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def create_app(settings: Settings) -> Flask:
    """The app with its spool opened and its background thread started; `app.extensions[CLOSE]()` ends both."""
    metrics = ServiceMetrics()
    streams = {
        name: ServedStream(config, ServedModel(settings.torchserve_url, config, timeout_s=settings.model_timeout_s), settings.fallbacks[name])
        for name, config in settings.streams.items()
    }
    spool = None if settings.spool is None else Spool(settings.spool)
    service = PredictionService(streams, spool, metrics)
    watcher = Watcher(list(streams.values()), monitor_url=settings.monitor_url, fetch=fetch if settings.renew else None, every_s=settings.look_every_s)
    app = build_app(service, max_rows=settings.max_rows)
    for name, stream in streams.items():
        metrics.model_up.labels(name).set_function(partial(getattr, stream.model, "up"))
    if spool is not None:
        _watch_spool(metrics, spool)
    watcher.start()

    def close() -> None:
        watcher.close()
        if spool is not None:
            spool.close()

    app.extensions[CLOSE] = close
    return app


def _watch_spool(metrics: ServiceMetrics, spool: Spool) -> None:
    for consumer in CONSUMERS:
        metrics.spool_records.labels(consumer).set_function(partial(spool.length, consumer))
        metrics.spool_oldest_seconds.labels(consumer).set_function(partial(spool.oldest_s, consumer))
    metrics.spool_bytes.set_function(spool.size_bytes)


def build_app(service: PredictionService, *, max_rows: int) -> Flask:
    """The routes over a service; nothing is started."""
    app = Flask("prediction_service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False  # no redirects: an unknown path is 404
    _add_post_routes(app, service, max_rows=max_rows)
    _add_get_routes(app, service, max_rows=max_rows)
    _add_errors(app)
    _add_counting(app, service.metrics)
    return app


def _add_post_routes(app: Flask, service: PredictionService, *, max_rows: int) -> None:
    @app.post("/predict")
    def predict() -> Response:
        try:
            wanted = read_predict(_body(), service.configs, max_rows=max_rows)
        except RowsError as exc:
            service.reject(exc)
            raise
        answers = service.predict(wanted)
        return _json(answers[0] if wanted.single else {"predictions": answers})

    @app.post("/labels")
    def labels() -> Response:
        wanted = read_labels(_body(), service.configs, max_rows=max_rows)
        if not service.label(wanted):
            return _error(503, "not_logged", "the labels could not be kept: send them again later")
        return _json({"accepted": len(wanted.labels)}, 202)


def _add_get_routes(app: Flask, service: PredictionService, *, max_rows: int) -> None:
    document = openapi.document(list(service.configs.values()), max_rows=max_rows)

    @app.get("/health")
    def health() -> Response:
        bad = bool(service.log_error)
        return _json({"status": "degraded" if bad else "ok", "log": {"error": service.log_error, "lost_records": service.lost}})

    @app.get("/ready")
    def ready() -> Response:
        return _json({"ready": True, "streams": {name: _readiness(stream) for name, stream in service.streams.items()}})

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(service.metrics.text(), content_type=CONTENT_TYPE)

    @app.get("/openapi.json")
    def openapi_json() -> Response:
        return _json(document)


def _readiness(stream: ServedStream) -> dict[str, Any]:
    reason = stream.why_fallback or ("" if stream.model.up else "model_unavailable")
    return {"answers": "fallback" if reason else "model", "version": stream.model.version, "fallback": reason, "model_error": stream.model.error}


def _body() -> Any:
    body.check_headers(request.headers.get("Content-Type"), request.headers.get("Content-Encoding"))
    try:
        content = request.get_data(cache=False)
    except OSError as exc:  # gunicorn's word for broken chunks, and for a client that left
        raise RequestError(400, "bad_body", "the body ended early, or its chunks are broken: send it whole") from exc
    return body.read_json(content)


def _add_errors(app: Flask) -> None:
    @app.errorhandler(RequestError)
    def refused(exc: RequestError) -> Response:
        return _error(exc.status, exc.code, exc.message)

    @app.errorhandler(HTTPException)
    def http_error(exc: HTTPException) -> Response:
        status = exc.code or 500
        response = _error(status, WORDS.get(status, "error"), exc.description or exc.name)
        if status == 405:
            response.headers["Allow"] = dict(exc.get_headers()).get("Allow", "")
        if status == 413:
            response.headers["Connection"] = "close"  # the rest of the body is not read
        return response

    @app.errorhandler(Exception)
    def surprise(exc: Exception) -> Response:
        app.logger.error("an error of our own", exc_info=exc)
        return _error(500, "internal", "an error of the service itself: its log says more")


def _add_counting(app: Flask, metrics: ServiceMetrics) -> None:
    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "other"  # never the path itself: anybody can think up another
        metrics.requests.labels(route, str(response.status_code)).inc()
        if "started" in g:
            metrics.request_seconds.labels(route).observe(time.perf_counter() - g.started)
        return response


def _error(status: int, code: str, message: str) -> Response:
    return _json({"error": {"code": code, "message": message}}, status)


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, allow_nan=False, separators=(",", ":")), status=status, content_type="application/json")
