"""Values at the edge: few rows, large offsets, constant columns, a missing value beside a possible one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from driftloop.data import streams
from driftloop.data.blocks import Block
from driftloop.metrics import data_quality
from driftloop.training.table.table_datamodule import TableDataModule
from elec_datamodule import ElecDataModule
from elec_model import ElecModel, stack_windows
from monitoring.online import input_tests


@pytest.mark.parametrize("data", [ElecDataModule, TableDataModule])
def test_every_number_of_rows_makes_batches(data: type[ElecDataModule | TableDataModule]) -> None:
    rows, labels = np.zeros((400, 1)), np.zeros(400, np.int64)
    assert all(data(rows, labels, train=(0, stop)).batch_size >= 8 for stop in range(1, 401))


@pytest.mark.parametrize("offset", [0.0, 20_000_000.0, 1.7e9, -1.7e12])
def test_an_offset_changes_nothing_that_the_network_reads(offset: float) -> None:
    rows = np.random.default_rng(0).integers(0, 1000, (60, 1)).astype(np.float64)
    read = []
    for values in (rows, rows + offset):
        model = ElecModel(features=1, history=8)
        model.learn_scale(values)
        read.append(model.describe(torch.from_numpy(stack_windows(values, history=8).copy())).numpy())
    np.testing.assert_allclose(read[1], read[0], atol=1e-6 if abs(offset) < 1e10 else 1e-4)  # 1.7e12 has four digits left after the point


@pytest.mark.parametrize("value", [0.0, 5.0, 1e308, -1e39, 5e-324, 1.7e9])
def test_a_constant_column_and_one_of_rounding_noise_have_a_scale_of_their_own_size(value: float) -> None:
    for column in (np.full(50, value), np.where(np.arange(50) % 2, value, np.nextafter(value, 0))):
        model = ElecModel(features=1)
        model.learn_scale(column[:, None])
        assert np.isfinite(float(model.scale)) and float(model.scale) > 0
        assert np.isfinite(model.probabilities(np.array([[value], [0.0], [-value], [1e308]]))).all()


def test_values_whose_squares_overflow_have_a_finite_scale() -> None:
    model = ElecModel(features=1, history=2)
    rows = np.array([[1e308], [-1e308], [1.5e308], [0.0]])
    model.learn_scale(rows)
    assert np.isfinite(float(model.scale)) and np.isfinite(model.probabilities(rows)).all()


def table(folder: Path) -> Path:
    """The first half has small loads; the second large ones, and heat is missing in all but three of its rows."""
    rows = 40
    frame = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=rows, freq="h"), "load": np.linspace(0, 1, rows).round(3), "heat": 0.5})
    frame.loc[23:, "heat"] = np.nan
    frame["label"] = np.arange(rows) % 2
    frame.to_csv(folder / "own.csv", index=False)
    return folder / "own.csv"


def test_a_missing_value_is_called_missing_and_the_others_of_its_row_are_not_called_impossible(tmp_path: Path) -> None:
    stream = streams.load(table(tmp_path), time_column="time", target="label", bad_rows="set_aside")
    found = data_quality.of_block(stream, Block(0, 0, len(stream)))
    assert found.reasons == (("heat is missing", 17),)
    assert "impossible" not in found.message and "data quality and no drift" not in found.message
    assert "the 17 rows set aside (heat is missing: 17) differ in it" in found.message


def test_an_impossible_value_is_called_impossible(tmp_path: Path) -> None:
    path = table(tmp_path)
    frame = pd.read_csv(path).fillna({"heat": 0.5})
    frame.loc[5, "load"] = 500
    frame.to_csv(path, index=False)

    def check(given: pd.DataFrame) -> dict[int, str]:
        return {int(row): f"load over 1 ({given['load'][row]})" for row in np.flatnonzero(given["load"] > 1)}

    stream = streams.load(path, time_column="time", target="label", bad_rows="set_aside", check=check)
    assert "impossible values (up to 500)" in data_quality.of_block(stream, Block(0, 0, len(stream))).message


def test_a_category_has_no_mean_that_could_jump(tmp_path: Path) -> None:
    path = table(tmp_path)
    pd.read_csv(path).assign(heat=lambda given: given["load"] * 1000 // 100).to_csv(path, index=False)
    (tmp_path / "my.yaml").write_text("heat: {kind: category}")

    def check(given: pd.DataFrame) -> dict[int, str]:
        return dict.fromkeys(range(35, 40), "heat over 8 (9)")

    asked = {"time_column": "time", "target": "label", "bad_rows": "set_aside", "features": ["heat"], "check": check}
    quality = [data_quality.of_block(stream, Block(0, 0, len(stream))) for stream in (
        streams.load(path, **asked), streams.load(path, **asked, schema=tmp_path / "my.yaml", values_as_they_are=True))]  # fmt: skip
    assert [one.set_aside for one in quality] == [5, 5]
    assert "the mean of heat would be" in quality[0].message and not quality[1].message


def test_a_value_equals_the_one_that_a_table_of_float32_holds_of_it() -> None:
    values = np.random.default_rng(1).choice([0.1, 0.2, 0.6], 2000)
    (test,) = input_tests.compare(values[:1500, None].astype(np.float32).astype(np.float64), values[1500:, None], names=("x",), alpha=0.05, rows=200)
    assert not test.moved and test.distance < 0.2


def test_a_drift_in_the_last_digits_of_a_large_number_is_found() -> None:
    rng = np.random.default_rng(2)
    old, new = 1.7e9 + rng.random((2000, 1)), 1.7e9 + 2 + rng.random((400, 1))
    (test,) = input_tests.compare(old, new, names=("x",), alpha=0.05, rows=100)
    assert test.moved
