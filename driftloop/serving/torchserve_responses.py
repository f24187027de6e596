"""Reads TorchServe's responses: the JSON, or the error message."""

from __future__ import annotations

from typing import Any

import requests

from driftloop.errors import ServingError


def parsed(response: requests.Response) -> Any:
    """The JSON value of an answer.

    Raises:
        ServingError: it is an error, or not JSON.
    """
    if not response.ok:
        raise ServingError(f"{response.request.method} {response.url}: HTTP {response.status_code}: {reason(response)}")
    try:
        return response.json()
    except requests.JSONDecodeError as exc:
        raise ServingError(f"{response.request.method} {response.url}: the answer is not JSON; is that a TorchServe?") from exc


def error_type(response: requests.Response) -> str:
    """The type of TorchServe's own error; "" for anything else."""
    try:
        return str(response.json().get("type", ""))
    except (requests.JSONDecodeError, AttributeError):
        return ""


def reason(response: requests.Response) -> str:
    """The message of TorchServe's or of the handler's error, on one line."""
    try:
        body = response.json()
        message = str(body.get("error", body).get("message", body))
    except (requests.JSONDecodeError, AttributeError):
        message = response.text
    return " ".join(message.split())[:300] or response.reason or "no reason given"
