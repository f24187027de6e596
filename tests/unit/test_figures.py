"""The README's results are those that the benchmarks wrote."""

import subprocess
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import figures, script
from docs import results, tables
from driftloop.errors import DriftloopError, ServingError
from driftloop.system.processes import Server


def test_the_readme_holds_the_figures_of_the_benchmarks():
    readme = tables.README.read_text(encoding="utf-8")
    assert tables.with_block(readme, "results", results.results_table()) == readme, "run make docs"


def test_the_first_column_is_the_taxis_year_and_the_others_are_elecs():
    cells = {row[0]: row[1:] for line in results.results_table().splitlines() if (row := [cell.strip() for cell in line.strip("|").split("|")])}
    assert [len(row) for row in cells.values()] == [3] * len(cells)
    assert "taxi" in cells[""][0] and all("ELEC" in title for title in cells[""][1:])
    taxi = (results.BENCHMARKS / "taxi.md").read_text(encoding="utf-8")
    served, unretrained = cells["**served model**"][0].strip("*"), cells["base model, never retrained, same rows"][0]
    (year,) = [line for line in taxi.splitlines() if line.startswith("| **year**")]
    assert f"| **{served}** |" in year and f"| {unretrained} |" in year
    assert cells["difference"][0] == f"−{float(unretrained) - float(served):.2f} minutes"


def test_a_page_without_a_figure_is_one_line(tmp_path: Path):
    for name in ("taxi.md", "figures.md"):
        text = (results.BENCHMARKS / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("never retrained", "left alone"), encoding="utf-8")
    with pytest.raises(DriftloopError, match=r"taxi\.md or figures\.md lacks"):
        results.results_table(tmp_path)


def test_the_figures_name_the_commands_that_were_run():
    page = script.page_of(figures.__file__).read_text(encoding="utf-8")
    for flags in figures.LIFECYCLES.values():
        assert f"`{' '.join(['python lifecycle.py', *flags])}`" in page


def test_a_result_is_measured_again_unless_it_may_be_reused(tmp_path: Path):
    kept = tmp_path / "new" / "result.json"
    assert [script.kept(kept, lambda value=value: value, reuse=reuse) for value, reuse in ((1, True), (2, True), (3, False))] == [1, 1, 3]


def test_a_table_aligns_numbers_to_the_right_and_leaves_empty_cells_empty():
    assert script.table(" | pair, hour: fixed: | why", [["a", 1, ""], ["b", "", ""]]).splitlines() == [
        "| | pair, hour: fixed | why |",
        "|---|---:|---|",
        "| a | 1 | |",
        "| b | | |",
    ]


def test_a_server_that_ends_or_is_late_is_one_line(tmp_path: Path):
    with Server(["sh", "-c", "echo no port; exit 3"], log=tmp_path / "log") as server, pytest.raises(ServingError, match="shipper has ended: no port"):
        script.wait_until(lambda: False, servers={"shipper": server}, within_s=20)
    with Server(["sleep", "20"], log=tmp_path / "log") as server, pytest.raises(ServingError, match=r"shipper: not ready after 0 s"):
        script.wait_until(lambda: False, servers={"shipper": server}, within_s=0)


def test_a_failed_run_writes_no_page_and_gives_its_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    page = tmp_path / "page.md"
    monkeypatch.setattr("sys.argv", ["any", "--out", str(page)])

    def fails(args: Namespace) -> str:
        raise subprocess.CalledProcessError(9, ["lifecycle.py", "--json"])

    assert script.run(script.parser("any.py", None), fails) == 9
    assert capsys.readouterr().err == "benchmarks.any: error: lifecycle.py --json ended with exit code 9\n"
    assert not page.exists()
    assert script.run(script.parser("any.py", None), lambda args: script.page("Any", "", f"Written by `{args.command}`.")) == 0
    assert page.read_text(encoding="utf-8") == f"# Any\n\nWritten by `python -m benchmarks.any --out {page}`.\n"
