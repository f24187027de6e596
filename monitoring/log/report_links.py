"""Stores the URL of each window's report in the window's document of measures."""

from __future__ import annotations

from typing import Final

from monitoring.log.prediction_log import PredictionLog

COLLECTION: Final = "metrics"  # one document per stream and window, see `batch.measure_store`
FIELD: Final = "report"


def write(log: PredictionLog, id: str, url: str) -> None:
    """Store the report's URL for the measures `id`; it stays when the window is measured again.

    Raises:
        LogAwayError: MongoDB is unreachable.
    """
    log.database.update(COLLECTION, [({"_id": id}, {"$set": {FIELD: url}})])


def read(log: PredictionLog, stream: str) -> dict[str, str]:
    """The known report URLs, by `Measures.id`.

    Raises:
        LogAwayError: MongoDB is unreachable.
    """
    found = log.database.find(COLLECTION, {"stream": stream, FIELD: {"$exists": True}}, fields=(FIELD,))
    return {document["_id"]: str(document[FIELD]) for document in found}


def newest(log: PredictionLog, stream: str) -> str | None:
    """The URL of the report on the newest rows of a stream; None without a report.

    Raises:
        LogAwayError: MongoDB is unreachable.
    """
    found = log.database.find(COLLECTION, {"stream": stream, FIELD: {"$exists": True}}, fields=(FIELD, "window"))
    last = max(found, key=lambda document: (document["window"]["stop"], document["window"]["start"]), default=None)
    return str(last[FIELD]) if last else None
