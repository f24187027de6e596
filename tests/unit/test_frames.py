"""Tables of other libraries are watched like those of pandas."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from predictions_sample import REFERENCE, predictions

import driftloop as dl
from driftloop.data.files import frames
from driftloop.errors import SettingsError

TABLE = predictions().assign(when=lambda table: pd.to_datetime(table.when))
COLUMNS: dict[str, Any] = {"target": "y_true", "prediction": "y_pred", "probability": "proba", "time": "when", "reference": REFERENCE, "block": 100}
WHOLE = dl.watch(TABLE, **COLUMNS)


class Exported:
    """As a DataFrame of polars: only the PyCapsule interface is used of it."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Distributed:
    """As a DataFrame of Spark: it remembers which columns were collected."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table, self.columns, self.collected = table, list(table.columns), list[str]()

    def select(self, *names: str) -> Distributed:
        self.collected += [name.removeprefix("`").removesuffix("`").replace("``", "`") for name in names]
        return self

    def toPandas(self) -> pd.DataFrame:
        return self.table[self.collected].copy()


class Convertible:
    def to_pandas(self) -> pd.DataFrame:
        return TABLE


def arrow(table: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(table, preserve_index=False)


MAKERS: dict[str, Any] = {
    "a table of Arrow": arrow,
    "a record batch": lambda table: pa.RecordBatch.from_pandas(table, preserve_index=False),
    "a reader": lambda table: arrow(table).to_reader(),
    "dictionaries": lambda table: arrow(table.astype({"fuel": "category"})),
    "the PyCapsule interface": lambda table: Exported(arrow(table)),
    "Spark's interface": Distributed,
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_table_of_another_library_has_the_verdicts_of_its_pandas_frame(name: str) -> None:
    made = MAKERS[name]
    watch = dl.watch(made(TABLE[:4000]), **COLUMNS).update(made(TABLE[4000:]))
    assert watch.verdict == WHOLE.verdict
    pd.testing.assert_frame_equal(watch.blocks, WHOLE.blocks)
    assert watch.findings == WHOLE.findings


def test_what_knows_its_own_way_to_pandas_is_asked_for_it() -> None:
    assert dl.watch(Convertible(), **COLUMNS).verdict == WHOLE.verdict


def test_only_the_columns_that_are_needed_are_collected() -> None:
    table = Distributed(TABLE.assign(secret=1, wide="text"))
    dl.watch(table, **COLUMNS, features=["x"], segments="fuel")
    assert sorted(table.collected) == ["fuel", "proba", "when", "x", "y_pred", "y_true"]
    table = Distributed(TABLE.assign(secret=1, wide="text"))
    dl.watch(table, **COLUMNS, leave_out=["secret", "fuel"], segments="fuel")
    assert sorted(table.collected) == ["fuel", "proba", "when", "wide", "x", "y_pred", "y_true"]


def test_labels_alone_come_from_any_library() -> None:
    table = TABLE.assign(number=range(len(TABLE)), y_true=TABLE.y_true.astype(float))
    lacking = table.assign(y_true=table.y_true.where(table.index < 4000))
    watch = dl.watch(arrow(lacking[:4500]), **COLUMNS, id="number").update(arrow(table[4000:4500][["number", "y_true"]]))
    assert watch.verdict == dl.watch(table[:4500], **COLUMNS, id="number").verdict


@pytest.mark.parametrize("given", [[1, 2], {"y_true": [1]}, None, 7])
def test_what_is_no_table_is_one_line(given: Any) -> None:
    with pytest.raises(SettingsError, match="a table is needed, not a") as caught:
        dl.watch(given, **COLUMNS)
    assert "\n" not in str(caught.value)


def test_without_pyarrow_parquet_and_arrow_name_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    TABLE.to_parquet(tmp_path / "p.parquet")
    exported, found = Exported(arrow(TABLE)), builtins.__import__

    def without(name: str, *rest: Any, **given: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return found(name, *rest, **given)

    monkeypatch.setattr(builtins, "__import__", without)
    for given in (tmp_path / "p.parquet", exported):
        with pytest.raises(SettingsError, match=r"needs pyarrow, which is not installed: pip install '\.\[parquet\]'") as caught:
            dl.watch(given, **COLUMNS)
        assert "\n" not in str(caught.value)
    assert dl.watch(TABLE, **COLUMNS).verdict == WHOLE.verdict


def test_a_frame_of_pandas_is_not_copied() -> None:
    assert frames.as_pandas(TABLE) is TABLE
