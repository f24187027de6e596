"""Common behaviour of our HTTP services: JSON responses, one error format, a body size limit, unknown routes.

An error is {"error": {"code": "a fixed word", "message": "what is wrong and what to do"}}.
"""

from __future__ import annotations

import json
from typing import Any, Final

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, MethodNotAllowed, RequestEntityTooLarge

CODES: Final = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large", 500: "internal"}
_SHOWN: Final = 60  # characters of a path


class RequestError(Exception):
    """A rejected request: HTTP status (4xx), an error code for programs, a message for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def new_app(name: str, *, max_bytes: int, at_most: str) -> Flask:
    """An app without routes that returns all errors in our format.

    Args:
        name: of the service.
        max_bytes: of a body; see `read_body`.
        at_most: the limit in words for the error message, such as "1,000 rows".
    """
    app = Flask(name, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_bytes
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False  # no redirects: an unknown path is 404

    @app.errorhandler(RequestError)
    def refused(exc: RequestError) -> Response:
        return error(exc.status, exc.code, exc.message)

    @app.errorhandler(HTTPException)
    def http_error(exc: HTTPException) -> Response:
        status = exc.code or 500
        response = error(status, CODES.get(status, "error"), _message(exc, at_most=at_most))
        if isinstance(exc, MethodNotAllowed):
            response.headers["Allow"] = ", ".join(exc.valid_methods or ())
        if isinstance(exc, RequestEntityTooLarge):
            response.headers["Connection"] = "close"  # the rest of the body is not read
        return response

    @app.errorhandler(Exception)
    def surprise(exc: Exception) -> Response:
        app.logger.error("internal error", exc_info=exc)
        return error(500, CODES[500], "internal error: see the service's log")

    return app


def read_body() -> bytes:
    """The body of the request, with a Content-Length or chunked.

    Raises:
        HTTPException: 413, it is over the app's `max_bytes`.
        RequestError: 400, it is incomplete.
    """
    most = current_app.config["MAX_CONTENT_LENGTH"]
    request.max_content_length = most + 1  # werkzeug silently truncates a chunked body there
    try:
        content = request.get_data(cache=False)
    except (OSError, ClientDisconnected) as exc:  # broken chunks, or a disconnected client
        raise RequestError(400, "bad_body", "the body is incomplete or its chunks are broken: send it again") from exc
    if len(content) > most:
        raise RequestEntityTooLarge
    return content


def error(status: int, code: str, message: str) -> Response:
    """The response to a rejected request."""
    return answer({"error": {"code": code, "message": message}}, status)


def answer(value: Any, status: int = 200) -> Response:
    """A value as JSON; it must not contain nan."""
    return Response(json.dumps(value, allow_nan=False, separators=(",", ":")) + "\n", status=status, content_type="application/json")


def _message(exc: HTTPException, *, at_most: str) -> str:
    asked = f"{request.method} {_shown(request.path)}"
    if isinstance(exc, RequestEntityTooLarge):
        return f"the body is over {current_app.config['MAX_CONTENT_LENGTH']:,} bytes: send at most {at_most} per request"
    if isinstance(exc, MethodNotAllowed):
        return f"no route {asked}: use {', '.join(exc.valid_methods or ())}"
    if exc.code == 404:
        return f"no route {asked}; available: {', '.join(_routes())}"
    return f"invalid HTTP request: {exc.name}"


def _routes() -> list[str]:
    rules = list(current_app.url_map.iter_rules())
    return [f"{method} {rule.rule}" for rule in rules for method in sorted(rule.methods or ()) if method not in {"HEAD", "OPTIONS"}]


def _shown(path: str) -> str:
    """A path as ASCII, truncated: it is client input."""
    text = ascii(path)[1:-1]
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
