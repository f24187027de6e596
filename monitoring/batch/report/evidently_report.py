"""Evidently's drift report, in addition to ours: optional, from requirements-evidently.txt."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from driftloop.data.schema.schema import Column
from driftloop.errors import DataError, SettingsError
from monitoring.batch.measures import window_rows
from monitoring.batch.measures.window_measures import Measures
from monitoring.log.prediction_log import PredictionLog
from monitoring.references import References, fitting
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
    known = fitting(references.find(stream.name, stream.model, version), stream)
    words = window_rows.of_stream(stream)
    found = window_rows.read(log, stream, measures.window, words)
    step = -(-len(found) // MOST_ROWS)
    sides = (found.features[::step], words.columns), (known.rows, known.about.columns)
    current, before = (_table(rows, stream.feature_names, columns) for rows, columns in sides)
    os.environ.setdefault("DO_NOT_TRACK", "true")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    categories = [feature.name for feature in stream.features if feature.coded]
    kinds = DataDefinition(numerical_columns=[name for name in stream.feature_names if name not in categories], categorical_columns=categories)
    made = Report([DataDriftPreset()]).run(*(Dataset.from_pandas(table, data_definition=kinds) for table in (current, before)))
    return str(made.get_html_str(as_iframe=False))


def _table(rows: np.ndarray, names: Sequence[str], columns: Sequence[Column]) -> pd.DataFrame:
    """The rows as a table, with the texts of coded columns."""
    table = pd.DataFrame(rows, columns=list(names))
    for column in columns:
        if column.categories:
            texts = np.array([*column.categories, None], object)
            table[column.name] = texts[np.where(table[column.name].isna(), len(texts) - 1, table[column.name]).astype(np.int64)]
    return table
