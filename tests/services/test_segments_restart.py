"""A restart of the monitor reads the log, and knows the segments as before."""

from __future__ import annotations

from dataclasses import replace

from monitor_records import ELEC, labelled
from monitor_sample import feed, told

from monitoring.log.prediction_log import PredictionLog
from monitoring.online.monitor import Monitor
from monitoring.records import events


def test_a_restart_knows_the_segments(log: PredictionLog) -> None:
    config = replace(ELEC, segments=("period",), block_size=100)
    before = Monitor({"elec": config})
    records = labelled(range(2200), share_right=0.9) + labelled(range(2200, 3000), share_right=0.5)
    feed(before, records)
    for start in range(0, len(records), 100):
        log.add([events.from_json(record) for record in records[start : start + 100]])
    after = Monitor({"elec": config}, log=log)
    after.refill()
    assert told(after)["segments"] == told(before)["segments"] != []
    assert any(one["drift"] for one in told(after)["segments"])
