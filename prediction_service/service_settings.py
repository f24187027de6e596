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
    """All of a service's settings."""

    streams: Mapping[str, StreamConfig]  # by name
    fallbacks: Mapping[str, Fallback]  # each stream's initial fallback table
    torchserve_url: str  # http://host:port
    spool: Path | None = None  # folder for the records; None: nothing is logged
    monitor_url: str = ""  # whose verdicts are read; "": no monitor
    renew: bool = False  # whether the fallback tables follow the served version, from MLflow
    model_timeout_s: float = 2.0  # then the fallback answers
    resolve_every_s: float = 60.0  # pause between two looks at where the alias of a model_uri points
    look_every_s: float = 2.0  # pause between two checks of the models and the monitor
    max_rows: int = MAX_ROWS  # rows, labels or context rows a request
