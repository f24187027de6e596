"""`watch.update`: later rows and labels give the verdicts of one watch over all rows together, in this process or another."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from predictions_sample import FALL, REFERENCE, ROWS, predictions, values

import driftloop as dl
from driftloop.errors import DataError, DriftloopError
from driftloop.predictions.later import closed as closed_blocks
from driftloop.predictions.later import state_file

COLUMNS = {"target": "y_true", "prediction": "y_pred", "time": "when", "reference": REFERENCE}
FIGURES = ["start", "end", "rows", "lower", "upper", "threshold", "evidence", "p_value", "estimated", "labelled", "effective_rows"]
BRIER = {"probability": "proba", "kpi": "brier"}
KINDS: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "accuracy": (predictions(), {"block": 100, "probability": "proba"}),
    "accuracy by week": (predictions(), {"block": "W", "probability": "proba"}),
    "accuracy with a threshold": (predictions(), {"block": 100, "threshold": 0.85}),
    "brier": (predictions(), {"block": "D", **BRIER}),
    "brier with a threshold": (predictions(), {"block": 150, "threshold": 0.2, **BRIER}),
    "MAE": (values(), {"block": "W"}),
    "MAE with a threshold": (values(), {"block": 90, "threshold": 1.3}),
    "RMSE": (values(), {"block": 120, "kpi": "rmse"}),
    "F1 of whole blocks": (predictions(), {"block": 80, "probability": "proba", "kpi": "f1"}),
}


@pytest.fixture(autouse=True)
def no_library_warns() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def begun(table: pd.DataFrame, **settings: Any) -> dl.FrameWatch:
    return dl.watch(table, **COLUMNS | settings)


def in_parts(table: pd.DataFrame, edges: Sequence[int], *, folder: Path | None = None, **settings: Any) -> dl.FrameWatch:
    """A watch of the first rows, updated with the others; through a file each time where a folder is given."""
    watch = begun(table[: edges[0]], **settings)
    for first, last in zip(edges, [*edges[1:], len(table)], strict=True):
        if folder:
            watch = dl.load_watch(watch.save(folder / "state.json"))
        watch.update(table[first:last])
    return watch


def assert_same(found: dl.FrameWatch, whole: dl.FrameWatch, *, figures: Sequence[str] = FIGURES) -> None:
    """The same blocks and verdicts, the same kind, and the same figures of the whole watch."""
    for name in (*figures, whole.blocks.columns[4], "drift", "kind", "period"):
        one, other = found.blocks[name], whole.blocks[name]
        if other.dtype.kind == "f":
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12, err_msg=name)
        else:
            assert one.tolist() == other.tolist(), name
    assert repr(found.verdict) == repr(whole.verdict)  # nan equals nan
    assert found.kind == whole.kind
    assert found.forecast == whole.forecast
    assert found.findings == whole.findings
    assert found.result.kpi == pytest.approx(whole.result.kpi, abs=1e-12)
    assert found.result.baselines == pytest.approx(whole.result.baselines, abs=1e-12, nan_ok=True)
    assert found.result.rows == whole.result.rows


@pytest.mark.parametrize("edges", [[5000], [2450, 2451, 3000, 5999], list(range(2500, ROWS, 500)), list(range(3000, 3400, 37))], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_updates_give_the_verdicts_of_one_watch_over_all_rows(kind: str, edges: list[int]) -> None:
    table, settings = KINDS[kind]
    assert_same(in_parts(table, edges, **settings), begun(table, **settings))


@pytest.mark.parametrize("seed", range(12))
def test_random_splits_saved_and_loaded_each_time_give_the_same_verdicts(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    table, settings = list(KINDS.values())[seed % len(KINDS)]
    edges = sorted({*rng.integers(REFERENCE + 1, ROWS, rng.integers(1, 6)).tolist()})
    shuffled = pd.concat([part.sample(frac=1, random_state=seed) for part in (table[first:last] for first, last in pairwise([0, *edges, ROWS]))])
    whole = begun(table, **settings)
    found = in_parts(shuffled, edges, folder=tmp_path, **settings)
    assert_same(found, whole)
    assert_same(dl.load_watch(found.save(tmp_path / "state.json")), whole)


def test_rows_of_days_without_inputs_may_be_equal_and_are_still_all_counted() -> None:
    table = predictions()[["when", "y_true", "y_pred"]].assign(when=lambda given: given.when.str[:10])
    assert_same(in_parts(table, [2407, 2413, 3001, 3002], block=100), begun(table, block=100))


def test_rows_without_a_time_continue_in_their_order() -> None:
    table = predictions()[["y_true", "y_pred", "x"]]
    assert_same(in_parts(table, [3000, 3050, 5001], time="", block=100), begun(table, time="", block=100))


def test_times_in_the_index_continue() -> None:
    table = predictions().drop(columns="when").set_axis(pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="Europe/Berlin"))
    assert_same(in_parts(table, [3000, 3050], time="", block="D"), begun(table, time="", block="D"))
    with pytest.raises(DataError, match="give a DatetimeIndex again"):
        begun(table[:3000], time="", block="D").update(table[3000:].reset_index(drop=True))


# Late labels, ids, rows that are too old


IDS = predictions().assign(number=lambda table: [f"a{at}" for at in range(len(table))])


def unlabelled(table: pd.DataFrame, rows: Any) -> pd.DataFrame:
    return table.astype({"y_true": object}).assign(y_true=lambda given: given.y_true.where(~np.isin(np.arange(len(given)), rows)))


@pytest.mark.parametrize("way", ["ids and labels alone", "whole rows with ids", "whole rows without ids"])
def test_labels_that_come_later_count_as_if_they_had_been_there(way: str) -> None:
    table = IDS if "with ids" in way or "alone" in way else predictions()
    given = {"id": "number"} if "number" in table else {}
    lacking = np.arange(4000, 4700, 3)
    watch = begun(unlabelled(table, lacking)[:4700], block=100, **given)
    assert watch.blocks.labelled.iloc[-1] == pytest.approx(2 / 3, abs=0.02)
    late = table.iloc[lacking[lacking < 4700]]
    watch.update(late[["number", "y_true"]] if "alone" in way else late).update(table[4700:])
    assert_same(watch, begun(table, block=100, **given))
    assert not [note for note in watch.notes if "later" in note or ("label" in note.lower() and "No threshold" not in note)]


def test_a_table_that_is_given_again_with_more_rows_adds_only_those() -> None:
    for table, given in ((IDS, {"id": "number"}), (predictions(), {})):
        watch = begun(table[:3030], block=100, **given)
        watch.update(table[:4555]).update(table[2000:])
        assert_same(watch, begun(table, block=100, **given))


def test_rows_older_than_what_is_judged_are_left_out_and_counted() -> None:
    table = predictions()
    watch = begun(table.drop(index=range(2450, 2460))[:4000], block=100)
    before = watch.blocks
    watch.update(table[2450:2460])
    pd.testing.assert_frame_equal(watch.blocks, before)
    assert "10 later rows are older than what was judged before: they are left out." in watch.notes


def test_a_corrected_label_changes_an_open_block_and_is_counted_for_a_closed_one() -> None:
    watch = begun(IDS[:4050], block=100, id="number")
    before = watch.blocks
    other = IDS.assign(y_true=1 - IDS.y_true)[["number", "y_true"]]
    for _ in range(2):  # the same correction counts once
        watch.update(other[3990:4000])
        pd.testing.assert_frame_equal(watch.blocks, before)
        assert "10 labels were corrected after their block was judged: it is not judged again." in watch.notes
    watch.update(other[4010:4020])
    assert watch.blocks.accuracy.iloc[-1] != before.accuracy.iloc[-1]
    assert watch.blocks.accuracy.iloc[-2] == before.accuracy.iloc[-2]


def test_a_label_for_a_row_that_was_never_seen_is_counted() -> None:
    watch = begun(IDS[:4050], block=100, id="number").update(pd.DataFrame({"number": ["a4049", "b1"], "y_true": [1, 0]}))
    assert any("1 labels have the id of no row" in note for note in watch.notes)


def test_a_repeated_id_counts_once_with_its_last_label() -> None:
    twice = pd.concat([unlabelled(IDS, [5000]), IDS[5000:5001]])
    assert_same(begun(twice, block=100, id="number"), begun(IDS, block=100, id="number"))
    assert any("1 rows repeat the number of another" in note for note in begun(twice, block=100, id="number").notes)
    watch = begun(IDS[:4000], block=100, id="number").update(pd.concat([IDS[4000:], IDS[4100:4200]]))
    assert_same(watch, begun(IDS, block=100, id="number"))


def test_a_block_whose_labels_never_come_is_closed_in_time() -> None:
    table = unlabelled(predictions(rows=12_000), [at for at in range(2400, 12_000) if at % 10])
    watch = in_parts(table, list(range(3000, 12_000, 1500)), block=100)
    assert len(watch.state.open) <= 5200
    assert watch.blocks.labelled.iloc[-1] == pytest.approx(0.1)
    assert_same(watch, begun(table, block=100))


# New classes and categories


def test_new_classes_and_categories_of_later_rows_are_known_by_all_that_follow() -> None:
    table = predictions(fall=ROWS).astype({"y_true": object})
    table.loc[4000:, "y_true"] = np.where(np.arange(ROWS - 4000) % 4 == 0, 7, table.y_true[4000:])
    table.loc[4500:, "fuel"] = np.where(np.arange(ROWS - 4500) % 4 == 0, "steam", table.fuel[4500:])
    assert_same(in_parts(table, [3000, 4100, 4600, 5100], block=100), begun(table, block=100))


def test_few_rows_are_read_as_the_first_table_was(tmp_path: Path) -> None:
    table = predictions().assign(when=lambda given: pd.to_datetime(given.when).dt.strftime("%d/%m/%Y %H:%M"))
    names = {0: "no", 1: "yes"}
    table = table.assign(y_true=table.y_true.map(names), y_pred=table.y_pred.map(names), proba=(table.proba / 4))
    settings = {"probability": "proba", "block": 100, "kpi": "brier"}
    edges = [3000, *range(5990, ROWS)]  # a row each: one class, one day that may be a month
    assert_same(in_parts(table, edges, folder=tmp_path, **settings), begun(table, **settings))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files_continue_a_watch(ending: str, tmp_path: Path) -> None:
    table = predictions()
    for name, part in (("first", table[:4000]), ("second", table[4000:]), ("all", table)):
        part.to_csv(tmp_path / f"{name}.csv", index=False) if ending == "csv" else part.to_parquet(tmp_path / f"{name}.parquet")
    watch = dl.watch(tmp_path / f"first.{ending}", **COLUMNS, block=100).update(tmp_path / f"second.{ending}")
    assert_same(watch, dl.watch(tmp_path / f"all.{ending}", **COLUMNS, block=100))


# What cannot be used leaves the watch as it was


BAD: dict[str, tuple[pd.DataFrame, str]] = {
    "no prediction": (IDS[4000:].drop(columns="x"), "'x'"),
    "other classes": (IDS[4000:].assign(y_pred="yes"), "no prediction in 'y_pred' is a class of the table before (0, 1)"),
    "a bad time": (IDS[4000:].assign(when="soon"), "row 1: when is 'soon'"),
    "a bad probability": (IDS[4000:].assign(proba=3), "not in 0..1"),
    "no id": (IDS[4000:].assign(number=None), "row 1: the id 'number' is missing, as in 2,000 rows"),
    "no labels": (IDS[4000:][["number"]], "y_true"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_gives_one_line_and_changes_nothing(name: str) -> None:
    table, told = BAD[name]
    watch = begun(IDS[:4000], block=100, id="number", **{"probability": "proba"} if name == "a bad probability" else {})
    with pytest.raises(DriftloopError) as caught:
        watch.update(table)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert_same(watch.update(IDS[4000:]), begun(IDS, block=100, id="number", **{"probability": "proba"} if name == "a bad probability" else {}))


def test_a_frame_without_rows_changes_nothing() -> None:
    watch = begun(IDS[:4000], block=100, id="number")
    before = watch.blocks
    pd.testing.assert_frame_equal(watch.update(IDS[:0]).blocks, before)
    pd.testing.assert_frame_equal(watch.update(IDS[:0][["number", "y_true"]]).blocks, before)


# The state


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begun(predictions()[:5000], probability="proba", block=100).save(tmp_path_factory.mktemp("state") / "state.json")


def test_a_loaded_watch_answers_as_it_did(saved: Path, tmp_path: Path) -> None:
    whole, loaded = begun(predictions()[:5000], probability="proba", block=100), dl.load_watch(saved)
    assert_same(loaded, whole)
    assert len(loaded.plot().data) == len(whole.plot().data)
    assert loaded.report(tmp_path / "r.html").exists()
    assert loaded.notes == whole.notes


@pytest.mark.parametrize("damage", ["cut", "a figure", "newer", "older", "no watch", "not JSON", "nothing", "a list", "a key more", "deep"])
def test_a_damaged_or_newer_state_is_one_line(damage: str, saved: Path, tmp_path: Path) -> None:
    text = saved.read_text()
    given = json.loads(text)
    changed = {
        "cut": text[: len(text) // 2],
        "a figure": text.replace('"alarm": ', '"alarm": 1'),
        "newer": json.dumps(given | {"version": 99}),
        "older": json.dumps(given | {"version": 0}),
        "no watch": '{"a": 1}',
        "not JSON": "hello",
        "nothing": "",
        "a list": "[1]",
        "a key more": json.dumps(given | {"more": 1}),
        "deep": "[" * 100_000,
    }[damage]
    (tmp_path / "state.json").write_text(changed)
    with pytest.raises(DataError) as caught:
        dl.load_watch(tmp_path / "state.json")
    assert "\n" not in str(caught.value)
    assert {"newer": "version 99, this driftloop reads 3", "no watch": "is no state of a watch"}.get(damage, "damaged" if damage != "a list" else "no state")
    assert str(tmp_path / "state.json") in str(caught.value)


def test_a_state_whose_checksum_was_made_to_fit_is_checked_too(saved: Path, tmp_path: Path) -> None:
    for key in ("closed", "open", "reading", "plan", "counts", "newest"):
        given = json.loads(saved.read_text())
        given["state"][key] = {"rule": 3}
        given["sha256"] = state_file._digest(given["state"])
        (tmp_path / "state.json").write_text(json.dumps(given))
        with pytest.raises(DataError, match="damaged state"):
            dl.load_watch(tmp_path / "state.json")


def test_a_state_that_is_not_there_or_cannot_be_written_is_one_line(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the watch's state"):
        dl.load_watch(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot write the watch's state"):
        dl.load_watch(saved).save(tmp_path / "nowhere" / "state.json")


# Its size


def test_state_and_cost_of_an_update_do_not_grow_with_the_rows_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(closed_blocks, "KEPT", 2000)
    monkeypatch.setattr(closed_blocks, "SCORES", 30)
    table = predictions(rows=14_000, fall=14_000)
    watch = begun(table[:4000], block=100, probability="proba")
    whole = begun(table, block=100, probability="proba")
    sizes, rows, seconds = [], [], []
    for first in range(4000, 14_000, 500):
        started = time.process_time()
        watch.update(table[first : first + 500])
        seconds.append(time.process_time() - started)
        rows.append(len(watch.state.closed.kept) + len(watch.state.open))
        sizes.append(watch.save(tmp_path / "state.json").stat().st_size)
    assert max(rows) <= 2 * 2000 + 100
    assert max(sizes) < 1.1 * sizes[10]
    assert np.median(seconds[-5:]) < 3 * np.median(seconds[5:10])
    # The verdicts are still those of one watch; figures that compare rows rest on those that are kept.
    last = whole.blocks.iloc[-30:]
    for name in ("evidence", "p_value", "accuracy", "lower", "upper", "effective_rows"):
        np.testing.assert_allclose(watch.blocks[name].iloc[-30:], last[name], rtol=1e-12, atol=1e-12)
    assert watch.verdict == whole.verdict
    assert watch.result.kpi == pytest.approx(whole.result.kpi, abs=1e-12)
    assert watch.result.rows == whole.result.rows
    assert watch.result.scores[-1].stop == 14_000


def test_the_first_drift_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_blocks, "KEPT", 1000)
    monkeypatch.setattr(closed_blocks, "SCORES", 10)
    rng = np.random.default_rng(3)
    table = predictions(rows=20_000)
    right = rng.random(20_000) < np.where((np.arange(20_000) >= FALL) & (np.arange(20_000) < 6000), 0.6, 0.99)
    table = table.assign(y_pred=np.where(right, table.y_true, 1 - table.y_true))
    watch, whole = in_parts(table, list(range(3000, 20_000, 1000)), block=100), begun(table, block=100)
    assert watch.drift and watch.verdict == whole.verdict
    assert watch.blocks.index[0] == whole.blocks.query("drift").index[0]


@pytest.mark.parametrize("seed", range(6))
def test_rows_that_arrive_out_of_order_and_labels_that_come_later_give_the_same_verdicts(seed: int, tmp_path: Path) -> None:
    """Rows are up to 20 late, a third of the labels come in one of the next frames, by id or with the whole row; the watch is saved now and then."""
    rng, rows = np.random.default_rng(seed), 4000
    table = predictions(rows=rows, fall=3300, after=0.7, seed=seed) if seed % 2 else values(rows=rows, fall=3300, seed=seed)
    table = table.assign(number=rng.permutation(rows)) if seed % 3 else table
    given: dict[str, Any] = {"block": (100, "D", "W")[seed % 3]} | ({"id": "number"} if seed % 3 else {})
    arrival = np.argsort(np.arange(rows) + rng.uniform(0, 20, rows))
    lacking = unlabelled(table, np.flatnonzero((rng.random(rows) < 0.33) & (np.arange(rows) >= REFERENCE))).iloc[arrival]
    arrived = table.iloc[arrival]
    watch = begun(lacking[:2600], task="classification" if seed % 2 else "regression", **given | {"reference": "2024-04-10"})
    for first in range(2600, rows, 200):
        back = arrived[max(first - 300, REFERENCE - 40) : first]
        watch.update(lacking[first : first + 200]).update(back[["number", "y_true"]] if seed % 3 else back)
        if first % 600 == 0:
            watch = dl.load_watch(watch.save(tmp_path / "state.json"))
    assert_same(watch.update(arrived[3000:]), begun(table, **given | {"reference": "2024-04-10"}))
