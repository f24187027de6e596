"""The benchmark of the table learner: tables become codes by the training rows alone, and the page says what was missed, and of which rows."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from benchmarks import full_tables, script, table_streams, tables, tables_page
from driftloop.errors import DataError

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


def measured(name, *, kpi=0.95, boosting=0.94, rows=100_000, task="classification", own=(), bare=1.1, seconds=10.0):
    score = {"kpi": kpi, "kappa": 0.5, "kappa_temporal": -0.2}
    return {
        **{"name": name, "task": task, "rows": rows, "trained": 70_000, "tested": 30_000, "constant": 3000.0 if task == "regression" else 0.5},
        **{"boosting": score | {"kpi": boosting}, "ours": [score] * 3, "own": [{"kpi": value} for value in own], "seconds": [seconds] * 3, "bare": bare},
        **{"network": score, "network_ratio": 0.7},
    }


def test_the_page_names_each_target_that_is_missed():
    found = {"car_loan": measured("car_loan"), "cards": measured("cards", boosting=0.96, rows=120_000)}
    found |= {"car_price": measured("car_price", kpi=730.0, boosting=722.0, rows=120_000, task="regression")}
    found |= {"elec": measured("ELEC", own=(0.96,), bare=1.4, seconds=40.0)}
    found["taxi"] = measured("taxi", kpi=2.7871, boosting=2.87, task="regression") | {"constant": 7.25}
    page = tables_page.page(found)
    assert "- met: taxi: not worse than the model that it replaced (2.787 and 2.869)" in page
    assert "- met: car_loan: not worse than gradient boosting (95.00 and 94.00)" in page
    missed = [line.split(": ", 1)[1].split(" (")[0] for line in page.splitlines() if line.startswith("- **missed**")]
    assert missed == [
        "cards: not worse than gradient boosting",
        "car_price: not worse than gradient boosting",
        "ELEC: not worse than its own model",
        "a fit of 100,000 rows within 30 s",
        "at most 1.3 times a bare loop",
    ]
    assert "| ELEC | 70,000 | 30,000 | 50.00 | 94.00 | 95.00 | 96.00 [96.00, 96.00] | 95.00 [95.00, 95.00] | 0.50 | −0.20 |" in page
    assert "| car_price | 70,000 | 30,000 | 3,000 | 722 | 730 | | 730 [730, 730] |" in page


def test_the_page_says_whether_the_public_tables_were_whole():
    whole = {"car_loan": measured("car_loan"), "elec": measured("ELEC", rows=45_312)}
    assert "all rows of each" in tables_page.page(whole)
    part = whole | {"car_loan": measured("car_loan", rows=10_000)}
    assert "of which only a part was used: 10,000 of 100,000 rows of car_loan" in tables_page.page(part)


def test_small_tables_get_a_page_without_the_target_of_large_ones():
    page = tables_page.page({"car_loan": measured("car_loan", rows=10_000) | {"trained": 7_000, "tested": 3_000}})
    assert "10,000 of 100,000" in page and "a fit of 100,000 rows" not in page


def test_the_whole_tables_are_both_periods_in_time_order_with_their_targets(tmp_path):
    first = pd.DataFrame({"id": [0, 1], "a": ["x", None], "timestamp": ["2018-01-01", "2018-01-02"], "y_pred": 1, "y_pred_proba": 0.5})
    later = first.assign(id=[3, 2], timestamp=["2018-01-04", "2018-01-03"])
    files = {}
    for reference, analysis, targets in full_tables.PARTS.values():
        label = "repaid" if "car_loan" in targets else "y_true"
        files |= {reference: first.assign(**{label: [1, 0]}), analysis: later, targets: pd.DataFrame({"id": [2, 3], label: [0, 1]})}
    with zipfile.ZipFile(tmp_path / "nannyml.whl", "w") as wheel:
        for name, table in files.items():
            wheel.writestr(f"{full_tables.DATA}/{name}.csv", table.to_csv(index=False))
    full_tables.write(tmp_path / "nannyml.whl", tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "whole").iterdir()) == sorted(f"{name}.csv.gz" for name in table_streams.LABELS)
    table = pd.read_csv(tmp_path / "whole" / "cards.csv.gz")
    assert (table["id"].tolist(), table["y_true"].tolist()) == ([0, 1, 2, 3], [1, 0, 0, 1])
    assert table["timestamp"].is_monotonic_increasing and not [name for name in table if name.startswith("y_pred")]


@pytest.mark.parametrize("content", [None, b"no wheel"])
def test_another_file_than_the_wheel_is_one_line(tmp_path, capsys, monkeypatch, content):
    if content:
        (tmp_path / "some.whl").write_bytes(content)
    monkeypatch.setattr("sys.argv", ["full_tables.py", str(tmp_path / "some.whl"), str(tmp_path / "whole")])
    assert full_tables.main() == DataError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert "some.whl" in line and "nannyml 0.13.1" in line


def test_tables_that_are_not_there_are_named_before_anything_is_fitted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["tables.py", "--tables", str(tmp_path), "--out", str(tmp_path / "page.md")])
    assert script.run(tables.build_parser(), tables.measured) != 0
    assert "car_loan.csv.gz: no such file" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()
