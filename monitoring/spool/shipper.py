"""Delivers the spool's records to MongoDB and the monitor, within a quarter of a second while they accept them.

    python -m monitoring shipper --spool .driftloop/spool --mongodb_uri mongodb://127.0.0.1:27017/driftloop \\
        --monitor_url http://127.0.0.1:8010

Either may be unreachable, slow or restarted: its records wait in the spool, and the other still gets its own. Without
--mongodb_uri and MONGODB_URI an embedded server is used or started. Permanently rejected records go to the spool's
refused-mongodb.jsonl or refused-monitor.jsonl with the reason. One shipper serves one spool.

The counts are in the spool's shipper.json, updated every second. One line is printed when a destination becomes
unreachable, and one when it is back. On SIGTERM and Ctrl-C it ships what it can within a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags, flag
from driftloop.cli.flag_types import address, mongodb_uri
from driftloop.cli.parsing import whole
from driftloop.errors import DataError, DriftloopError, SettingsError, SpoolError
from driftloop.system import files, lock, priority
from monitoring.log.prediction_log import FOLDER, open_log
from monitoring.records import events
from monitoring.spool import cursors
from monitoring.spool.delivery import AwayError, Delivery, ToMongo, ToMonitor

# How long records gather once the spool is read to its end. Each batch costs a request, a commit and an fsynced cursor: shipping record by
# record costs a prediction service on the same machine milliseconds at the p99 (benchmarks/prediction_service.md).
GATHER_S = 0.25
TEND_S = 1.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0  # after a failure; doubles with each one
END_S = 1.0  # for shipping after SIGTERM


class Lane(threading.Thread):
    """Ships to one consumer in its own thread, so that it waits for no other."""

    def __init__(self, folder: Path, delivery: Delivery, stopping: threading.Event) -> None:
        super().__init__(name=f"to-{delivery.name}", daemon=True)
        self.delivery = delivery
        self.counts: Counter[str] = Counter()
        self.trouble = ""
        self._folder, self._stopping = folder, stopping
        self._reader = cursors.Reader(folder, delivery.name)
        self._most = cursors.BATCH_RECORDS

    def run(self) -> None:
        """Ship until `stopping` is set, then until the spool is empty or the destination unreachable."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                batch = self._ship()
                self.delivery.tend()
            except (AwayError, SpoolError) as exc:
                if isinstance(exc, AwayError) and exc.slow:
                    self._most = max(1, self._most // 4)
                self._say(str(exc))
                if self._stopping.wait(wait_s * random.uniform(0.5, 1)):
                    return
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                continue
            wait_s, self._most = FIRST_WAIT_S, min(2 * self._most, cursors.BATCH_RECORDS)
            self._say("")
            if not batch and self._stopping.is_set():
                return
            if not batch.full:
                self._stopping.wait(GATHER_S)

    def _ship(self) -> cursors.Batch:
        batch = self._reader.read(records=self._most)
        if not batch:
            return batch
        records, refused = _checked(batch.records)
        if records:
            refused += [(record.as_json(), reason) for record, reason in self.delivery.deliver(records)]
        _set_aside(self._folder / f"refused-{self.delivery.name}.jsonl", refused)
        self._reader.commit(batch)
        self.counts.update(read=len(batch.records), refused=len(refused), damaged=batch.damaged)
        return batch

    def _say(self, trouble: str) -> None:
        if bool(trouble) != bool(self.trouble):
            print(f"shipper: {self.delivery.name}: {f'{trouble}; records wait in the spool' if trouble else 'back'}", flush=True)
        self.trouble = trouble


def _checked(values: Sequence[dict[str, Any]]) -> tuple[list[events.Record], list[tuple[Any, str]]]:
    records: list[events.Record] = []
    refused: list[tuple[Any, str]] = []
    for value in values:
        try:
            records.append(events.from_json(value))
        except DataError as exc:
            refused.append((value, str(exc)))
    return records, refused


def _set_aside(path: Path, refused: Sequence[tuple[Any, str]]) -> None:
    if not refused:
        return
    lines = [json.dumps({"at": events.now(), "reason": reason, "record": value}) for value, reason in refused]
    try:
        with path.open("a", encoding="ascii") as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise SpoolError(f"{path}: refused records cannot be written: {exc.strerror}; free some space") from exc


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the spool's lock against a second shipper; it ends with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        held = lock.hold(folder / "shipper.lock", taken=f"{folder}: another shipper serves this spool; stop it first")
    except OSError as exc:
        raise SpoolError(f"{folder}: the spool cannot be used: {exc.strerror}") from exc
    with held:
        yield


def works_in(folder: Path) -> bool:
    """Whether a shipper serves the spool now; the folder must exist."""
    try:
        with _alone(folder):
            return False
    except SettingsError:
        return True


def ship(folder: Path, deliveries: Sequence[Delivery]) -> None:
    """Ship until SIGTERM or Ctrl-C, raised here as exceptions.

    Raises:
        DriftloopError: a lane crashed: a bug of ours.
    """
    stopping = threading.Event()
    lanes = [Lane(folder, delivery, stopping) for delivery in deliveries]
    shown: dict[str, Any] = {}
    for lane in lanes:
        lane.start()
    try:
        while all(lane.is_alive() for lane in lanes):
            time.sleep(TEND_S)
            shown = _tend(folder, lanes, shown)
        raise DriftloopError("the shipper stopped because of a bug, shown above; nothing is lost: start it again")
    finally:
        stopping.set()
        end = time.monotonic() + END_S
        for lane in lanes:
            lane.join(max(0.0, end - time.monotonic()))
        _tend(folder, lanes, shown)


def _tend(folder: Path, lanes: Sequence[Lane], shown: dict[str, Any]) -> dict[str, Any]:
    """Delete what all have passed, and write changed counts."""
    state = {lane.delivery.name: {**lane.counts, **lane.delivery.counts, "trouble": lane.trouble} for lane in lanes}
    try:
        cursors.sweep(folder, [lane.delivery.name for lane in lanes])
        if state != shown:
            files.replace_file(folder / "shipper.json", json.dumps(state, indent=1))
    except (SpoolError, OSError):
        return shown  # a full disk: the lanes report it, and the next call tries again
    return state


@dataclass(frozen=True)
class ShipperFlags(Flags):
    """The values of this command's flags."""

    spool: Path = flag(Path(".driftloop/spool"), "the spool's folder", type=Path)
    mongodb_uri: str = flag("", "mongodb://host:port/database; empty: MONGODB_URI, or an embedded server", type=mongodb_uri)
    monitor_url: str = flag("", "the monitor, http://host:port; empty: none", type=address)
    log_folder: Path = flag(FOLDER, "folder of the embedded server", type=Path)
    keep_days: int = flag(0, "days that the log keeps a prediction; 0: no limit", type=whole(0))


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    return parsing.parser("monitoring shipper", __doc__, ShipperFlags, result=False)


def work(args: ShipperFlags) -> tuple[dict[str, Any], int]:
    """Ship until a signal arrives."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone(args.spool))
        deliveries: list[Delivery] = [ToMongo(lambda: open_log(args.mongodb_uri or None, folder=args.log_folder), keep_days=args.keep_days)]
        deliveries += [ToMonitor(args.monitor_url)] if args.monitor_url else []
        for delivery in deliveries:
            stack.callback(delivery.close)
        priority.step_back()
        print(f"shipper: serving {args.spool} to {' and '.join(delivery.name for delivery in deliveries)}", flush=True)
        ship(args.spool, deliveries)
    return {}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, ShipperFlags)
