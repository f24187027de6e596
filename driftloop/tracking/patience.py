"""Waits for a locked MLflow store and for a restarting tracking server: minutes, not forever.

Both waits are below MLflow's client, so that all logging waits, including autologging: SQLite's in the events of SQLAlchemy,
here, and HTTP's in the retries of urllib3 (`retries`). A wait of some seconds is reported on stderr, once.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, event

from driftloop.tracking.translate import is_locked

WAIT_S: Final = 120.0  # per statement for a lock, per request for a server
GIVEN_UP_S: Final = 5.0  # after a wait failed: the run is closed then, if possible
ATTEMPT_MS: Final = 3000  # SQLite's own wait; Ctrl-C is handled in between
TOLD_AGAIN_S: Final = 60.0
OPENING: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "6"}  # a server that is down is reported at once

_watched: set[str] = set()  # database files for whose locks we wait
_state = {"told": -TOLD_AGAIN_S, "budget": WAIT_S}


@contextmanager
def opening() -> Iterator[None]:
    """Context in which a tracking server gets one attempt and a few seconds."""
    before = {name: os.environ.get(name) for name in OPENING}
    os.environ.update(OPENING)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def begin(database: Path | None) -> None:
    """From now on wait for locks on this SQLite file; without a file, for servers only."""
    restore()
    if not event.contains(Engine, "commit", _commit):
        event.listen(Engine, "do_execute", _execute)
        event.listen(Engine, "do_executemany", _execute_many)
        event.listen(Engine, "commit", _commit)
    if database:
        _watched.add(str(database))


def left() -> float:
    """Maximum wait in seconds."""
    return _state["budget"]


def give_up() -> None:
    """Record a failed wait: the next ones are short."""
    _state["budget"] = GIVEN_UP_S


def restore() -> None:
    """Record that the store answers: the next wait may be long."""
    _state["budget"] = WAIT_S


def tell(what: str, *, limit_s: float = WAIT_S) -> None:
    """Report a wait on stderr, once."""
    if time.monotonic() - _state["told"] >= TOLD_AGAIN_S:
        print(f"{what}; waiting up to {limit_s:.0f} s", file=sys.stderr, flush=True)
    _state["told"] = time.monotonic()


def _insist(database: str, attempt: Callable[..., object], *given: object) -> None:
    """Attempt it until the database is not locked.

    No closure: Ctrl-C leaves a traceback, whose frames keep their functions even when they are cleared; a lambda would keep the cursor, and that a lock.
    """
    end = time.monotonic() + left()
    while True:
        try:
            attempt(*given)
            return
        except sqlite3.OperationalError as exc:
            if not is_locked(exc):
                raise
            if time.monotonic() > end:
                give_up()
                raise
        tell(f"MLflow store {database}: locked by another process")
        time.sleep(0.05)


def _execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
    database = context.engine.url.database
    if database not in _watched:
        return None
    if statement.startswith("PRAGMA busy_timeout"):  # MLflow's 20 s
        statement, parameters = f"PRAGMA busy_timeout = {ATTEMPT_MS}", ()
    _insist(database, cursor.execute, statement, parameters)
    return True


def _execute_many(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
    database = context.engine.url.database
    if database not in _watched:
        return None
    _insist(database, cursor.executemany, statement, parameters)
    return True


def _commit(connection: Connection) -> None:
    """Commit with retries, because a reader may block it; SQLAlchemy's own commit follows and then does nothing or raises."""
    database = connection.engine.url.database
    if database in _watched:
        driver = connection.connection.driver_connection
        try:
            _insist(database, driver.commit)  # type: ignore[union-attr]
        except sqlite3.OperationalError as exc:
            if not is_locked(exc):
                raise
