"""Replaces a served model version by a new one without losing a request.

    register → every worker READY → golden predictions right → set default → move alias → drain old → unregister old

Each step is written to a journal before it is done. After a crash `recover` repairs the state at the next
start: before the golden predictions matched it undoes the swap, after that it finishes it. A lock beside the journal
keeps two processes from swapping at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from driftloop.errors import DriftloopError, ServingError, UnansweredError
from driftloop.serving import archive, exclusive, golden
from driftloop.system import files

if TYPE_CHECKING:
    from driftloop.serving.torchserve import TorchServeClient

REGISTER, GOLDEN, SET_DEFAULT, MOVE_ALIAS, DRAIN, UNREGISTER = "register", "golden", "set_default", "move_alias", "drain", "unregister"
DONE, UNDO, UNDONE = "done", "undo", "undone"
STEPS = (REGISTER, GOLDEN, SET_DEFAULT, MOVE_ALIAS, DRAIN, UNREGISTER, DONE, UNDO, UNDONE)
FORWARD = (SET_DEFAULT, MOVE_ALIAS, DRAIN, UNREGISTER)  # a swap interrupted in one of these is finished

# A request sent before the default changed may reach the queue after it: the queue must stay empty this long.
QUIET_S = 1.0
ATTEMPTS = 3  # attempts to have the golden rows answered when the worker dies
POLL_S = 0.05
DRAIN_S = 60.0  # for the last requests of a version


@dataclass(frozen=True)
class Entry:
    """The journal: one swap, and the step about to be done.

    The run ids are those in the archives: another store has the same version numbers.
    """

    name: str
    version: str
    previous_version: str | None
    step: str
    reason: str = ""  # why it was undone
    run_id: str = ""
    previous_run_id: str = ""
    decision: str = ""  # why it was begun, as `promotion_log.Promotion.text` writes it


def _swapping(journal: Path) -> AbstractContextManager[None]:
    return exclusive.alone(journal.with_suffix(".lock"), taken=f"another process is swapping models there ({journal}): wait until it has ended, then try again")


def swap_in(
    client: TorchServeClient,
    *,
    mar: Path,
    name: str,
    version: str,
    run_id: str,
    previous_version: str | None,
    known: golden.Golden,
    journal: Path,
    move_alias: Callable[[], None],
    decision: str = "",
    drain_timeout_s: float = DRAIN_S,
) -> bool:
    """Serve `version` instead of `previous_version`.

    Args:
        client: the TorchServe that serves the previous version and keeps serving throughout.
        mar: archive of the new version.
        name: model name.
        version: the new version; not registered yet.
        run_id: the run that trained it, as in its archive.
        previous_version: the version served now; None for the first.
        known: golden rows that the new version must match before it takes traffic.
        journal: file of this TorchServe's swaps; its folder is created when absent.
        move_alias: points the registry's alias to the new version; may be called twice.
        decision: what `recover` is to know of the alias's move.
        drain_timeout_s: time for the old version to finish its last requests.

    Returns:
        whether the old version is gone. False when it still had requests, or could not be unregistered: the next swap or
        `recover` tries again.

    Raises:
        ServingError: the new version did not load or answers wrongly, or the alias could not be moved.
            The previous version keeps serving and the new one is unregistered. Or another process is swapping.
    """
    with _swapping(journal):
        _check_start(client, name=name, version=version, previous_version=previous_version, journal=journal)
        previous_run_id = run_of(client, name=name, version=previous_version) if previous_version else ""
        entry = Entry(name, version, previous_version, REGISTER, run_id=run_id, previous_run_id=previous_run_id, decision=decision)
        entry = _forward(client, entry, mar=mar, known=known, journal=journal, move_alias=move_alias, drain_timeout_s=drain_timeout_s)
        return _retire_previous(client, journal, entry, drain_timeout_s=drain_timeout_s)


def _forward(
    client: TorchServeClient, entry: Entry, *, mar: Path, known: golden.Golden, journal: Path, move_alias: Callable[[], None], drain_timeout_s: float
) -> Entry:
    """The steps up to the alias, or their undoing; returns the entry of the last one."""
    name, version = entry.name, entry.version
    try:
        _write(journal, entry)
        client.register(mar, name=name, version=version)
        client.wait_ready(name=name, version=version)
        entry = _write(journal, replace(entry, step=GOLDEN))
        _prove(client, known, entry)
        _check_default(client, entry)
        entry = _write(journal, replace(entry, step=SET_DEFAULT))
        client.set_default(name=name, version=version)
        entry = _write(journal, replace(entry, step=MOVE_ALIAS))
        move_alias()
    except DriftloopError as exc:
        kept = f"version {entry.previous_version} keeps serving" if entry.previous_version else "nothing is served"
        try:
            _undo(client, journal, replace(entry, reason=str(exc)), drain_timeout_s=drain_timeout_s)
        except ServingError as undoing:
            kept = f"undoing it failed as well ({undoing}); the next start tries again"
        raise ServingError(f"{name} {version} was not swapped in, step {entry.step}: {exc}; {kept}") from exc
    return entry


def _prove(client: TorchServeClient, known: golden.Golden, entry: Entry) -> None:
    """Like `golden.prove`, with retries when a worker dies; the server restarts it."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            golden.prove(client, known, name=entry.name, version=entry.version, run_ids={entry.run_id})
            return
        except UnansweredError:
            if attempt == ATTEMPTS:
                raise
            client.wait_ready(name=entry.name, version=entry.version)


