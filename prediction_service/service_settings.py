"""The settings of a prediction service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monitoring.fallback import Fallback
from monitoring.stream_settings import StreamConfig

MAX_BODY_BYTES = 1_000_000
MAX_ROWS = 1000


@dataclass(frozen=True)
class Settings:
    """All of a service's settings.

    Attributes:
        streams: those that are served, by name.
        fallbacks: each stream's fallback table to begin with.
        torchserve_url: where the models are served, http://host:port.
        spool: folder that takes the records; None: nothing is logged.
        monitor_url: whose verdicts are asked for; "": nobody's.
        renew: whether the fallback tables follow the version that serves, from MLflow.
        model_timeout_s: longest wait for the model, until the fallback answers.
        look_every_s: pause between two looks at models and monitor.
        max_rows: rows or labels a request, and rows of context.
    """

    streams: Mapping[str, StreamConfig]
    fallbacks: Mapping[str, Fallback]
    torchserve_url: str
    spool: Path | None = None
    monitor_url: str = ""
    renew: bool = False
    model_timeout_s: float = 2.0
    look_every_s: float = 2.0
    max_rows: int = MAX_ROWS
