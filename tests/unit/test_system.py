"""What every room builds on: ports, locks, and files that are whole or not there."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from driftloop.errors import SettingsError
from driftloop.system import files, lock
from driftloop.system.ports import free_ports, port_fault


def test_a_port_is_free_until_somebody_listens_there() -> None:
    first, second = free_ports(2)
    assert first != second
    assert port_fault(first) == port_fault(0) == ""
    with socket.create_server(("127.0.0.1", first)):
        assert port_fault(first) == "is taken"
    assert port_fault(first) == ""


def test_an_address_of_another_machine_is_named_as_such() -> None:
    assert port_fault(0, "192.0.2.1").startswith("cannot be used (")


def test_a_lock_is_one_holders_until_its_file_is_closed(tmp_path: Path) -> None:
    held = lock.hold(tmp_path / "lock", taken="mine")
    with pytest.raises(SettingsError, match="mine"):
        lock.hold(tmp_path / "lock", taken="mine")
    held.close()
    lock.hold(tmp_path / "lock", taken="mine").close()


def test_many_may_share_a_lock_that_nobody_holds_alone(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as one, (tmp_path / "lock").open() as other:
        assert lock.take(one, shared=True)
        assert lock.take(other, shared=True, wait=True)
        assert not lock.take(one)


def test_what_is_written_aside_appears_whole_or_leaves_the_old_file(tmp_path: Path) -> None:
    place = tmp_path / "state.json"
    files.replace_file(place, "old")
    with pytest.raises(ZeroDivisionError), files.aside(place) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert (place.read_text(), [path.name for path in tmp_path.iterdir()]) == ("old", ["state.json"])
    files.replace_file(place, "new")
    assert (place.read_text(), [path.name for path in tmp_path.iterdir()]) == ("new", ["state.json"])
