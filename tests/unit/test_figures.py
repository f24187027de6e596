"""The README's results are those that the benchmarks wrote."""

from pathlib import Path

import pytest

from benchmarks import figures, script
from docs import results, tables
from driftloop.errors import DriftloopError


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
