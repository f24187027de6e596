"""The benchmark of the table learner: tables become codes by the training rows alone, and the page says what was missed."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import script, table_streams, tables, tables_page

ROWS = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Car loans and car prices of a few rows; a category appears after the training rows, and values are missing."""
    made = tmp_path_factory.mktemp("tables")
    draw = np.random.default_rng(0)
    size = np.array(["20%", "0%", "10%"])[draw.integers(0, 3, ROWS)].astype(object)
    size[300], size[5] = "100%", None
    number = draw.normal(size=ROWS)
    number[7] = np.nan
    frame = pd.DataFrame({"id": range(ROWS), "size": size, "again": draw.integers(0, 2, ROWS) == 1, "value": number})
    frame["timestamp"] = pd.date_range("2020-01-01", periods=ROWS, freq="h")
    frame.assign(repaid=(np.nan_to_num(number) + frame["again"] > 0.5).astype(float)).to_csv(made / "car_loan.csv.gz", index=False)
    frame.assign(y_true=np.exp(np.nan_to_num(number))).to_csv(made / "car_price.csv.gz", index=False)
    return made


def test_a_text_is_its_place_among_those_of_the_training_rows_and_later_ones_follow(folder):
    one = table_streams.of_file(folder, "car_loan")
    assert one.stream.features == ("size", "again", "value")
    assert (one.kinds, one.sizes) == (("category", "boolean", "number"), (3, 0, 0))
    written = pd.read_csv(folder / "car_loan.csv.gz")["size"]
    known = {"0%": 0, "10%": 1, "20%": 2, "100%": 3}
    assert all(np.isnan(code) if pd.isna(text) else code == known[text] for text, code in zip(written, one.stream.rows[:, 0], strict=True))
    assert np.isnan(one.stream.rows[7, 2])
    assert (one.train, one.test, one.stream.label_names) == ((0, 280), (280, ROWS), (0.0, 1.0))


@pytest.mark.parametrize(("name", "better"), [("car_loan", 1), ("car_price", -1)])
def test_everything_is_measured_in_one_run_and_beats_the_constant(folder, monkeypatch, name, better):
    monkeypatch.setattr(tables, "SEEDS", (0, 1))
    found = json.loads(json.dumps(tables.of_table(table_streams.of_file(folder, name))))
    assert (found["trained"], found["tested"], len(found["ours"]), found["own"]) == (280, 120, 2, [])
    for scores in (*found["ours"], found["boosting"], found["network"]):
        assert better * scores["kpi"] > better * found["constant"]
    assert found["bare"] > 0 and found["network_ratio"] > 0


def measured(name, *, kpi=0.95, task="classification", own=(), bare=1.1, seconds=10.0):
    score = {"kpi": kpi, "kappa": 0.5, "kappa_temporal": -0.2}
    return {
        **{"name": name, "task": task, "rows": 100_000, "trained": 70_000, "tested": 30_000, "constant": 3000.0 if task == "regression" else 0.5},
        **{"boosting": score, "ours": [score] * 3, "own": [{"kpi": value} for value in own], "seconds": [seconds] * 3, "bare": bare},
        **{"network": score, "network_ratio": 0.7},
    }


def test_the_page_names_each_target_that_is_missed():
    found = {name: measured(name) for name in ("car_loan", "car_loan_dq", "cards")}
    found |= {"car_price": measured("car_price", kpi=730.0, task="regression"), "elec": measured("ELEC", own=(0.96,), bare=1.4, seconds=40.0)}
    found["taxi"] = measured("taxi", kpi=2.7871, task="regression")
    page = tables_page.page(found)
    assert "- met: car_loan: 95.00 %, at least 91.8 %" in page
    assert "- met: taxi: MAE 2.787, at most 2.869" in page
    missed = [line for line in page.splitlines() if line.startswith("- **missed**")]
    assert [line.split(": ")[1].split(" (")[0] for line in missed] == [
        "car_price",
        "ELEC",
        "a fit of 100,000 rows within 30 s",
        "at most 1.3 times a bare loop",
    ]
    assert "| ELEC | 70,000 | 30,000 | 50.00 | 95.00 | 95.00 | 96.00 [96.00, 96.00] | 95.00 [95.00, 95.00] | 0.50 | −0.20 |" in page
    assert "| car_price | 70,000 | 30,000 | 3,000 | 730 | 730 |  | 730 [730, 730] |" in page


def test_tables_that_are_not_there_are_named_before_anything_is_fitted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["tables.py", "--tables", str(tmp_path), "--out", str(tmp_path / "page.md")])
    assert script.run(tables.build_parser(), tables.measured) != 0
    assert "car_loan.csv.gz: no such file" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()
