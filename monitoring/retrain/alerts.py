"""What Alertmanager sends to a webhook, checked strictly and cut down to what the retrain hook needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from jsonschema import Draft202012Validator

from driftloop.errors import DataError
from monitoring.records import events

MAX_BYTES: Final = 1_000_000
MOST_ALERTS: Final = 100  # in one message
_WORDS: Final = {"type": "string", "maxLength": 200}
_SCHEMA: Final = {
    "type": "object",
    "required": ["version", "status", "alerts"],
    "properties": {
        "version": {"const": "4"},
        "status": {"enum": ["firing", "resolved"]},
        "alerts": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_ALERTS,
            "items": {
                "type": "object",
                "required": ["status", "labels", "startsAt", "fingerprint"],
                "properties": {
                    "status": {"enum": ["firing", "resolved"]},
                    "labels": {
                        "type": "object",
                        "maxProperties": 50,
                        "required": ["alertname"],
                        "properties": {"stream": {"type": "string", "pattern": r"^[a-z][a-z0-9_]{0,39}$"}},
                        "additionalProperties": _WORDS,
                    },
                    "startsAt": {"type": "string", "maxLength": 40},
                    "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{1,32}$"},
                },
            },
        },
    },
}
_VALIDATOR: Final = Draft202012Validator(_SCHEMA)


@dataclass(frozen=True)
class Alert:
    """One alert. Sent again it has the same `key`; when it has ended and comes back, another one."""

    name: str
    stream: str  # "" when it has none
    action: str  # "retrain", or ""
    firing: bool
    fingerprint: str  # of its labels
    starts_at: str  # as records hold times

    @property
    def key(self) -> str:
        """What it is known by."""
        return f"{self.fingerprint}@{self.starts_at}"


def read_webhook(body: bytes) -> tuple[Alert, ...]:
    """The alerts in a webhook's body.

    Raises:
        DataError: the body is not what Alertmanager sends (its webhook format 4).

    >>> read_webhook(b'{"version": "3"}')
    Traceback (most recent call last):
    ...
    driftloop.errors.DataError: the body is no message of Alertmanager: 'status' is a required property
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        raise DataError("the body is not JSON") from exc
    fault = min(_VALIDATOR.iter_errors(value), key=lambda error: len(error.path), default=None)
    if fault is not None:
        raise DataError(f"the body is no message of Alertmanager: {fault.message[:200]}")
    return tuple(_alert(one) for one in value["alerts"])


def _alert(one: dict[str, Any]) -> Alert:
    labels = one["labels"]
    return Alert(
        name=labels["alertname"],
        stream=labels.get("stream", ""),
        action=labels.get("action", ""),
        firing=one["status"] == "firing",
        fingerprint=one["fingerprint"],
        starts_at=events.time_text(events.parse_time(one["startsAt"])),
    )


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
