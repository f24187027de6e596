"""Translates errors of MLflow, its database and the network into our one-line errors that name the cause."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mlflow.exceptions import MlflowException
from requests import RequestException
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import RetryError, Timeout
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from driftloop.errors import TrackingError

HINTS: Final = {
    "readonly database": "make the file and its folder writable, or set MLFLOW_TRACKING_URI to another store",
    "unable to open database": "create its folder and fix its permissions, or set MLFLOW_TRACKING_URI to another store",
    "database is locked": "another process has locked it for minutes; try again when that has ended",
    "disk is full": "make room there",
    "(HTTP 500)": "check its log; then run this again",
    "the server is unavailable": "restart it, or wait; then run this again",
    "the server does not answer": "start it, or set MLFLOW_TRACKING_URI to another store",
    "error code 401": "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
}
_ROOT: Final = re.compile(r"\[Errno -?\d+\] ([^'\")]+)")  # the system's message, wrapped by three libraries
_STATUS: Final = re.compile(r"too many (\d{3}) error responses")  # urllib3's words


@contextmanager
def translated(what: str, *, files: bool = True) -> Iterator[None]:
    """Translate an error of the store into ours, prefixed with `what`.

    Args:
        what: the operation or object.
        files: translate OSError as well: the body only reads and writes the store's files.
    """
    try:
        yield
    except (MlflowException, SQLAlchemyError, RequestException) as exc:
        raise TrackingError(f"{what}: {reason(exc)}") from exc
    except OSError as exc:
        if not files:
            raise
        raise TrackingError(f"{what}: {reason(exc)}") from exc


def reason(exc: BaseException) -> str:
    """The root cause in one line and, if known, the remedy."""
    known = cause(exc)
    hint = next((hint for part, hint in HINTS.items() if part in known), "")
    return f"{known}: {hint}" if hint else known


def cause(exc: BaseException) -> str:
    """The root cause in one line."""
    return next((found for one in _chain(exc) if (found := _known(one))), None) or _first_line(exc) or type(exc).__name__


def is_locked(exc: BaseException) -> bool:
    """Whether SQLite's lock caused the error."""
    return isinstance(exc, sqlite3.OperationalError) and "is locked" in str(exc)


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _first_line(exc: BaseException) -> str:
    return str(exc).strip().partition("\n")[0]


def _known(cause: BaseException) -> str | None:
    if isinstance(cause, DBAPIError) and not isinstance(cause, IntegrityError) and cause.orig:
        return _first_line(cause.orig)  # SQLAlchemy's text begins with advice to programmers
    if isinstance(cause, Timeout) or (isinstance(cause, NoConnection) and "timed out" in str(cause)):
        return "the server does not answer in time"
    if isinstance(cause, RetryError):
        status = _STATUS.search(str(cause))
        return f"the server is unavailable{f' (HTTP {status.group(1)})' if status else ''}"
    if isinstance(cause, NoConnection):
        system = _ROOT.search(str(cause))
        return f"the server does not answer ({system.group(1) if system else type(cause).__name__})"
    return None
