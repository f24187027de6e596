"""Late and few labels: a block is judged when its labels are mature, and the false-alarm rate holds with a delay and with a share of labels."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from predictions_sample import REFERENCE, ROWS, predictions, values

import driftloop as dl
from driftloop.drift.rules import catalogue
from driftloop.errors import SettingsError
from driftloop.metrics.goal import Goal
from driftloop.metrics.task import CLASSIFICATION
from driftloop.report import block_table

COLUMNS = {"target": "y_true", "prediction": "y_pred", "time": "when", "reference": REFERENCE}
SEEDS = 200
ALPHA = 0.05


@pytest.fixture(autouse=True)
def no_library_warns() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def watched(table: pd.DataFrame, **settings: Any) -> dl.FrameWatch:
    return dl.watch(table, **COLUMNS | {"block": 100} | settings)


def without_labels(table: pd.DataFrame, lacking: np.ndarray) -> pd.DataFrame:
    return table.astype({"y_true": float}).assign(y_true=lambda given: given.y_true.where(~lacking))


def test_blocks_younger_than_the_delay_wait_with_an_estimate_and_are_not_judged() -> None:
    found = watched(predictions(), label_delay="7d", probability="proba")
    late = found.blocks[found.blocks.kind == "waiting for labels"]
    assert list(late.index) == list(found.blocks.index[-2:])  # a block is 100 hours; the third last has ended 8 days ago
    assert late.accuracy.isna().all() and not late.drift.any() and late.estimated.notna().all() and late.evidence.isna().all()
    assert (late.labelled == 1).all()
    note = next(note for note in found.notes if "waiting" in note)
    assert note == (
        "2 blocks waiting for labels, which are mature 7 days after a block's last row; "
        "200 labels that came before are not judged: early labels are seldom like the others."
    )
    assert found.result.rows == ROWS - REFERENCE - 200
    assert "2 blocks cannot be judged yet" in str(found)
    assert found._repr_html_().count("waiting for labels") >= 2


@pytest.mark.parametrize("delay", ["7d", "1w", "168h", timedelta(days=7), np.timedelta64(7, "D"), pd.Timedelta("7D")])
def test_a_delay_may_be_written_in_many_ways(delay: Any) -> None:
    assert (watched(predictions(), label_delay=delay).blocks.kind == "waiting for labels").sum() == 2


@pytest.mark.parametrize("delay", [3, "3", np.int64(3)])
def test_a_delay_of_blocks_waits_for_as_many_later_ones(delay: Any) -> None:
    table = predictions()[: ROWS - 50]
    waiting = watched(table, label_delay=delay).blocks.kind == "waiting for labels"
    assert list(np.flatnonzero(waiting)) == list(range(len(waiting) - 4, len(waiting)))  # three complete ones, and one that is not
    assert watched(table[["y_true", "y_pred"]], label_delay=delay, time="").blocks.kind.eq("waiting for labels").sum() == 4


@pytest.mark.parametrize("delay", [None, "", 0, "0d"])
def test_no_delay_is_none(delay: Any) -> None:
    pd.testing.assert_frame_equal(watched(predictions(), label_delay=delay).blocks, watched(predictions()).blocks)


@pytest.mark.parametrize("delay", ["soon", "-1", -1, "7 months", "d", True, 1.5, "1e9w"])
def test_a_delay_that_is_none_is_one_line(delay: Any) -> None:
    with pytest.raises(SettingsError, match=r"label_delay is .*give a time such as 12h, 7d or 2w, or a number of blocks"):
        watched(predictions(), label_delay=delay)


def test_a_time_for_rows_without_times_is_one_line() -> None:
    with pytest.raises(SettingsError, match="label_delay is 7 days, but the rows have no times: give a number of blocks"):
        watched(predictions()[["y_true", "y_pred"]], time="", label_delay="7d")


def test_all_blocks_wait_where_the_delay_is_longer_than_the_table() -> None:
    found = watched(predictions(), label_delay="52w", probability="proba")
    assert not found.drift and found.kind == "cannot tell" and found.result.rows == 0
    assert found.estimate.value > 0.5
    assert "cannot be judged yet" in str(found)
    assert found.forecast.message


@pytest.mark.parametrize("table", [predictions(), values()], ids=["classes", "values"])
def test_labels_that_mature_in_updates_give_the_verdicts_of_one_watch(table: pd.DataFrame, tmp_path: Path) -> None:
    """What arrives first is biased: only the right answers, then half of the labels, then all."""
    whole = watched(table, label_delay="10d")
    right = (table.y_true - table.y_pred).abs() < 0.5
    watch = watched(without_labels(table, np.asarray(~right & (np.arange(ROWS) > 2900)))[:3000], label_delay="10d")
    for first in range(3000, ROWS, 120):
        watch.update(table[first - 180 : first])  # mature ones before they are ten days old
        watch.update(without_labels(table, np.asarray(~right))[first : first + 120])
        if first % 600 == 0:
            watch = dl.load_watch(watch.save(tmp_path / "state.json"))
    watch.update(table[ROWS - 180 :])
    pd.testing.assert_frame_equal(watch.blocks, whole.blocks, rtol=1e-12, atol=1e-12)
    assert repr(watch.verdict) == repr(whole.verdict)
    assert not [note for note in watch.notes if "corrected" in note or "came after" in note]


def test_labels_that_come_after_maturity_are_counted_and_change_nothing() -> None:
    table = predictions().assign(number=range(ROWS))
    watch = watched(without_labels(table, (np.arange(ROWS) >= 4000) & (np.arange(ROWS) < 4050)), label_delay="7d", id="number")
    before = watch.blocks
    watch.update(table[4000:4050][["number", "y_true"]])
    pd.testing.assert_frame_equal(watch.blocks, before)
    assert "50 labels came after their block was judged: it is not judged again." in watch.notes


def test_a_corrected_label_counts_before_maturity() -> None:
    table = predictions().assign(number=range(ROWS))
    wrong = table.assign(y_true=np.where(np.arange(ROWS) >= 5900, 1 - table.y_true, table.y_true))
    more = predictions(rows=7000).assign(number=range(7000))[ROWS:]
    watch = watched(wrong, label_delay="7d", id="number").update(table[5900:][["number", "y_true"]]).update(more)
    whole = watched(pd.concat([table, more]), label_delay="7d", id="number")
    pd.testing.assert_frame_equal(watch.blocks, whole.blocks)


def test_each_block_says_its_share_of_labels_and_its_effective_rows() -> None:
    lacking = (np.random.default_rng(1).random(ROWS) > 0.1) & (np.arange(ROWS) >= REFERENCE)
    found = watched(without_labels(predictions(), lacking))
    judged = found.blocks.query("period == 'judged'")
    assert judged.labelled.mean() == pytest.approx(0.1, abs=0.02)
    assert (judged.effective_rows <= 100 * judged.labelled + 1e-9).all() and (judged.effective_rows > 0).all()
    assert (judged.rows == 100).all()
    assert found.blocks.query("period == 'reference'").labelled.eq(1).all()


@pytest.mark.parametrize("table", [predictions(), values()], ids=["classes", "values"])
def test_the_reports_block_table_has_the_labelled_share_only_where_labels_are_missing(table: pd.DataFrame) -> None:
    lacking = (np.arange(ROWS) >= 3000) & (np.arange(ROWS) < 3075)
    found = watched(without_labels(table, lacking))
    titles = [column.title for column in block_table.columns(found.result)]
    assert titles[:4] == ["block", "time", "rows", "labelled"]
    cells = [block_table.columns(found.result)[3].cell(score) for score in found.result.scores]
    assert (cells[29], cells[30], cells[31]) == ("100.0 %", "25.0 %", "100.0 %")
    assert "labelled" not in [column.title for column in block_table.columns(watched(table).result)]


# The false-alarm rate, of the rule as the judgement uses it: the labelled rows of each block, and the same block again with more of its rows


BLOCK, BLOCKS = 48, 60


def alarmed(seed: int, *, share: float, stay: float, looks: int) -> bool:
    """Whether a steady model ever alarms at its true error of 20 %, each row like the one before with probability `stay`."""
    rng = np.random.default_rng(seed)
    rows = (20 + BLOCKS) * BLOCK
    begun = np.where(rng.random(rows) < stay, 0, np.arange(rows))
    wrong = (rng.random(rows) < 0.2)[np.maximum.accumulate(begun)]
    labelled = rng.random(rows) < share
    rule = catalogue.for_goal("significant", Goal(CLASSIFICATION, 0.8, ALPHA))
    rule.prepare(wrong[: 20 * BLOCK], block_size=BLOCK)
    for first in range(20 * BLOCK, rows, BLOCK):
        for look in range(1, looks):
            part = slice(first, first + look * BLOCK // looks)
            if copy.deepcopy(rule).update(wrong[part][labelled[part]]).drift:
                return True
        block = slice(first, first + BLOCK)
        if rule.update(wrong[block][labelled[block]]).drift:
            return True
    return False


@pytest.mark.parametrize(("share", "stay", "looks"), [(0.1, 0, 1), (0.1, 0.8, 1), (0.5, 0.5, 1), (1, 0, 4), (1, 0.8, 4)], ids=lambda value: f"{value:g}")
def test_a_steady_model_alarms_no_more_often_than_stated(share: float, stay: float, looks: int) -> None:
    """With labels for a share of the rows, and where each block is judged again with every quarter that comes."""
    alarms = sum(alarmed(seed, share=share, stay=stay, looks=looks) for seed in range(SEEDS))
    assert alarms <= ALPHA * SEEDS


def test_biased_early_labels_alarm_without_the_delay_and_not_with_it() -> None:
    """Wrong answers are known at once and right ones after five days: the newest blocks look bad, each time."""
    early, late = 0, 0
    for seed in range(2):
        table = predictions(fall=ROWS, seed=seed).assign(number=range(ROWS))
        wrong = np.asarray(table.y_true != table.y_pred)
        for with_delay in (False, True):
            settings: dict[str, Any] = {"id": "number", "block": 24, "label_delay": "5d"} if with_delay else {"id": "number", "block": 24}
            watch, ever = watched(table[:3000], **settings), False
            for first in range(3000, 3480, 24):
                watch.update(table[first - 120 : first - 96][["number", "y_true"]]).update(without_labels(table, ~wrong)[first : first + 24])
                if ever := watch.drift:
                    break
            early, late = early + (ever and not with_delay), late + (ever and with_delay)
    assert early == 2 and late == 0
