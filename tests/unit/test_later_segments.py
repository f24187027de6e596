"""`watch.update` with segments: their verdicts are those of one watch over all rows together, in this process or another."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from predictions_sample import predictions
from segments_sample import SEGMENT_REFERENCE, SEGMENT_ROWS, regional

import driftloop as dl
from driftloop.errors import DataError, SettingsError
from driftloop.predictions.later import closed as closed_blocks
from driftloop.predictions.later import state_file

EXACT = ("column", "segment", "verdict", "rows_before", "rows_after", "found", "kind")
CLOSE = ("evidence", "p_value", "kpi_before", "kpi_after", "lower", "upper", "gain")


@pytest.fixture(autouse=True)
def no_library_warns() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def begun(table: pd.DataFrame | Path, segments: Any = ("region", "x"), **settings: Any) -> dl.FrameWatch:
    given = {"target": "y_true", "prediction": "y_pred", "time": "when", "reference": SEGMENT_REFERENCE, "segments": segments, "block": 100}
    return dl.watch(table, **(given | settings))


def in_parts(table: pd.DataFrame, edges: Sequence[int], *, folder: Path | None = None, **settings: Any) -> dl.FrameWatch:
    """A watch of the first rows, updated with the others; through a file each time where a folder is given."""
    watch = begun(table[: edges[0]], **settings)
    for first, last in itertools.pairwise([*edges, len(table)]):
        watch = dl.load_watch(watch.save(folder / "state.json")) if folder else watch
        watch.update(table[first:last])
    return watch


def assert_same(found: dl.FrameWatch, whole: dl.FrameWatch, *, exact: Sequence[str] = EXACT, close: Sequence[str] = CLOSE) -> None:
    """The same segments with the same verdicts and figures, and the same of all of them together."""
    order = ["column", "segment"]
    one, other = (watch.segments.sort_values(order, ignore_index=True) for watch in (found, whole))
    pd.testing.assert_frame_equal(one[list(exact)], other[list(exact)])
    for name in close:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-12, atol=1e-12, err_msg=name)
    mine, theirs = found.result.segments, whole.result.segments
    assert mine and theirs
    assert mine.evidence == pytest.approx(theirs.evidence, rel=1e-12)
    assert (mine.drift, mine.notes, mine.least) == (theirs.drift, theirs.notes, theirs.least)
    assert [score.name for score in mine.scores if score.drift] == [score.name for score in theirs.scores if score.drift]


def numbers(table: pd.DataFrame, *, worse: float = 2) -> pd.DataFrame:
    rng, late = np.random.default_rng(6), (table.region == "east") & (table.index >= SEGMENT_REFERENCE)
    true = rng.normal(50, 10, len(table))
    return table.assign(y_true=true, y_pred=true + rng.exponential(1, len(table)) * np.where(late, worse, 1))


KINDS: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "accuracy": (regional(), {}),
    "accuracy by week": (regional(), {"block": "W"}),
    "accuracy with a threshold": (regional(), {"threshold": 0.8}),
    "accuracy without inputs": (regional(), {"leave_out": ["x", "region"]}),
    "MAE": (numbers(regional()), {}),
    "RMSE": (numbers(regional()), {"kpi": "rmse", "block": "D"}),
    "F1 of whole blocks": (regional(where="north"), {"kpi": "f1", "block": 150}),
    "brier": (regional().assign(proba=lambda table: np.where(table.y_pred == 1, 0.8, 0.3)), {"kpi": "brier", "probability": "proba"}),
}


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_random_splits_saved_and_loaded_each_time_give_the_same_verdicts_of_segments(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    table, settings = list(KINDS.values())[seed]
    edges = sorted({*rng.integers(SEGMENT_REFERENCE + 1, SEGMENT_ROWS, rng.integers(1, 5)).tolist()})
    parts = [table[first:last].sample(frac=1, random_state=seed) for first, last in itertools.pairwise([0, *edges, SEGMENT_ROWS])]
    whole, found = begun(table, **settings), in_parts(pd.concat(parts), edges, folder=tmp_path, **settings)
    assert_same(found, whole)
    assert_same(dl.load_watch(found.save(tmp_path / "state.json")), whole)


def test_a_segment_that_first_appears_later_is_told_as_by_one_watch() -> None:
    table = regional()
    table.loc[5000::9, "region"] = "overseas"
    table.loc[7000::7, "region"] = None
    found, whole = in_parts(table, [4000, 4900, 5600, 7500], segments="region"), begun(table, "region")
    assert_same(found, whole)
    shown = found.segments.set_index("segment")
    assert shown.verdict[["new", "missing"]].tolist() == ["too small"] * 2 and shown.rows_after["new"] > 400
    assert sum("never had" in note for note in found.result.segments.notes) == 1
    assert "new" not in begun(table[:4000], "region").segments.segment.tolist()


def test_a_segment_without_labels_at_first_is_judged_when_they_come() -> None:
    table = regional().assign(number=range(SEGMENT_ROWS)).astype({"y_true": object})
    lacking = table.assign(y_true=table.y_true.where((table.region != "west") | (table.index < SEGMENT_REFERENCE)))
    watch = begun(lacking[:4000], id="number", leave_out=["x", "region"])
    assert watch.segments.set_index("segment").verdict["west"] == "no labels"
    late = table[(table.region == "west") & (table.index >= SEGMENT_REFERENCE)]
    watch.update(late[late.index < 4000][["number", "y_true"]]).update(table[4000:])
    assert_same(watch, begun(table, id="number", leave_out=["x", "region"]))


def test_labels_that_come_after_a_delay_are_judged_by_segment_as_by_one_watch() -> None:
    table = regional().assign(number=range(SEGMENT_ROWS)).astype({"y_true": object})
    watch = begun(table[:4000], id="number", label_delay=15)
    for first in range(4000, SEGMENT_ROWS, 1500):
        now = table[first : first + 1500]
        watch.update(now.assign(y_true=None)).update(now[["number", "y_true"]])
    assert_same(watch, begun(table, id="number", label_delay=15))


def test_numbers_stay_cut_at_the_quantiles_of_the_reference() -> None:
    table = regional().assign(age=lambda given: np.arange(len(given)) % 90 + np.where(given.index < SEGMENT_REFERENCE, 0, 50))
    watch = begun(table[:3500], "age")
    before = watch.segments.segment.sort_values().tolist()
    watch.update(table[3500:])
    assert watch.segments.segment.sort_values().tolist() == before == begun(table[:3100], "age").segments.segment.sort_values().tolist()
    assert_same(watch, begun(table, "age"))


@pytest.mark.parametrize("how", ["decimal comma", "integers, then floats", "booleans, then objects", "categories", "unreadable later", "few numbers"])
def test_later_values_are_read_as_those_of_the_reference_were(how: str) -> None:
    table = regional()
    rng = np.random.default_rng(9)
    group: Any = {
        "decimal comma": pd.Series(rng.normal(1000, 300, len(table)).round(3).astype(str)).str.replace(".", ",").tolist(),
        "integers, then floats": rng.integers(0, 60, len(table)),
        "booleans, then objects": rng.random(len(table)) < 0.4,
        "categories": pd.Categorical(rng.choice(list("abc"), len(table))),
        "unreadable later": rng.normal(size=len(table)).round(3),
        "few numbers": rng.integers(0, 5, len(table)),
    }[how]
    table["group"] = group
    later = table[4000:].copy()
    if how == "integers, then floats":
        later["group"] = later.group.astype(float)
    elif how in ("booleans, then objects", "few numbers", "unreadable later"):
        later["group"] = later.group.astype(object).where(later.index % 11 > 0, "none of it" if how == "unreadable later" else None)
    whole = pd.concat([table[:4000].astype({"group": object}), later.astype({"group": object})])
    watch = begun(table[:4000], "group", leave_out=["group"])
    for first in range(0, len(later), 1700):
        watch.update(later[first : first + 1700])
    assert_same(watch, begun(whole, "group", leave_out=["group"]))


def test_files_continue_a_watch_with_segments(tmp_path: Path) -> None:
    table = regional().assign(code=lambda given: given.index % 7)
    for name, part in (("first", table[:4000]), ("second", table[4000:]), ("all", table)):
        part.to_csv(tmp_path / f"{name}.csv", index=False)
    settings = {"segments": ("region", "code", "x"), "leave_out": ["code"]}
    assert_same(begun(tmp_path / "first.csv", **settings).update(tmp_path / "second.csv"), begun(tmp_path / "all.csv", **settings))


def test_equal_rows_of_different_segments_are_told_apart_without_ids() -> None:
    table = regional().assign(when=lambda given: given.when.str[:10])[["when", "region", "y_true", "y_pred"]]
    watch = begun(table[:4000], "region", leave_out=["region"])
    watch.update(table[3900:])  # 100 rows are given again
    assert_same(watch, begun(table, "region", leave_out=["region"]))


@pytest.mark.parametrize(
    ("change", "kind", "told"),
    [
        (lambda table: table.drop(columns="region"), DataError, "--segments 'region' is not a column"),
        (lambda table: table.assign(region=pd.Timestamp("2024-01-01")), SettingsError, "holds times"),
        (lambda table: table.assign(region=[[1]] * len(table)), SettingsError, "holds lists"),
    ],
)
def test_later_rows_whose_segments_cannot_be_read_change_nothing(change: Any, kind: type[Exception], told: str) -> None:
    table = regional()
    watch = begun(table[:4000], "region", leave_out=["region"])
    with pytest.raises(kind, match=told) as caught:
        watch.update(change(table[4000:]))
    assert "\n" not in str(caught.value)
    assert_same(watch.update(table[4000:]), begun(table, "region", leave_out=["region"]))


def test_the_state_does_not_grow_and_verdicts_and_figures_outlive_the_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(closed_blocks, "KEPT", 1500)
    monkeypatch.setattr(closed_blocks, "SCORES", 20)
    table = regional(rows=16_000)
    whole = begun(table)
    watch, sizes = begun(table[:4000]), []
    for first in range(4000, 16_000, 1000):
        watch = dl.load_watch(watch.save(tmp_path / "state.json"))
        watch.update(table[first : first + 1000])
        sizes.append((tmp_path / "state.json").stat().st_size)
    assert max(sizes) < 1.1 * sizes[3]
    assert_same(watch, whole, exact=[name for name in EXACT if name != "kind"], close=[name for name in CLOSE if name not in ("lower", "upper")])
    assert watch.segments.kind[0] == whole.segments.kind[0] == "concept"
    for name in ("lower", "upper"):
        np.testing.assert_allclose(*(one.segments.sort_values(["column", "segment"])[name] for one in (watch, whole)), atol=0.03)


@pytest.mark.parametrize("damage", ["a segment more", "evidence", "no evidence", "codes", "no cut"])
def test_damaged_segments_whose_checksum_was_made_to_fit_are_one_line(damage: str, tmp_path: Path) -> None:
    path = begun(regional()[:4000]).save(tmp_path / "state.json")
    given = json.loads(path.read_text())
    state = given["state"]
    if damage == "a segment more":
        state["reading"]["cuts"][0]["labels"].append("more")
    elif damage == "evidence":
        state["closed"]["segments"]["evidence"]["rises"][0].pop("capitals")
    elif damage == "no evidence":
        state["closed"]["segments"] = None
    elif damage == "codes":
        state["open"]["segments"]["shape"][1] = 1
    else:
        state["reading"]["cuts"] = state["reading"]["cuts"][:1]
    given["sha256"] = state_file._digest(state)
    path.write_text(json.dumps(given))
    with pytest.raises(DataError, match="damaged state"):
        dl.load_watch(path)


def test_a_state_from_before_segments_were_kept_is_continued(tmp_path: Path) -> None:
    table = predictions()
    settings = {"reference": 2400, "segments": ()}
    path = begun(table[:4000], **settings).save(tmp_path / "state.json")
    given = json.loads(path.read_text())
    given["state"]["reading"].pop("cuts")
    given["state"]["closed"].pop("segments")
    for rows in (given["state"]["closed"]["kept"], given["state"]["open"]):
        rows.pop("segments")
    path.write_text(json.dumps(given | {"version": 1, "sha256": state_file._digest(given["state"])}))
    whole = begun(table, **settings)
    assert dl.load_watch(path).update(table[4000:]).verdict == whole.verdict