def recover(client: TorchServeClient, journal: Path, *, move_alias: Callable[[str], None]) -> Entry | None:
    """Finish or undo a swap that a crash interrupted; call it at every start, before the next swap.

    A restarted server has forgotten both versions: then only the alias is corrected, and the
    caller registers the version that the alias points to.

    Args:
        client: the TorchServe, started.
        journal: as given to `swap_in`; nothing happens when it is absent or its swap has ended.
        move_alias: points the alias to the given version; may be called when it does already.

    Returns:
        The repaired swap, its step "done", "undone", or "drain" when the old version still has
        requests (the next call tries again); None without an interrupted swap.

    Raises:
        ServingError: the server does not answer, the journal is unreadable, or another process is swapping.
    """
    entry = read_journal(journal)
    if entry is None or entry.step in (DONE, UNDONE):
        return None
    with _swapping(journal):
        return _repaired(client, journal, move_alias=move_alias)


def _repaired(client: TorchServeClient, journal: Path, *, move_alias: Callable[[str], None]) -> Entry | None:
    entry = read_journal(journal)
    if entry is None or entry.step in (DONE, UNDONE):
        return None  # another process has repaired it
    known = _holds(client, entry.name, entry.version, entry.run_id)
    # Before the alias was moved, a version that the server has forgotten is simply not swapped in.
    if entry.step not in FORWARD or (entry.step == SET_DEFAULT and not known):
        _undo(client, journal, replace(entry, reason=entry.reason or f"interrupted at step {entry.step}"), drain_timeout_s=DRAIN_S)
        return read_journal(journal)
    if known:
        client.wait_ready(name=entry.name, version=entry.version)
        client.set_default(name=entry.name, version=entry.version)
    move_alias(entry.version)
    _retire_previous(client, journal, entry, drain_timeout_s=DRAIN_S)
    return read_journal(journal)


def drain(client: TorchServeClient, *, name: str, version: str, timeout_s: float) -> bool:
    """Wait until a version has answered its last request; False when some are still queued after `timeout_s` and a second.

    New requests must already go to another default version. A version with several
    workers may still be busy with a request that takes longer than that second.
    """
    now = time.monotonic()
    end, quiet_since = now + timeout_s + QUIET_S, now
    while now - quiet_since < QUIET_S:
        if now > end:
            return False
        if client.pending_requests(name=name, version=version):
            quiet_since = time.monotonic()
        time.sleep(POLL_S)
        now = time.monotonic()
    client.knock(name=name, version=version)  # the queue is empty, but its last request may still be processed
    return True


