"""Stores measures in the database: collection `metrics`, one document for each stream and window.

Both functions raise a LogAwayError when MongoDB is unreachable.
"""

from __future__ import annotations

from monitoring.batch.measures import window_measures
from monitoring.batch.measures.window_measures import Measures
from monitoring.log.prediction_log import PredictionLog
from monitoring.log.report_links import COLLECTION


def write(log: PredictionLog, found: Measures) -> None:
    """Store the measures of a window, replacing earlier ones; durable when it returns."""
    log.database.update(COLLECTION, [({"_id": found.id}, {"$set": found.as_json()})], upsert=True)


def read(log: PredictionLog, stream: str) -> tuple[Measures, ...]:
    """The measures of all windows of a stream, by start and then by end.

    Raises:
        DataError: a document was written by another version.
    """
    found = [window_measures.from_json(document) for document in log.database.find(COLLECTION, {"stream": stream})]
    return tuple(sorted(found, key=lambda one: (one.window.start, one.window.stop)))
