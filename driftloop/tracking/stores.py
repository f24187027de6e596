"""MLflow's storage locations: resolves them, checks that they are usable, and creates a new SQLite store atomically.

All checks run before the work begins, take seconds and leave no trace on failure.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import sqlalchemy
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from driftloop.errors import TrackingError
from driftloop.system import lock
from driftloop.tracking.translate import cause, is_locked, translated

CONNECT_S: Final = 6  # MLflow tries for 100 s before it reports an unreachable database
CONNECT: Final = {"postgresql": "connect_timeout", "mysql": "connect_timeout", "mssql": "login_timeout"}  # the drivers' names
ELSEWHERE: Final = "set MLFLOW_TRACKING_URI to another store"
HEADER: Final = b"SQLite format 3\x00"


def resolved(uri: str) -> str:
    """The URI with an absolute path for a SQLite file: the store must not depend on the working directory.

    Raises:
        TrackingError: the path cannot be written as a URI.

    >>> resolved("http://127.0.0.1:5000"), resolved("sqlite:////tmp/../tmp/mlflow.db")
    ('http://127.0.0.1:5000', 'sqlite:////tmp/mlflow.db')
    """
    file = sqlite_file(uri)
    if file and "?" in str(file):
        raise TrackingError(f"MLflow store {file}: a SQLite URI cannot contain the '?' of this path: rename the folder, or {ELSEWHERE}")
    return str(make_url(uri).set(database=str(file))) if file else uri


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store, absolute; None for every other store."""
    url = _database(uri)
    if url is None or url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return None
    return Path(str(url.database)).resolve()


def shown(uri: str) -> str:
    """The URI without a password.

    >>> shown("http://me:secret@host:5000"), shown("postgresql://me:secret@host/mlflow")
    ('http://***@host:5000', 'postgresql://me:***@host/mlflow')
    """
    url = _database(uri)
    if url is not None:
        return url.render_as_string(hide_password=True) if url.password else uri
    parts = urlsplit(uri)
    return parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else uri


def _database(uri: str) -> URL | None:
    try:
        return make_url(uri) if not uri.startswith(("http:", "https:")) and "://" in uri else None
    except ArgumentError:
        return None


def artifact_root(uri: str) -> Path | None:
    """The folder of new experiments' artifacts: next to a SQLite file; None where a server decides."""
    file = sqlite_file(uri)
    return file.parent / "mlruns" if file else None


def artifact_folder(root: Path, experiment: str) -> Path:
    """The folder of an experiment, named after it within the limits of file names.

    >>> artifact_folder(Path("/store/mlruns"), "it's / ours").name
    'it-s-ours-7a82fe82'
    """
    return root / f"{re.sub('[^A-Za-z0-9._]+', '-', experiment)[:40].strip('-.')}-{sha256(experiment.encode()).hexdigest()[:8]}"


def check(uri: str, *, write: bool) -> None:
    """Reject an unusable database; create a new SQLite store. HTTP servers are not checked here.

    Raises:
        TrackingError: it is unreachable, unreadable or, with `write`, read-only.
    """
    file = sqlite_file(uri)
    if file:
        _check_file(file, uri, write=write)
        if write:
            _make(file, uri)
    elif _database(uri) is not None and make_url(uri).get_backend_name() in CONNECT:
        _check_connection(make_url(uri))


def _check_file(file: Path, uri: str, *, write: bool) -> None:
    try:
        if not file.exists() and not write:
            raise TrackingError(f"MLflow store {uri}: there is no such file yet; train a base model first, or {ELSEWHERE}")
        if file.is_dir():
            raise IsADirectoryError(f"{file} is a folder")
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=0)) as opened:
                _check_whose({str(name) for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")})
        if write:
            for path in (file, file.parent):  # SQLite's journal is next to the file
                if path.exists() and not os.access(path, os.W_OK):
                    raise PermissionError(f"{path} is not writable")
    except (OSError, sqlite3.Error) as exc:
        if not is_locked(exc):  # locks are handled later, by waiting
            raise TrackingError(f"MLflow store {uri}: {cause(exc)}: {ELSEWHERE}") from exc


def _check_whose(tables: set[str]) -> None:
    """Reject a database in which MLflow would add its tables to another program's."""
    if tables and not tables & {"alembic_version", "experiments"}:
        raise sqlite3.DatabaseError(f"the database belongs to another program (its tables: {', '.join(sorted(tables)[:3])}{', …' * (len(tables) > 3)})")


def _check_connection(url: URL) -> None:
    shown_url = url.render_as_string(hide_password=True)
    try:
        engine = sqlalchemy.create_engine(url, connect_args={CONNECT[url.get_backend_name()]: CONNECT_S})
    except (ImportError, NoSuchModuleError) as exc:
        raise TrackingError(f"MLflow store {shown_url}: {exc}: install the database's driver (for PostgreSQL pip install psycopg2-binary)") from exc
    with translated(f"MLflow store {shown_url}"), engine.connect():
        engine.dispose()


def _make(file: Path, uri: str) -> None:
    """Create a new store atomically: parallel first starts do not collide in its migration, and a killed one leaves no partial store."""
    if _complete(file):
        return
    with translated(f"MLflow store {uri}"), _alone_in(file.parent) as alone:
        if _complete(file):
            return
        for killed in file.parent.glob(f".{glob.escape(file.name)}-*") if alone else ():
            shutil.rmtree(killed, ignore_errors=True)
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent) as folder:
            made = Path(folder) / file.name
            SqlAlchemyStore(f"sqlite:///{made}", str(file.parent / "mlruns")).engine.dispose()
            made.replace(file)


def _complete(file: Path) -> bool:
    """Whether a store exists, not just an empty file."""
    return file.exists() and file.stat().st_size >= len(HEADER)


@contextmanager
def _alone_in(folder: Path) -> Iterator[bool]:
    """Lock that lets one process at a time create a store in a folder; it leaves no file and ends with its process.

    Yields False where locks are not supported, as on some network file systems.
    """
    held, alone = os.open(folder, os.O_RDONLY), False
    try:
        with suppress(OSError):
            alone = lock.take(held, wait=True)
        yield alone
    finally:
        os.close(held)


def check_artifacts(location: str, experiment: str) -> None:
    """Reject an experiment whose local artifact folder is not writable.

    Raises:
        TrackingError: it is not; the message names the folder.
    """
    parts = urlsplit(location)
    if parts.scheme not in {"", "file"}:
        return
    folder = Path(url2pathname(parts.path) if parts.scheme else location)
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        why = f"keeps its artifacts in {folder}, and {nearest} is not writable"
        raise TrackingError(f"experiment {experiment!r} {why}: make it writable, or use a new experiment")
