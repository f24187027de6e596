"""Measure a window of the prediction log: everything that is known of it, as one document.

Stateless and deterministic: the same log and references give the same document.
"""

from __future__ import annotations

from monitoring.batch.measures import Measures, Window
from monitoring.config import StreamConfig
from monitoring.prediction_log import PredictionLog
from monitoring.references import References


def measure(log: PredictionLog, config: StreamConfig, window: Window, *, references: References | None, alpha: float | None = None) -> Measures:
    """The measures of a window.

    Args:
        log: where the rows are read from.
        config: the stream.
        window: which rows.
        references: where training references are had from; None, or one that has none for a version: a note says what is not known without.
        alpha: false-alarm rate of each verdict; None: the stream's.

    Raises:
        LogAwayError: MongoDB is away.
    """
    raise NotImplementedError
