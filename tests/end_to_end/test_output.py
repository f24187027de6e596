"""What is printed can be printed anywhere: a character that the terminal's encoding lacks becomes ASCII, and never an error after the work."""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from script_fixtures import Workshop, data_flags

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags
from driftloop.settings import ROOT
from monitoring.__main__ import COMMANDS

ENTRIES = (
    *("base_model", "deploy_model", "retrain_model", "lifecycle", "backtest", "rollback_model", "watch_table", "prediction_service.__main__"),
    *(module for module, _ in COMMANDS.values()),
    "examples.nyc_taxi.prepare",
)


class Narrow(io.TextIOWrapper):
    """A stream as Python opens it under such a locale."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)

    @property
    def written(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_what_the_encoding_lacks_is_written_in_ascii(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Narrow(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", Narrow(encoding))

    def work(_: Flags) -> tuple[dict[str, Any], int]:
        print("rows 0–420, κ 0.31 ± 0.02, 熱, \udce4")
        return {"name": "Wärme 熱"}, 0

    assert runner.run(work, parsing.parser("t", ""), [], Flags) == 0
    like = {
        "ascii": "rows 0-420, kappa 0.31 +- 0.02, \\u71b1",
        "latin-1": "rows 0-420, kappa 0.31 ± 0.02, \\u71b1",
        "cp1252": "rows 0–420, kappa 0.31 ± 0.02, \\u71b1",
        "utf-8": "rows 0–420, κ 0.31 ± 0.02, 熱",
    }
    assert out.written == like[encoding] + ", \\udce4\n"
    assert runner.run(work, parsing.parser("t", ""), ["--json"], Flags) == 0
    assert out.written.endswith('{"name": "W\\u00e4rme \\u71b1"}\n')


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entrys_help_is_printed_on_a_terminal_of_ascii(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Narrow("ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main(["--help"])
    assert ended.value.code == 0
    assert "--help" in stream.written


def test_every_entry_goes_through_the_one_door() -> None:
    """A script that runs by itself is in the list above, or measures and writes our own pages."""
    own = {"ops/dashboards.py", "docs/tables.py", "docs/take_screenshots.py", "monitoring/__main__.py"}
    behind_the_door = {module for module, _ in COMMANDS.values()}
    entries = {name.replace(".", "/") + ".py" for name in ENTRIES if name not in behind_the_door}
    folders = [ROOT, *(ROOT / name for name in ("monitoring", "examples/nyc_taxi", "prediction_service", "ops", "docs"))]
    found = {str(path.relative_to(ROOT)) for folder in folders for path in folder.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
    assert found - own - {"handler.py"} == entries


def test_a_script_ends_well_under_a_locale_without_utf8(workshop: Workshop, drifting_csv: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'm.db'}", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    command = [sys.executable, str(ROOT / "base_model.py"), *data_flags(drifting_csv), "--max_epochs", "1"]
    done = subprocess.run(command, env={**environment, "PYTHONCOERCECLOCALE": "0"}, cwd=tmp_path, capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("ascii").strip()
    assert b"Traceback" not in done.stderr


PRINTS = """
import pathlib, sys
from driftloop.cli import parsing, runner
def work(args):
    for number in range(30_000):
        print(number)
    print("a word", file=sys.stderr)
    pathlib.Path("done").touch()
    return {"a": 1}, 0
sys.exit(runner.run(work, parsing.parser("t", ""), None, dict))
"""


def printed_to(folder: Path, shell: str) -> tuple[int, str, bool]:
    """The exit code of a script of ours whose output goes where the shell's words say, the last line on stderr, and whether its work was done."""
    (folder / "prints.py").write_text(PRINTS)
    words = f"{sys.executable} prints.py {shell}; echo ${{PIPESTATUS[0]}} > code"
    done = subprocess.run(
        ["bash", "-c", words], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr, done.stderr
    return int((folder / "code").read_text()), (done.stderr.strip().splitlines() or [""])[-1], (folder / "done").exists()


@pytest.mark.parametrize("shell", ["| head -1", "2>&1 | head -1", "--json | true", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_the_work_is_done_whoever_reads_or_leaves(tmp_path: Path, shell: str) -> None:
    code, _, done = printed_to(tmp_path, shell)
    assert (code, done) == (0, True)


@pytest.mark.parametrize("shell", ["> /dev/full", "--json > /dev/full"])
def test_a_full_disk_under_stdout_is_one_line(tmp_path: Path, shell: str) -> None:
    code, told, _ = printed_to(tmp_path, shell)
    assert code == 14 and told.startswith("t: error: no space is left on the disk (stdout): make room")


@pytest.mark.parametrize("shell", ["--help | true", "--help >&-"])
def test_help_may_be_cut_short(tmp_path: Path, shell: str) -> None:
    assert printed_to(tmp_path, shell)[:2] == (0, "")


def test_unbuffered_output_appears_at_once(tmp_path: Path) -> None:
    (tmp_path / "prints.py").write_text(PRINTS.replace("range(30_000)", "range(1)").replace('print("a word", file=sys.stderr)', "import os; os._exit(3)"))
    done = subprocess.run(
        [sys.executable, "-u", "prints.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (3, b"0\n")


def test_a_current_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "prints.py").write_text(PRINTS)
    words = ["bash", "-c", f"mkdir gone; cd gone; rmdir ../gone; {sys.executable} {tmp_path / 'prints.py'}"]
    done = subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (14, "t: error: the current folder has been removed: change to another one\n")
