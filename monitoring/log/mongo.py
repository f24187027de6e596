"""Access to MongoDB: few operations, each durable when it returns, with errors classified by their remedy.

`LogAwayError` means that the server is unavailable: wait and retry. A document that the server will never accept
is reported in the result instead of raising, so that it does not block the others.
Make a `Database` after a fork, not before: its threads do not survive one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bson.errors import BSONError
from pymongo import MongoClient, UpdateOne
from pymongo.errors import BulkWriteError, ConfigurationError, DocumentTooLarge, OperationFailure, PyMongoError
from pymongo.write_concern import WriteConcern

from driftloop.errors import LogError, SettingsError

SELECT_S = 1.5  # time to find the server before it counts as unreachable
ANSWER_S = 20.0  # limit of a response
HEARTBEAT_S = 10.0  # a busy server must not look dead: a failed heartbeat cancels running operations
DATABASE = "driftloop"  # database if the URI names none

Document = dict[str, Any]

_DUPLICATE = 11000
# Server errors caused by a document: BadValue, FailedToParse, TypeMismatch, InvalidBSON, DollarPrefixedFieldName, InvalidIdField,
# EmptyFieldName, DottedFieldName, DocumentValidationFailure, BSONObjectTooLarge.
_FAULTS = {2, 9, 14, 22, 52, 53, 56, 57, 121, 10334}
# And transient ones reported for single documents: WriteConflict, disk space, interruptions, a primary that stepped down.
_PASSING = {50, 91, 112, 189, 262, 10107, 11600, 11602, 13435, 13436, 14031}


class LogAwayError(LogError):
    """MongoDB is unreachable or rejects writes for now; retry later."""


class LogSlowError(LogAwayError):
    """MongoDB did not answer in time; smaller batches may work."""


@dataclass(frozen=True)
class Written:
    """The outcome of a write; `refused` has the reason by the document's number."""

    new: int = 0
    already: int = 0
    refused: Mapping[int, str] = field(default_factory=dict)


class Database:
    """A MongoDB database, written with w=majority and j=true.

    Args:
        uri: mongodb://[user:password@]host[:port][/database]; never shown in messages.

    Raises:
        SettingsError: the URI is invalid.
    """

    def __init__(self, uri: str, *, select_s: float = SELECT_S, answer_s: float = ANSWER_S) -> None:
        try:
            if "://" not in uri:  # the driver accepts any word as a host name
                raise ConfigurationError("no mongodb://")
            self._client: MongoClient[Document] = MongoClient(
                uri,
                serverSelectionTimeoutMS=int(select_s * 1000),
                connectTimeoutMS=int(HEARTBEAT_S * 1000),
                socketTimeoutMS=int(answer_s * 1000),
                tz_aware=True,
                appname="driftloop",
            )
            self._database = self._client.get_default_database(DATABASE, write_concern=WriteConcern(w="majority", j=True, wtimeout=int(answer_s * 1000)))
        except (ConfigurationError, ValueError, PyMongoError) as exc:
            raise SettingsError(f"invalid MongoDB URI (hidden): {type(exc).__name__}; expected mongodb://127.0.0.1:27017/driftloop") from exc

    def ping(self) -> None:
        """Return when the server answers.

        Raises:
            LogAwayError: it is unreachable.
        """
        with _translated():
            self._client.admin.command("ping")

    def index(self, collection: str, *fields: str) -> None:
        """Create an ascending index if missing."""
        with _translated():
            self._database[collection].create_index([(name, 1) for name in fields])

    def insert(self, collection: str, documents: Sequence[Document]) -> Written:
        """Insert documents, each with its `_id`; existing ones with the same `_id` are unchanged.

        Raises:
            LogAwayError: not all were written; insert all again.
        """
        if not documents:
            return Written()
        try:
            with _translated():
                self._database[collection].insert_many(documents, ordered=False)
        except BulkWriteError as exc:
            return _bulk_result(exc, len(documents))
        except _FaultError as exc:
            if len(documents) == 1:
                return Written(refused={0: str(exc)})
            middle = len(documents) // 2
            return _joined(self.insert(collection, documents[:middle]), self.insert(collection, documents[middle:]), middle)
        return Written(new=len(documents))

    def update(self, collection: str, changes: Sequence[tuple[Document, Document]], *, upsert: bool = False) -> int:
        """Apply each (filter, update) to one document; returns how many documents matched or were created.

        Raises:
            LogAwayError: not all were applied; apply all again.
        """
        if not changes:
            return 0
        with _translated():
            try:
                done = self._database[collection].bulk_write([UpdateOne(which, what, upsert=upsert) for which, what in changes], ordered=False)
            except BulkWriteError as exc:
                first = (exc.details["writeErrors"] or exc.details["writeConcernErrors"])[0]
                raise LogAwayError(f"MongoDB rejected an update: {_short(first.get('errmsg', ''))}") from exc
        return done.matched_count + done.upserted_count

    def find(self, collection: str, which: Document, *, fields: Sequence[str] = (), most: int = 0) -> list[Document]:
        """Documents that match, in no stated order; `most` 0: all."""
        with _translated():
            return list(self._database[collection].find(which, dict.fromkeys(fields, 1) or None, limit=most, batch_size=most))

    def delete(self, collection: str, which: Document) -> int:
        """Delete the matching documents; return their number."""
        with _translated():
            return self._database[collection].delete_many(which).deleted_count

    def drop(self) -> None:
        """Drop the whole database."""
        with _translated():
            self._client.drop_database(self._database.name)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class _FaultError(Exception):
    """The server or the driver rejects a document; with several sent, it does not say which."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except BulkWriteError:
        raise
    except (BSONError, DocumentTooLarge, OverflowError, UnicodeError) as exc:
        raise _FaultError(_short(str(exc))) from exc
    except OperationFailure as exc:
        if exc.code in _FAULTS:
            raise _FaultError(_short(str(exc))) from exc
        raise LogAwayError(f"MongoDB rejects: {_short(str(exc))}") from exc
    except PyMongoError as exc:
        hanging = (exc.timeout or "cancelled" in str(exc)) and "refused" not in str(exc)
        kind = LogSlowError if hanging else LogAwayError
        raise kind(f"MongoDB does not answer: {_short(str(exc))}") from exc


def _bulk_result(exc: BulkWriteError, documents: int) -> Written:
    errors = exc.details["writeErrors"]
    if late := exc.details["writeConcernErrors"]:
        raise LogAwayError(f"MongoDB did not confirm that a write is durable: {_short(late[0].get('errmsg', ''))}") from exc
    if passing := [error for error in errors if error["code"] in _PASSING]:
        raise LogAwayError(f"MongoDB rejected a document: {_short(passing[0]['errmsg'])}") from exc
    refused = {error["index"]: _short(error["errmsg"]) for error in errors if error["code"] != _DUPLICATE}
    return Written(new=exc.details["nInserted"], already=len(errors) - len(refused), refused=refused)


def _joined(first: Written, second: Written, offset: int) -> Written:
    refused = {**first.refused, **{number + offset: reason for number, reason in second.refused.items()}}
    return Written(first.new + second.new, first.already + second.already, refused)


def _short(message: str) -> str:
    """The readable part of a driver's message."""
    return " ".join(message.split(", full error", maxsplit=1)[0].split(" (configured timeouts", maxsplit=1)[0].split(", Timeout:", maxsplit=1)[0].split())[:300]