def read_journal(journal: Path) -> Entry | None:
    """The journal's swap, or None when there is none.

    Raises:
        ServingError: the file exists but is not a journal.
    """
    try:
        entry = Entry(**json.loads(journal.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as exc:
        raise ServingError(f"the swap journal {journal} cannot be read ({exc}): check which version serves, then remove the file") from exc
    if entry.step not in STEPS:
        raise ServingError(f"the swap journal {journal} has the unknown step {entry.step!r}: check which version serves, then remove the file")
    return entry


def run_of(client: TorchServeClient, *, name: str, version: str) -> str:
    """The run that trained a registered version, from its archive's name; "" without one."""
    return archive.run_in(str(client.describe(name=name, version=version)["modelUrl"]))


def _holds(client: TorchServeClient, name: str, version: str | None, run_id: str) -> bool:
    """Whether the server has exactly this version: the number may belong to another model by now."""
    return version is not None and version in client.versions(name=name) and run_of(client, name=name, version=version) == run_id


def _check_default(client: TorchServeClient, entry: Entry) -> None:
    """Refuse to replace a version that someone else made the default while ours was loading."""
    now = client.default_version(name=entry.name)
    if now not in (entry.version, entry.previous_version):
        raise ServingError(f"someone else made version {now} the default of {entry.name} in the meantime")


def _check_start(client: TorchServeClient, *, name: str, version: str, previous_version: str | None, journal: Path) -> None:
    entry = read_journal(journal)
    retired = entry and entry.step in (DRAIN, UNREGISTER) and _retire_previous(client, journal, entry, drain_timeout_s=0)
    if entry and entry.step not in (DONE, UNDONE) and not retired:
        raise ServingError(f"the swap to {entry.name} {entry.version} was interrupted at step {entry.step}: recover it first")
    registered = client.versions(name=name)
    if version in registered:
        raise ServingError(f"{name} {version} is registered already: give the new model a new version")
    if previous_version and previous_version not in registered:
        raise ServingError(f"{name} {previous_version} is to be replaced but is not served; registered: {', '.join(registered) or 'none'}")


def _retire_previous(client: TorchServeClient, journal: Path, entry: Entry, *, drain_timeout_s: float) -> bool:
    """Drain and unregister the previous version; False when it has to be tried again.

    The new version serves already, so a failure here is not the swap's.
    """
    name, previous = entry.name, entry.previous_version
    try:
        _write(journal, replace(entry, step=DRAIN))
        if previous and _holds(client, name, previous, entry.previous_run_id):
            if not drain(client, name=name, version=previous, timeout_s=drain_timeout_s):
                return False
            _write(journal, replace(entry, step=UNREGISTER))
            client.unregister(name=name, version=previous)
        _write(journal, replace(entry, step=DONE))
    except ServingError:
        return False
    return True


def _undo(client: TorchServeClient, journal: Path, entry: Entry, *, drain_timeout_s: float) -> None:
    """Make the previous version the default again and unregister the new one, if the server has it."""
    _write(journal, replace(entry, step=UNDO))
    if _holds(client, entry.name, entry.version, entry.run_id):
        registered = client.versions(name=entry.name)
        if entry.previous_version in registered and client.default_version(name=entry.name) == entry.version:
            client.set_default(name=entry.name, version=str(entry.previous_version))
            drain(client, name=entry.name, version=entry.version, timeout_s=drain_timeout_s)
        client.unregister(name=entry.name, version=entry.version)
    _write(journal, replace(entry, step=UNDONE))


def _write(journal: Path, entry: Entry) -> Entry:
    """Replace the journal atomically, synced to disk; return the entry."""
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        files.replace_file(journal, json.dumps(asdict(entry)))
        files.sync_folder(journal.parent)  # the rename itself
    except OSError as exc:
        raise ServingError(f"the swap journal {journal} cannot be written: {exc}; make room there or fix its permissions") from exc
    return entry
