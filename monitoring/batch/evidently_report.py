"""Evidently's own drift report beside ours: optional, from requirements-evidently.txt."""

from __future__ import annotations

import importlib.util
from typing import Final

from driftloop.errors import SettingsError
from monitoring.batch.measures import Measures
from monitoring.config import StreamConfig
from monitoring.prediction_log import PredictionLog
from monitoring.references import References

NAME: Final = "evidently.html"
MOST_ROWS: Final = 10_000  # of the window: equally spaced ones of more


def check() -> None:
    """Return when Evidently is installed.

    Raises:
        SettingsError: it is not.
    """
    if importlib.util.find_spec("evidently") is None:
        raise SettingsError("--with_evidently: Evidently is not installed: pip install -r requirements-evidently.txt, or leave the flag out")


def html(log: PredictionLog, stream: StreamConfig, measures: Measures, *, references: References) -> str:
    """Evidently's drift report on the window's features and predictions, against the newest training rows of the version that answered most.

    Raises:
        LogAwayError: MongoDB is away.
        DataError: there is nothing to compare: no reference, or no rows.
    """
    raise NotImplementedError
