"""Converts records of the prediction log to MongoDB documents and back: same names, but times are dates, and `_id` identifies the record."""

from __future__ import annotations

from typing import Any

from monitoring.log.mongo import Document
from monitoring.records.events import Prediction, Rejected, parse_time, time_text

_TIMES = ("time", "served_at", "labelled_at")


def to_document(record: Prediction | Rejected) -> Document:
    """The document of a record."""
    return {"_id": record.key, **{name: parse_time(value) if name in _TIMES else value for name, value in vars(record).items() if name != "kind"}}


def to_json(document: Document) -> dict[str, Any]:
    """A document as JSON values, without `_id`; with its label if it has one."""
    return {name: time_text(value) if name in _TIMES else value for name, value in document.items() if name != "_id"}
