"""Places that cannot be written are found before the work: full disks, read-only ones, folders, names that are too long."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from script_fixtures import Workshop

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags
from driftloop.errors import DriftloopError, PlaceError
from driftloop.report.watch_report import check_place
from driftloop.system import places

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a small disk of its own is mounted by root only")
TINY = 64 * 1024  # bytes


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own that has room for a few small files only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TINY}", "tmpfs", str(disk)], check=True)
    try:
        (disk / "fill").write_bytes(bytes(TINY // 2))
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    lines = (f"2024-01-{1 + row // 24:02d} {row % 24:02d}:00:00,{row * 37 % 100 / 100},{row * 37 % 100 > 50:d}" for row in range(600))
    path.write_text("\n".join(["time,x1,target", *lines]))
    return path


def left_nothing(workshop: Workshop, disk: Path) -> bool:
    return not (workshop.folder / "mlflow.db").exists() and [path.name for path in disk.iterdir()] == ["fill"]


@needs_root
@pytest.mark.parametrize("script", ["lifecycle", "deploy_model"])
@pytest.mark.parametrize("name", ["report.html", "new/folder/report.html"])
def test_a_report_for_a_full_disk_is_refused_before_anything_is_trained(workshop: Workshop, table: Path, full: Path, script: str, name: str) -> None:
    ran = workshop.run(script, "--data_path", table, "--time_column", "time", "--report", full / name)
    assert ran.code == 1
    assert "No space left on device; give another place" in ran.complaint(script)
    assert left_nothing(workshop, full)


@needs_root
@pytest.mark.parametrize("script", ["base_model", "deploy_model", "retrain_model", "lifecycle"])
def test_a_full_folder_for_temporary_files_is_one_line_with_a_code_of_its_own(workshop: Workshop, table: Path, full: Path, script: str) -> None:
    ran = workshop.run(script, "--data_path", table, "--time_column", "time", TMPDIR=str(full))
    assert ran.code == 14
    assert f"the folder for temporary files, TMPDIR={full}, cannot be used: No space left on device; make room (16 MB)" in ran.complaint(script)
    assert left_nothing(workshop, full)


@needs_root
def test_a_disk_that_is_read_only_is_refused(full: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(full)], check=True)
    with pytest.raises(DriftloopError, match="is not a writable folder; give another place"):
        check_place(full / "report.html")


@pytest.mark.parametrize(
    ("name", "why"),
    [("", "it is a folder"), ("file/x.html", "is not a writable folder"), ("n" * 300, "File name too long"), ("n" * 300 + "/x.html", "File name too long")],
)
def test_what_is_no_place_for_a_file_is_refused(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DriftloopError, match=why):
        check_place(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text("old")
    check_place(tmp_path / "old.html")
    check_place(tmp_path / "not" / "there" / "yet.html")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.html", "old")]


def test_a_place_behind_a_folder_that_may_not_be_entered_is_refused(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DriftloopError, match="Permission denied; give another place"):
        check_place(locked / "report.html")
    monkeypatch.setenv("TMPDIR", str(locked / "tmp"))
    with pytest.raises(PlaceError, match="cannot be used"):
        places.check_temporary()


def test_a_place_whose_whole_path_is_too_long_is_refused() -> None:
    assert places.unwritable(Path("/tmp", *["n" * 200] * 30)) == "File name too long"


def test_a_folder_for_temporary_files_that_is_none_is_not_replaced_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    with pytest.raises(PlaceError, match="it is not an accessible folder"):
        places.check_temporary()


def test_a_disk_that_runs_full_in_the_middle_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def work(_: object) -> tuple[dict[str, object], int]:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/x.mar")

    assert runner.run(work, parsing.parser("some.script", ""), [], Flags) == 14
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("some.script: error: no space is left on the disk (/tmp/x.mar): make room")


def test_other_faults_of_the_system_are_not_called_a_full_disk() -> None:
    def work(_: object) -> tuple[dict[str, object], int]:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        runner.run(work, parsing.parser("some.script", ""), [], Flags)
