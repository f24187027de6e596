"""A stream with `label_delay`: what the monitor judges, when, and what it says of early, late, few and corrected labels."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from monitor_records import ELEC, label, labelled, prediction, when
from monitor_sample import Kept, feed, some_reference, told

from driftloop.errors import SettingsError
from monitoring import stream_settings
from monitoring.online.label_progress import LabelCounts, Maturing
from monitoring.online.monitor import Monitor
from monitoring.stream_settings import BUNDLED

BLOCK = ELEC.block_size  # a day
LATE = 2  # days
NOTE = "labels are mature 2 days after their row"


def delayed(days: float = LATE) -> Monitor:
    return Monitor({"elec": replace(ELEC, label_delay=timedelta(days=days))})


def prepared(days: float) -> Monitor:
    """A monitor that knows the training reference, whose errors are independent."""
    made = Monitor({"elec": replace(ELEC, label_delay=timedelta(days=days))}, references=Kept(lambda _: some_reference()))
    made.ingest("elec", [prediction(10**6, time=when(0))])
    made.watchers["elec"].think()
    return made


def replay(made: Monitor, rows: int, *, share_right: Any = 0.9, days: int = LATE, share: float = 1.0, seed: int = 1) -> list[int]:
    """Rows in time order, wrong answers' labels at once and right ones' some days later; the blocks at whose end the monitor said drift."""
    rng = np.random.default_rng(seed)
    right = rng.random(rows) < np.broadcast_to(share_right, rows)
    has = rng.random(rows) < share
    alarms = []
    for row in range(rows):
        records = [prediction(row, right=bool(right[row]))]
        if not right[row] and has[row]:
            records.append(label(row, labelled_at=when(row)))
        if (old := row - days * BLOCK) >= 0 and right[old] and has[old]:
            records.append(label(old, labelled_at=when(row)))
        made.ingest("elec", records)
        if (row + 1) % BLOCK == 0 and made.watchers["elec"].known().drift.get("performance"):
            alarms.append(row // BLOCK)
    return alarms


@pytest.mark.parametrize("seed", range(5))
def test_biased_early_labels_alarm_without_the_delay_and_not_with_it(seed: int) -> None:
    """A wrong answer is known at once, a right one after ten days: the first labels of a version are all bad."""
    assert replay(prepared(0), 30 * BLOCK, days=10, seed=seed)
    assert not replay(prepared(10), 30 * BLOCK, days=10, seed=seed)


@pytest.mark.parametrize("seed", range(3))
def test_a_drift_is_found_at_most_the_delay_later(seed: int) -> None:
    """Beside a monitor that has each label at once."""
    share_right = np.concatenate([np.full(10 * BLOCK, 0.95), np.full(20 * BLOCK, 0.5)])
    right = np.random.default_rng(seed).random(30 * BLOCK) < share_right
    at_once, first = prepared(0), 0
    for row in range(30 * BLOCK):
        at_once.ingest("elec", [prediction(row, right=bool(right[row])), label(row)])
        if at_once.watchers["elec"].known().drift.get("performance"):
            first = row // BLOCK
            break
    alarms = replay(prepared(LATE), 30 * BLOCK, share_right=share_right, seed=seed)
    assert 10 <= first < alarms[0] <= first + LATE


def test_labels_of_a_tenth_are_judged_and_the_share_is_said() -> None:
    made = prepared(LATE)
    alarms = replay(made, 60 * BLOCK, share_right=np.concatenate([np.full(20 * BLOCK, 0.95), np.full(40 * BLOCK, 0.3)]), share=0.1)
    known = told(made)
    assert alarms and min(alarms) > 20
    assert known["coverage"] == pytest.approx(0.1, abs=0.05)
    assert known["blocks"] == 5  # of 48 labelled rows each
    assert f'driftloop_label_coverage{{stream="elec"}} {known["coverage"]}' in made.metrics.text().decode()


def test_few_labels_do_not_alarm_on_a_steady_model() -> None:
    assert not replay(prepared(LATE), 60 * BLOCK, share_right=0.85, share=0.1)


def test_what_is_not_mature_counts_nowhere_and_is_said_once() -> None:
    made = delayed()
    feed(made, labelled(range(5 * BLOCK), share_right=0.9))
    known = told(made)
    assert (known["blocks"], known["kpi"]["rows"], known["coverage"]) == (3, 3 * BLOCK, 1.0)
    assert known["newest_labelled_time"] == when(3 * BLOCK - 1)  # of the newest mature row: a retrain must not learn from early labels
    assert known["labels"] == {"delay_seconds": 172800.0, "early": 96, "late": 0, "corrected": 0, "lost": 0}
    assert known["note"].count("early labels are seldom like the others") == 1
    assert f"{NOTE}: 96 that came before are not judged yet, as early labels are seldom like the others" in known["note"]
    series = made.metrics.text().decode().splitlines()
    assert 'driftloop_labels_not_judged{reason="early",stream="elec"} 96.0' in series
    assert 'driftloop_labels_not_judged{reason="late",stream="elec"} 0.0' in series


def test_before_the_first_mature_row_there_are_no_labels() -> None:
    made = delayed()
    feed(made, labelled(range(LATE * BLOCK), share_right=0.1))
    known = told(made)
    assert (known["health"], known["blocks"], known["kpi"]["value"], known["coverage"], known["newest_labelled_time"]) == ("no labels", 0, None, None, "")
    assert known["estimate"] is None and not known["drift"]


@pytest.mark.parametrize("order", ["as it was", "labels first", "all twice", "shuffled"])
def test_the_order_of_deliveries_changes_no_block(order: str) -> None:
    records = labelled(range(8 * BLOCK), share_right=0.9)
    plain, other = delayed(), delayed()
    feed(plain, records)
    changed = sorted(records, key=lambda record: record["kind"]) if order == "labels first" else records * (2 if order == "all twice" else 1)
    if order == "shuffled":  # within the delay, as several senders do
        keys = np.arange(len(records)) + np.random.default_rng(3).uniform(0, BLOCK, len(records))
        changed = [changed[at] for at in np.argsort(keys)]
    feed(other, changed, batch=100)
    same = ("kpi", "blocks", "coverage", "message", "labels", "newest_labelled_time")
    assert {key: told(other)[key] for key in same} == {key: told(plain)[key] for key in same}


def test_the_newest_label_before_the_block_is_judged_counts() -> None:
    rows = range(3 * BLOCK)
    made, whole = delayed(), delayed()
    wrong = [prediction(row) for row in rows] + [label(row, label=1 - row % 2, labelled_at=when(row)) for row in rows]
    feed(made, wrong)
    feed(made, [label(row, labelled_at=when(row + 1)) for row in rows[BLOCK:]])  # the first block has been judged
    feed(made, [label(row, label=1 - row % 2, labelled_at=when(row)) for row in rows])  # sent again: older than what is known
    feed(made, [prediction(row) for row in range(3 * BLOCK, 6 * BLOCK)])
    feed(whole, [prediction(row) for row in range(6 * BLOCK)] + [label(row, label=row % 2 if row >= BLOCK else 1 - row % 2) for row in rows])
    assert told(made)["kpi"]["value"] == pytest.approx(2 / 3) and told(made)["blocks"] == 3
    same = ("kpi", "blocks", "message", "labels", "evidence")
    assert {key: told(made)[key] for key in same} == {key: told(whole)[key] for key in same}


def test_a_correction_after_the_block_was_judged_is_counted_once_and_changes_nothing() -> None:
    made = delayed()
    feed(made, labelled(range(5 * BLOCK)))
    before = told(made)
    correction = [label(row, label=1 - row % 2, labelled_at=when(6 * BLOCK)) for row in range(7)]
    feed(made, correction)
    feed(made, correction)
    after = told(made)
    assert {**after, "labels": 0, "note": 0} == {**before, "labels": 0, "note": 0}
    assert after["labels"]["corrected"] == 7
    assert "7 labels changed after their row was judged: it is not judged again" in after["note"]


def test_a_stream_without_a_delay_takes_a_correction_until_its_block_is_cut() -> None:
    made = Monitor({"elec": ELEC})
    feed(made, [*labelled(range(BLOCK - 1)), label(3, label=0, labelled_at=when(BLOCK))])
    assert told(made)["kpi"]["value"] == (BLOCK - 2) / (BLOCK - 1)
    feed(made, labelled(range(BLOCK - 1, BLOCK)))
    feed(made, [label(4, label=1, labelled_at=when(BLOCK))])
    assert told(made)["kpi"]["value"] == (BLOCK - 1) / BLOCK
    assert told(made)["labels"] == {"delay_seconds": 0.0, "early": 0, "late": 0, "corrected": 1, "lost": 0}


def test_a_label_that_comes_after_its_block_was_judged_is_counted_and_not_judged() -> None:
    made = delayed()
    feed(made, [record for record in labelled(range(6 * BLOCK)) if record["id"] not in {"row-5", "row-6"} or record["kind"] == "prediction"])
    before = told(made)
    feed(made, [label(5), label(6, label=1)])
    after = told(made)
    assert (after["blocks"], after["kpi"]) == (before["blocks"], before["kpi"])
    assert after["labels"]["late"] == 2 and "2 labels came after their block was judged" in after["note"]
    assert after["coverage"] > before["coverage"]


def test_a_label_that_is_late_for_its_block_only_by_its_age_still_counts() -> None:
    made = delayed()
    feed(made, [prediction(row) for row in range(6 * BLOCK)])
    feed(made, [label(row) for row in range(4 * BLOCK)])  # all mature, and no block was judged before
    assert told(made)["blocks"] == 4 and told(made)["labels"]["late"] == 0


def test_one_row_with_a_time_far_ahead_does_not_make_all_labels_mature() -> None:
    made = delayed()
    feed(made, labelled(range(2 * BLOCK)))
    feed(made, [prediction(900_000, served_at=when(2 * BLOCK)), *labelled(range(2 * BLOCK, 3 * BLOCK))])
    assert told(made)["blocks"] == 1


def test_fallback_rows_wait_like_the_others_and_say_nothing_of_the_model() -> None:
    made = delayed()
    feed(made, labelled(range(3 * BLOCK)) + labelled(range(3 * BLOCK, 6 * BLOCK), share_right=0.0, fallback="model_unavailable", probabilities=None))
    known = told(made)
    assert (known["blocks"], known["kpi"]["value"], known["newest_labelled_time"]) == (3, 1.0, when(4 * BLOCK - 1))


def test_more_rows_than_are_held_are_counted_and_the_rest_is_judged_later() -> None:
    held = Maturing(timedelta(days=2), most=10)
    made = delayed()
    made.watchers["elec"].intake.maturing = held
    feed(made, labelled(range(BLOCK)))
    assert held.waiting == 10
    assert told(made)["labels"]["lost"] == BLOCK - 10
    assert "38 rows left the memory" in told(made)["note"]


@pytest.mark.parametrize("seed", range(5))
def test_the_running_count_of_early_labels_is_that_of_the_rows_that_are_held(seed: int) -> None:
    """Labels before, with and after their rows, corrected, repeated, of rows that are lost; rows out of order."""
    rng, made = np.random.default_rng(seed), delayed()
    held = Maturing(timedelta(days=2), most=70)
    made.watchers["elec"].intake.maturing = held
    counts = set()
    for start in range(0, 6 * BLOCK, 8):
        rows = rng.permutation(np.arange(start, start + 8))
        labels = [label(int(row), label=int(rng.integers(2)), labelled_at=when(start + 9)) for row in rng.integers(max(0, start - 100), start + 16, 12)]
        records = [*(prediction(int(row)) for row in rows), *labels]
        made.ingest("elec", [records[at] for at in rng.permutation(len(records))])
        assert held.early == sum(row.label is not None for *_, row in held._rows)
        counts.add(held.early)
    assert len(counts) > 10 and held.lost


def test_counts_without_anything_to_say_say_nothing() -> None:
    assert LabelCounts().note == LabelCounts(86400.0).note == ""


def written(tmp_path: Path, given: Any) -> Path:
    streams = yaml.safe_load(BUNDLED.read_text())
    streams["elec"]["label_delay"] = given
    path = tmp_path / "streams.yaml"
    path.write_text(yaml.safe_dump(streams))
    return path


@pytest.mark.parametrize(
    ("given", "days"), [("7d", 7), ("1w", 7), ("168h", 7), ("90min", 1 / 16), ("0.5d", 0.5), ("30s", 30 / 86400), (None, 0), ("", 0), ("0d", 0), (0, 0)]
)
def test_a_streams_file_may_write_the_delay_in_many_ways(tmp_path: Path, given: Any, days: float) -> None:
    assert stream_settings.load(written(tmp_path, given))["elec"].label_delay == timedelta(days=days)


@pytest.mark.parametrize("given", [3, "3", -1, 1.5, True, False, "soon", "-1d", "7 months", "1e9w", ["7d"], {"days": 7}, "d" * 500])
def test_a_delay_that_is_no_time_is_one_line(tmp_path: Path, given: Any) -> None:
    with pytest.raises(SettingsError, match=r"stream elec: label_delay is .*: give a time such as 12h, 7d or 2w$") as found:
        stream_settings.load(written(tmp_path, given))
    assert "\n" not in str(found.value) and len(str(found.value)) < 400
