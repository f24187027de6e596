"""Reads the promotion log of the streams' models from the registry, for GET /promotions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response, request

from driftloop.errors import DataError, TrackingError
from monitoring.http.answers import RequestError, answer

if TYPE_CHECKING:
    from driftloop.tracking.promotions.promotion_log import Promotion

MOST: Final = 200  # newest decisions in one answer
Log = Callable[[str], Iterable["Promotion"]]
"""Returns the decisions on a registered model, newest first; may raise TrackingError or DataError."""


def add_route(app: Flask, models: Mapping[str, str], log: Log | None) -> None:
    """Add GET /promotions, all streams together or with ?stream= one, newest first.

    Args:
        app: gets the route.
        models: the registered model of each stream.
        log: reads a model's log; None where the monitor has no registry.
    """

    @app.get("/promotions")
    def promotions() -> Response:
        asked = request.args.getlist("stream")
        if len(asked) > 1 or (asked and asked[0] not in models):
            raise RequestError(404, "unknown_stream", f"give one stream at most; available: {', '.join(models)}")
        if log is None:
            raise RequestError(404, "no_registry", "this monitor was started without an MLflow store: give it --tracking_uri")
        wanted = asked or list(models)
        try:
            found = [_entry(stream, models[stream], one) for stream in wanted for one in log(models[stream])]
        except TrackingError as exc:
            raise RequestError(503, "registry_away", str(exc)) from exc
        except DataError as exc:
            raise RequestError(500, "bad_log", str(exc)) from exc
        found.sort(key=lambda entry: entry["at"], reverse=True)
        return answer({"promotions": found[:MOST], "total": len(found)})


def _entry(stream: str, model: str, one: Promotion) -> dict[str, Any]:
    values = asdict(one)
    rows = {"first": one.rows[0], "stop": one.rows[1]} if one.rows else None
    return {"stream": stream, "model": model, "from": values.pop("before"), "to": values.pop("after"), **values, "rows": rows}
