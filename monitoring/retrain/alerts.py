"""Parses Alertmanager's webhook messages strictly, keeping what the retrain hook needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from driftloop.errors import DataError
from monitoring.records.checks import Time

MAX_BYTES: Final = 1_000_000
MOST_ALERTS: Final = 100  # in one message
MOST_LABELS: Final = 50  # of one alert
_Words = Annotated[str, Field(strict=True, max_length=200)]
_Status = Literal["firing", "resolved"]


def _few(labels: Any) -> Any:
    if isinstance(labels, dict) and len(labels) > MOST_LABELS:
        raise ValueError(f"more than {MOST_LABELS} labels")
    return labels


class _Labels(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Words]

    alertname: _Words
    stream: Annotated[str, Field(strict=True, pattern="^[a-z][a-z0-9_]{0,39}$")] = ""
    action: _Words = ""


class _Sent(BaseModel):
    status: _Status
    labels: Annotated[_Labels, BeforeValidator(_few)]
    startsAt: Time
    fingerprint: Annotated[str, Field(strict=True, pattern="^[0-9a-f]{1,32}$")]


class _Message(BaseModel):
    version: Literal["4"]
    status: _Status
    alerts: Annotated[list[_Sent], Field(strict=True, min_length=1, max_length=MOST_ALERTS)]


@dataclass(frozen=True)
class Alert:
    """One alert. Repeated notifications have the same `key`; an alert that fires again after it resolved has a new one."""

    name: str
    stream: str  # "" when it has none
    action: str  # "retrain", or ""
    firing: bool
    fingerprint: str  # of its labels
    starts_at: str  # in records' time format

    @property
    def key(self) -> str:
        """The alert's identity."""
        return f"{self.fingerprint}@{self.starts_at}"


def read_webhook(body: Any) -> tuple[Alert, ...]:
    """The alerts in the JSON of a webhook.

    Raises:
        DataError: it is not Alertmanager's webhook format 4.

    >>> read_webhook({"version": "4", "status": "firing"})
    Traceback (most recent call last):
    ...
    driftloop.errors.DataError: the body is not a message of Alertmanager: alerts: Field required
    """
    try:
        message = _Message.model_validate(body)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"])) or "it"
        said = "not a JSON object" if fault["type"] == "model_type" else fault["msg"]  # pydantic's message names our class
        raise DataError(f"the body is not a message of Alertmanager: {ascii(where)[1:-1]:.100}: {said:.200}") from None
    return tuple(
        Alert(one.labels.alertname, one.labels.stream, one.labels.action, one.status == "firing", one.fingerprint, one.startsAt) for one in message.alerts
    )
