"""Runs the retrains requested by alerts: one per alert, one at a time, with their outcomes.

An alert that keeps firing after a retrain kept the champion may request another, after the cool-down and with newer labelled
rows: after an abrupt change the first challenger has hardly seen the new regime.

The state is kept in a folder, so that a repeated alert is recognised after a restart:

    retrains.json    the newest retrains; written atomically
    lock             held (flock) by the one hook that uses the folder; the kernel releases it when the hook ends
    retrain-*.log    the output of each retrain; of a command of one's own only its stdout, its stderr is in retrain-*.stderr.log
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from driftloop.errors import DataError, DriftloopError
from driftloop.settings import ASKED_BY
from driftloop.system import files, lock, processes
from monitoring.prometheus import Sample
from monitoring.records import events
from monitoring.retrain.alerts import Alert
from monitoring.retrain.commands import Command
from monitoring.retrain.retrain_outcome import CUT_OFF, FAILED, KEPT, RUNNING, RetrainOutcome, failed, of_ours, of_own

BATCH: Final = "BatchDrift"  # the alert's name when batch monitoring asks
KNOWN: Final = 1000  # number of retrains remembered
MESSAGE: Final = 500  # characters
POLL_S: Final = 0.1
LOG = logging.getLogger("monitoring.retrain.retrains")


@dataclass(frozen=True)
class Retrain:
    """One retrain: its alert and its outcome."""

    key: str  # of the alert
    alert: str
    stream: str
    started_at: str
    until_time: str  # only rows before this time were used
    state: str  # running; promoted; kept: the old model serves on; retrained: an own command that says neither; failed; cut off: the hook died first
    message: str = ""
    version: str = ""  # the new version, when promoted
    ended_at: str = ""
    log: str = ""  # the file with its output


class BusyError(Exception):
    """Not possible now; retry later."""


class Retrains:
    """Starts retrains for alerts.

    Args:
        folder: of the state; created when absent.
        command: returns the command that retrains a stream on rows before a time.
        until: returns that time for a stream, from the monitor.
        cool_down_s: minimum pause after the end of a stream's last retrain.
        timeout_s: a longer retrain is stopped.
        fault: why a stream cannot be retrained, "" if it can: what would fail is recorded as failed, and nothing starts.

    Raises:
        SettingsError: another hook uses the folder.
        DataError: the record of earlier retrains is unreadable.
    """

    def __init__(
        self,
        folder: Path,
        *,
        command: Callable[[str, str], Command],
        until: Callable[[str], str],
        cool_down_s: float,
        timeout_s: float = 6 * 3600,
        fault: Callable[[str], str] = lambda _: "",
    ) -> None:
        self.folder, self._command, self._until, self._cool_down_s, self._timeout_s = folder, command, until, cool_down_s, timeout_s
        self._fault = fault
        folder.mkdir(parents=True, exist_ok=True)
        self._mutex = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = lock.hold(folder / "lock", taken=f"another retrain hook uses {folder}: stop it, or give another --state")
        self._known = {(one.key, one.started_at): one for one in remembered(folder)}
        self._forget_dead()

    @property
    def known(self) -> list[Retrain]:
        """All remembered retrains, newest first."""
        with self._mutex:
            return list(self._known.values())[::-1]

    def samples(self) -> Iterator[Sample]:
        """The samples for Prometheus."""
        known = self.known
        for (stream, state), number in Counter((one.stream, _word(one.state)) for one in known).items():
            yield Sample("driftloop_retrains", (stream, state), number)
        for stream, one in {one.stream: one for one in reversed(known)}.items():
            yield Sample("driftloop_last_retrain", (stream, _word(one.state)), 1)
            yield Sample("driftloop_last_retrain_start_timestamp_seconds", (stream,), events.parse_time(one.started_at).timestamp())
        for stream, one in {one.stream: one for one in reversed(known) if one.ended_at}.items():
            yield Sample("driftloop_last_retrain_end_timestamp_seconds", (stream, _word(one.state)), events.parse_time(one.ended_at).timestamp())

    def ask(self, alert: Alert) -> Retrain:
        """The retrain for an alert: its earlier one unless another is warranted, else a new one, started now.

        Raises:
            BusyError: a retrain runs, the stream's cool-down is not over, or the monitor does not report the newest labelled row.
        """
        with self._mutex:
            before = next((one for one in reversed(self._known.values()) if one.key == alert.key), None)
            if before and (before.state not in {CUT_OFF, KEPT} or (before.state == KEPT and self._rest_s(alert.stream) > 0)):
                return before
            if self._thread and self._thread.is_alive():
                raise BusyError("a retrain is running")
            rest_s = self._rest_s(alert.stream)
            if rest_s > 0:
                raise BusyError(f"the last retrain of {alert.stream} has just ended; the next may start in {rest_s:.0f} s")
            until_time = self._until(alert.stream)
            if before and before.state == KEPT and until_time <= before.until_time:
                return before
            started_at = events.now()
            if told := self._fault(alert.stream):
                return self._refused(Retrain(alert.key, alert.name, alert.stream, started_at, until_time, FAILED, failed(told).message, ended_at=started_at))
            log = self.folder / f"retrain-{alert.stream}-{started_at.replace(':', '').replace('.', '')}.log"
            one = Retrain(alert.key, alert.name, alert.stream, started_at, until_time, RUNNING, log=str(log))
            self._note(one)
            self._thread = threading.Thread(target=self._run, args=(one,), name="retrain", daemon=True)
            self._thread.start()
            return one

    def _refused(self, one: Retrain) -> Retrain:
        LOG.error("retrain of %s for %s not started: %s", one.stream, one.alert, one.message)
        self._note(one)
        return one

    def close(self) -> None:
        """Stop a running retrain, wait for it, and release the folder."""
        self._closed.set()
        if self._thread:
            self._thread.join()
        self._lock.close()

    def _rest_s(self, stream: str) -> float:
        """The rest of the cool-down, in seconds."""
        ended = [events.parse_time(one.ended_at) for one in self._known.values() if one.stream == stream and one.ended_at and one.state != CUT_OFF]
        return self._cool_down_s - (datetime.now(UTC) - max(ended)).total_seconds() if ended else 0.0

    def _run(self, one: Retrain) -> None:
        LOG.info("retrain of %s for %s, rows before %s: started, log %s", one.stream, one.alert, one.until_time, one.log)
        try:
            found = self._outcome(one)
        except DriftloopError as exc:  # its command cannot be built
            found = failed(str(exc))
        except (OSError, ValueError, KeyError, TypeError) as exc:  # it could not be started, or printed something else
            found = failed(f"{type(exc).__name__}: {exc}")
        ended = replace(one, state=found.state, message=found.message[:MESSAGE], version=found.version, ended_at=events.now())
        LOG.log(logging.ERROR if found.state == FAILED else logging.INFO, "retrain of %s %s: %s", one.stream, found.state, ended.message)
        with self._mutex:
            self._note(ended)

    def _outcome(self, one: Retrain) -> RetrainOutcome:
        command, log = self._command(one.stream, one.until_time), Path(one.log)
        errors = log.with_suffix(".stderr.log") if command.own else None
        env = {**command.env, **_reason(one, own=command.own)}
        end = time.monotonic() + self._timeout_s
        with processes.Server(command.words, log=log, errors=errors, env=env, folder=command.folder) as server:
            while server.code is None:
                if self._closed.is_set():
                    return RetrainOutcome(CUT_OFF, "the hook was stopped")
                if time.monotonic() > end:
                    fault = f"not done within {self._timeout_s:.0f} s"
                    return RetrainOutcome(FAILED, fault) if errors else failed(fault)
                time.sleep(POLL_S)
            code = server.code
        return of_own(code, out=log, errors=errors) if errors else of_ours(code, log)

    def _forget_dead(self) -> None:
        """A retrain that an earlier hook left running died with it: its alert may request another."""
        for one in [one for one in self._known.values() if one.state == RUNNING]:
            LOG.warning("the retrain of %s started at %s was cut off", one.stream, one.started_at)
            self._note(replace(one, state=CUT_OFF, message="the hook died before it ended", ended_at=events.now()))

    def _note(self, one: Retrain) -> None:
        self._known[one.key, one.started_at] = one  # the newest are at the end
        for which in list(self._known)[:-KNOWN]:
            del self._known[which]
        files.replace_file(self.folder / "retrains.json", json.dumps([asdict(known) for known in self._known.values()], indent=1))


def _word(state: str) -> str:
    return state.replace(" ", "_")


def _reason(one: Retrain, *, own: bool) -> dict[str, str]:
    if own:
        return {"DRIFTLOOP_REASON": one.alert}
    return {ASKED_BY: "batch monitoring" if one.alert == BATCH else f"the alert {one.alert}"}


def remembered(folder: Path) -> list[Retrain]:
    """The retrains in a hook's folder, oldest first; the hook may be running. Empty without such a folder.

    Raises:
        DataError: they are unreadable.
    """
    path = folder / "retrains.json"
    try:
        return [Retrain(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as exc:
        raise DataError(f"{path}: cannot be read ({exc}): move it away; firing alerts may then retrain once more") from exc
