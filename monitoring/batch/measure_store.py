"""The documents of measures in the database: collection `metrics`, one a stream and window.

A window that is measured again takes its own place; nothing is ever there twice.
"""

from __future__ import annotations

from monitoring.batch.measures import window_measures
from monitoring.batch.measures.window_measures import Measures
from monitoring.log.prediction_log import PredictionLog
from monitoring.log.report_links import COLLECTION


def write(log: PredictionLog, found: Measures) -> None:
    """Store the measures of a window, replacing earlier ones; durable when it returns.

    Raises:
        LogAwayError: MongoDB does not take them now.
    """
    log.database.update(COLLECTION, [({"_id": found.id}, {"$set": found.as_json()})], upsert=True)


def read(log: PredictionLog, stream: str) -> tuple[Measures, ...]:
    """The measures of all windows of a stream, in the order of their start, of two that start together the shorter first.

    Raises:
        LogAwayError: MongoDB is unreachable.
        DataError: a document was written by another version.
    """
    found = [window_measures.from_json(document) for document in log.database.find(COLLECTION, {"stream": stream})]
    return tuple(sorted(found, key=lambda one: (one.window.start, one.window.stop)))


def get(log: PredictionLog, id: str) -> Measures | None:
    """The measures with this `Measures.id`; None when there are none.

    Raises:
        LogAwayError: MongoDB is unreachable.
        DataError: the document was written by another version.
    """
    found = log.database.find(COLLECTION, {"_id": id})
    return window_measures.from_json(found[0]) if found else None
