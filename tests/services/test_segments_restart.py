"""A restart of the monitor reads the log, and knows the segments as before: also of a long log, of which it reads the newest rows only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from monitor_records import ELEC, label, labelled, prediction, when
from monitor_sample import Kept, feed, some_reference, told

from driftloop.training.reference import Reference
from monitoring.log.mongo import LogAwayError
from monitoring.log.prediction_log import PredictionLog
from monitoring.online import monitor as monitor_module
from monitoring.online.monitor import Monitor
from monitoring.records import events

CONFIG = replace(ELEC, segments=("period",), block_size=100)
FALL, ROWS, NEWEST = 2050, 3500, 1200  # the newest rows all come after the fall


@pytest.fixture
def few_rows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_module, "REFILL_ROWS", NEWEST)
    monkeypatch.setattr(monitor_module, "REFILL_DELAYED_ROWS", NEWEST)


def write(log: PredictionLog, records: list[dict[str, Any]]) -> None:
    """Predictions, each followed by its label, in one write: ten times as fast as one after the other."""
    made = [events.from_json(record) for record in records]
    rows = list(zip(made[::2], made[1::2], strict=True))
    for start in range(0, len(rows), 1000):
        log.add_labelled(rows[start : start + 1000])


def fallen(rows: range, *, since: int = FALL, version: str = "1", seed: int = 4) -> list[dict[str, Any]]:
    """Rows of which those in the lowest quarter of `period` are mostly wrong from a row on."""
    rng, records = np.random.default_rng(seed), []
    for row in rows:
        value = float(rng.random())
        right = rng.random() < (0.4 if value < 0.25 and row >= since else 0.9)
        records += [prediction(row, right=bool(right), version=version, features={"period": value}), label(row)]
    return records


def restarted(log: PredictionLog, *, references: Kept | None = None, **changed: Any) -> list[str]:
    """The segments that a monitor names after a start with the log."""
    made = Monitor({"elec": replace(CONFIG, **changed)}, log=log, references=references)
    made.refill()
    return [one["name"] for one in told(made)["segments"] if one["drift"]]


def test_a_restart_knows_the_segments(log: PredictionLog) -> None:
    before = Monitor({"elec": CONFIG})
    records = labelled(range(2200), share_right=0.9) + labelled(range(2200, 3000), share_right=0.5)
    feed(before, records)
    write(log, records)
    after = Monitor({"elec": CONFIG}, log=log)
    after.refill()
    assert told(after)["segments"] == told(before)["segments"] != []
    assert any(one["drift"] for one in told(after)["segments"])


@pytest.mark.usefixtures("few_rows_are_read")
@pytest.mark.parametrize("delay", [timedelta(0), timedelta(days=5)])
def test_a_restart_long_after_a_fall_still_names_the_segment(log: PredictionLog, delay: timedelta) -> None:
    write(log, fallen(range(ROWS)))
    (named,) = restarted(log, label_delay=delay)
    assert named.startswith("period=≤ 0.2")


@pytest.mark.usefixtures("few_rows_are_read")
def test_each_version_is_compared_with_its_own_first_rows(log: PredictionLog) -> None:
    """Version 2 was always as it is now; version 1 was better."""
    write(log, fallen(range(600)) + fallen(range(600, 4000), since=0, version="2"))
    assert restarted(log) == []


@pytest.mark.usefixtures("few_rows_are_read")
def test_a_reference_period_that_ends_among_the_newest_rows_is_completed_by_them(log: PredictionLog) -> None:
    write(log, fallen(range(300), version="0") + fallen(range(300, 3400), since=2350))  # the first 1,900 rows of version 1 are older than the newest
    assert len(restarted(log)) == 1


@pytest.mark.usefixtures("few_rows_are_read")
def test_training_rows_in_the_log_are_no_reference(log: PredictionLog) -> None:
    """Rows that a version was trained on, as `fill` writes them, have fewer errors."""

    def find(_: str) -> Reference:
        trained = some_reference()
        return replace(trained, times=np.datetime64(when(1999).removesuffix("Z"), "ns") - np.arange(len(trained))[::-1])

    write(log, labelled(range(2000), share_right=1.0) + labelled(range(2000, 4400), share_right=0.85))
    assert restarted(log)
    assert not restarted(log, references=Kept(find))


@pytest.mark.usefixtures("few_rows_are_read")
def test_a_log_that_fails_half_way_is_read_again_and_nothing_is_forgotten(log: PredictionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, fallen(range(ROWS)))
    made = Monitor({"elec": CONFIG}, log=log)
    newest: Callable[..., list[dict[str, Any]]] = log.newest

    def once_away(stream: str, rows: int, **others: Any) -> list[dict[str, Any]]:
        made.refilled = True
        monkeypatch.setattr(log, "newest", newest)
        raise LogAwayError("away")

    made.refill()
    monkeypatch.setattr(log, "newest", once_away)
    with pytest.raises(LogAwayError):
        made.refill()
    before = told(made)["segments"]
    made.refill()
    assert told(made)["segments"] == before and before[0]["drift"]
