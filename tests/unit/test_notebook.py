"""examples/any_model.ipynb runs cell by cell, as a reader would run it, and says what its text says."""

import ast
import json
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from driftloop.settings import ROOT

NOTEBOOK = ROOT / "examples" / "any_model.ipynb"
BOOK: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in BOOK["cells"] if cell["cell_type"] == "code"]


def value_of(cell: str, names: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line if that is an expression, as a notebook shows it."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), names)
    return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names) if last else None


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[Any], Path]:
    """The names after the last cell, what each cell shows, and the folder that they ran in."""
    folder = tmp_path_factory.mktemp("book") / "examples"
    folder.mkdir()
    (folder.parent / "data").symlink_to(ROOT / "data")
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return names, [value_of(cell, names) for cell in CODE], folder


def test_its_verdict_is_the_spring_of_2020_and_its_kind_both(ran):
    names, _, _ = ran
    watch = names["watch"]
    first = watch.blocks.query("drift").start.min()
    assert pd.Timestamp("2020-03-16") < first < pd.Timestamp("2020-04-20")
    assert watch.kind == "both"
    assert any("reference period is drifting" in note for note in watch.notes)
    assert names["strict"].drift
    assert names["strict"].result.threshold == 3.5


def test_its_model_learned_only_from_rides_before_those_it_is_judged_on(ran):
    names, _, _ = ran
    assert names["past"].pickup_time.max() < names["table"].pickup_time.min()


def test_its_cells_show_tables_a_figure_and_a_report(ran):
    _, shown, folder = ran
    tables = [value for value in shown if isinstance(value, pd.DataFrame)]
    assert len(tables) == 2
    assert tables[1].drift.any()
    assert not tables[1].drift.all()
    assert sum(isinstance(value, go.Figure) for value in shown) == 1
    assert shown[-1] == Path("taxi.html")
    assert (folder / "taxi.html").stat().st_size > 100_000


def test_it_is_committed_without_outputs():
    for cell in BOOK["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    assert len(CODE) <= 12
    assert NOTEBOOK.stat().st_size < 30_000
