"""The prediction log in MongoDB: every prediction with its label, read in time order.

    log = open_log("mongodb://127.0.0.1:27017")        # None: MONGODB_URI, or an embedded server of our own
    for row in log.read("elec", "2020-04-01T00:00:00Z", "2020-05-01T00:00:00Z"):
        ...                                            # a record as JSON values; `label` and `labelled_at` if it has one

Collections: `predictions` and `rejected`, indexed by stream and time; `pending_labels`, those whose prediction has
not arrived yet; `streams`, the first and last time of each stream, and of each model version in it. A document's `_id` is "<stream>/<id>", so
writes are idempotent. Times are stored as dates.

Reads use windows of time that adapt to the density of rows: neither we nor the server hold more than a few thousand
rows, and a server restart causes at most one error, after which reading can continue.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from monitoring.log.documents import to_document, to_json
from monitoring.log.mongo import Database, Document
from monitoring.records.checks import Value
from monitoring.records.events import Label, Prediction, Record, Rejected, parse_time, time_text

FOLDER = Path("prediction-log")  # of the embedded server
PREDICTIONS, REJECTED, PENDING, STREAMS = "predictions", "rejected", "pending_labels", "streams"
MOST_IDS = 50  # ids per query; the embedded server compares each with each
PAGE_ROWS = 2000
_WIDEST = timedelta(days=40_000)
_NARROWEST = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Added:
    """The outcome of a write."""

    new: int = 0
    already: int = 0  # existed before
    joined: int = 0  # labels joined to their prediction
    pending: int = 0  # labels waiting for theirs
    replaced: int = 0  # labels that replaced an earlier, different one
    refused: list[tuple[Record, str]] = field(default_factory=list)  # permanently rejected, with the reason

    def __add__(self, other: Added) -> Added:
        return Added(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


class PredictionLog:
    """The log in one database; see the module."""

    def __init__(self, database: Database, *, ends: Any = None) -> None:
        self.database = database  # for collections besides the log's, too
        self._ends = ends  # an embedded server that we stop

    def ready(self, *, keep_days: int = 0) -> None:
        """Create the indexes; `keep_days` adds one for retention.

        Raises:
            LogAwayError: MongoDB is unreachable.
        """
        for collection in (PREDICTIONS, REJECTED):
            self.database.index(collection, "stream", "time")
            if keep_days:
                self.database.index(collection, "served_at")

    def add(self, records: Sequence[Record]) -> Added:
        """Write records of any kind; idempotent.

        Raises:
            LogAwayError: not all were written; add all again.
        """
        predictions = [record for record in records if isinstance(record, Prediction)]
        rejected = [record for record in records if isinstance(record, Rejected)]
        labels = [record for record in records if isinstance(record, Label)]
        added = self._insert(PREDICTIONS, predictions) + self._insert(REJECTED, rejected)
        if predictions:
            added += self._join_pending([record.key for record in predictions])
        return added + self.join_labels(labels) if labels else added

    def add_labelled(self, rows: Sequence[tuple[Prediction, Label]]) -> Added:
        """Write predictions with their labels in one batch, ten times faster than separately; existing ones are unchanged.

        Raises:
            LogAwayError: not all were written; add all again.
        """
        return self._insert(PREDICTIONS, [prediction for prediction, _ in rows], labels={label.key: label for _, label in rows})

    def join_labels(self, labels: Sequence[Label]) -> Added:
        """Write labels into their predictions' documents; those without one wait in `pending_labels`.

        Of two labels for one prediction the later `labelled_at` wins, on a tie the last one given.

        Raises:
            LogAwayError: not all were joined; join all again.
        """
        latest: dict[str, Label] = {}
        replaced = 0
        for label in labels:
            before = latest.get(label.key)
            if before is None or before.labelled_at <= label.labelled_at:
                replaced += before is not None and before.label != label.label
                latest[label.key] = label
        there = self._find_ids(PREDICTIONS, list(latest))
        added = Added(replaced=replaced) + self._join(
            {key: (label.label, parse_time(label.labelled_at)) for key, label in latest.items() if key in there}, there
        )
        missing = [label for key, label in latest.items() if key not in there]
        self._note_pending(missing)
        # A prediction may have arrived between the query and the note; later ones find the note.
        late = self._join_pending([label.key for label in missing])
        return added + late + Added(pending=len(missing) - late.joined)

    def read(self, stream: str, start: str | None = None, stop: str | None = None, *, collection: str = PREDICTIONS) -> Iterator[dict[str, Any]]:
        """Rows of a stream with start <= time < stop, ordered by time, then id.

        Raises:
            DataError: a time is invalid.
            LogAwayError: MongoDB is unreachable.
        """
        for page in self.pages(stream, start, stop, collection=collection):
            yield from map(to_json, page)

    def newest_time(self, stream: str) -> str | None:
        """Time of the newest row of a stream; None without rows."""
        span = self._span(PREDICTIONS, stream)
        return time_text(span[1] - _NARROWEST) if span else None

    def first_time(self, stream: str, version: str) -> str | None:
        """Time of the first row that a model version answered; None without rows."""
        span = self._span(PREDICTIONS, f"{stream}/{version}")
        return time_text(span[0]) if span else None

    def pages(
        self, stream: str, start: str | None, stop: str | None, *, collection: str = PREDICTIONS, backward: bool = False
    ) -> Iterator[list[dict[str, Any]]]:
        """The rows of `read` as documents, some thousands at once: times are dates, with `_id`. From the end if `backward`.

        Raises:
            DataError: a time is invalid.
            LogAwayError: MongoDB is unreachable.
        """
        span = self._span(collection, stream)
        if span:
            low = max(span[0], parse_time(start)) if start else span[0]
            high = min(span[1], parse_time(stop)) if stop else span[1]
            yield from self._pages(collection, stream, low, high, backward=backward)

    def newest(self, stream: str, rows: int, *, collection: str = PREDICTIONS) -> list[dict[str, Any]]:
        """The newest rows of a stream, in time order.

        Raises:
            LogAwayError: MongoDB is unreachable.
        """
        span = self._span(collection, stream)
        found: list[Document] = []
        if span and rows > 0:
            for page in self._pages(collection, stream, *span, backward=True):
                found = page + found
                if len(found) >= rows:
                    break
        return [to_json(document) for document in found[-rows:]]

    def get(self, stream: str, id: str) -> dict[str, Any] | None:
        """One prediction, or None."""
        found = self.database.find(PREDICTIONS, {"_id": f"{stream}/{id}"})
        return to_json(found[0]) if found else None

    def streams(self) -> list[str]:
        """Streams that have predictions."""
        return sorted({document["stream"] for document in self.database.find(STREAMS, {})})

    def expire(self, *, keep_days: int) -> int:
        """Delete predictions served, and pending labels given, more than this many days ago; return their number."""
        before = {"$lt": datetime.now(UTC) - timedelta(days=keep_days)}
        gone = sum(self.database.delete(collection, {"served_at": before}) for collection in (PREDICTIONS, REJECTED))
        return gone + self.database.delete(PENDING, {"labelled_at": before})

    def keeps_server(self) -> bool:
        """True while an embedded server of our own runs."""
        return self._ends is not None and self._ends.alive()

    def close(self) -> None:
        """Close the connections, and end the embedded server if it is ours."""
        self.database.close()
        if self._ends is not None:
            self._ends.stop()

    def __enter__(self) -> PredictionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _insert(self, collection: str, records: Sequence[Prediction | Rejected], *, labels: Mapping[str, Label] | None = None) -> Added:
        if not records:
            return Added()
        documents = [to_document(record) for record in records]
        for document in documents:
            if labels and (label := labels.get(document["_id"])):
                document.update(label=label.label, labelled_at=parse_time(label.labelled_at))
        written = self.database.insert(collection, documents)
        times: dict[tuple[str, str], list[datetime]] = {}
        for document in documents:
            stream = document["stream"]
            for whose in (stream, f"{stream}/{document['version']}") if document.get("version") else (stream,):
                times.setdefault((stream, whose), []).append(document["time"])
        self.database.update(
            STREAMS,
            [
                ({"_id": f"{collection}/{whose}"}, {"$min": {"first": min(each)}, "$max": {"last": max(each)}, "$set": {"stream": stream}})
                for (stream, whose), each in times.items()
            ],
            upsert=True,
        )
        return Added(new=written.new, already=written.already, refused=[(records[number], reason) for number, reason in written.refused.items()])

    def _note_pending(self, labels: Sequence[Label]) -> None:
        noted = self._find_ids(PENDING, [label.key for label in labels])
        changes: list[tuple[Document, Document]] = []
        for label in labels:
            when = parse_time(label.labelled_at)
            if label.key not in noted or noted[label.key]["labelled_at"] <= when:
                changes.append(({"_id": label.key}, {"$set": {"label": label.label, "labelled_at": when}}))
        self.database.update(PENDING, changes, upsert=True)

    def _join_pending(self, keys: Sequence[str]) -> Added:
        """Join the pending labels of these predictions."""
        if not keys or not self.database.find(PENDING, {}, most=1):
            return Added()
        waiting = self._find_ids(PENDING, keys)
        there = self._find_ids(PREDICTIONS, list(waiting))
        added = self._join({key: (waiting[key]["label"], waiting[key]["labelled_at"]) for key in there}, there)
        for key in there:
            self.database.delete(PENDING, {"_id": key, "labelled_at": waiting[key]["labelled_at"]})
        return added

    def _join(self, labels: dict[str, tuple[Value, datetime]], there: dict[str, Document]) -> Added:
        changes: list[tuple[Document, Document]] = []
        replaced = 0
        for key, (label, when) in labels.items():
            before = there[key]
            if "label" in before and (before["labelled_at"] > when or (before["label"], before["labelled_at"]) == (label, when)):
                continue
            replaced += "label" in before and before["label"] != label
            # Not later, or absent. As an $or it would make the embedded server scan the whole collection: a hundred times slower.
            not_later = {"$not": {"$gt": when}}
            changes.append(({"_id": key, "labelled_at": not_later}, {"$set": {"label": label, "labelled_at": when}}))
        self.database.update(PREDICTIONS, changes)
        return Added(joined=len(labels), replaced=replaced)

    def _find_ids(self, collection: str, keys: Sequence[str]) -> dict[str, Document]:
        """Label and its time of the existing documents, by `_id`."""
        found: dict[str, Document] = {}
        for first in range(0, len(keys), MOST_IDS):
            some = self.database.find(collection, {"_id": {"$in": list(keys[first : first + MOST_IDS])}}, fields=("label", "labelled_at"))
            found.update({document["_id"]: document for document in some})
        return found

    def _span(self, collection: str, stream: str) -> tuple[datetime, datetime] | None:
        """The first time of a stream, and the end after its last."""
        found = self.database.find(STREAMS, {"_id": f"{collection}/{stream}"})
        return (found[0]["first"], found[0]["last"] + _NARROWEST) if found else None

    def _pages(self, collection: str, stream: str, low: datetime, high: datetime, *, backward: bool = False) -> Iterator[list[Document]]:
        """Rows of low <= time < high in windows, each sorted; the last window first if `backward`."""
        width = timedelta(hours=1)
        while low < high:
            start, stop = (max(low, high - width), high) if backward else (low, min(high, low + width))
            most = 4 * PAGE_ROWS if stop - start > _NARROWEST else 0  # rows of one millisecond cannot be split
            page = self.database.find(collection, {"stream": stream, "time": {"$gte": start, "$lt": stop}}, most=most)
            if most and len(page) >= most:
                width = max(_NARROWEST, (stop - start) / 8)
                continue
            yield sorted(page, key=lambda document: (document["time"], document["_id"]))
            low, high = (low, start) if backward else (stop, high)
            if len(page) < PAGE_ROWS:
                width = min(2 * width, _WIDEST)


def open_log(uri: str | None = None, *, folder: Path = FOLDER) -> PredictionLog:
    """The log of the MongoDB that `uri` names, else MONGODB_URI, else of an embedded server.

    A running embedded server on `folder` is used; else one is started, and ends with the log.

    Raises:
        SettingsError: the URI is invalid.
        LogError: the embedded server is not installed or does not start.
    """
    from monitoring.log.embedded_mongo import Embedded, running

    if uri := uri or os.environ.get("MONGODB_URI") or running(folder):
        return PredictionLog(Database(uri))
    server = Embedded(folder)
    return PredictionLog(Database(server.uri), ends=server)
