"""Evidently's drift report, in addition to ours: optional, from requirements-evidently.txt."""

from __future__ import annotations

import importlib.util
import os
from typing import Final

import pandas as pd

from driftloop.errors import DataError, SettingsError
from monitoring.batch.measures import window_rows
from monitoring.batch.measures.window_measures import Measures
from monitoring.log.prediction_log import PredictionLog
from monitoring.references import References
from monitoring.stream_settings import StreamConfig

NAME: Final = "evidently.html"
MOST_ROWS: Final = 10_000  # of the window; of more an equally spaced sample


def check() -> None:
    """Raise a SettingsError unless Evidently is installed."""
    if importlib.util.find_spec("evidently") is None:
        raise SettingsError("--with_evidently: Evidently is not installed: pip install -r requirements-evidently.txt, or omit the flag")


def html(log: PredictionLog, stream: StreamConfig, measures: Measures, *, references: References) -> str:
    """Evidently's drift report on the window's features, against the training rows of the version that answered most of it.

    With Evidently's defaults, which ignore autocorrelation and the usual variation, so its verdicts differ from ours.

    Raises:
        LogAwayError: MongoDB is unreachable.
        DataError: the window has no rows answered by a model, or there is no training reference.
    """
    if not measures.versions:
        raise DataError(f"--with_evidently: {stream.name} {measures.window.name} has no rows of a model to compare: omit the flag for this window")
    version = max(measures.versions, key=lambda one: one.rows).version
    known = references.find(stream.name, stream.model, version)
    found = window_rows.read(log, stream, measures.window)
    step = -(-len(found) // MOST_ROWS)
    current, before = (pd.DataFrame(table, columns=list(stream.feature_names)) for table in (found.features[::step], known.rows))
    os.environ.setdefault("DO_NOT_TRACK", "true")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    kinds = DataDefinition(
        numerical_columns=[feature.name for feature in stream.features if not feature.categorical],
        categorical_columns=[feature.name for feature in stream.features if feature.categorical],
    )
    made = Report([DataDriftPreset()]).run(*(Dataset.from_pandas(table, data_definition=kinds) for table in (current, before)))
    return str(made.get_html_str(as_iframe=False))
