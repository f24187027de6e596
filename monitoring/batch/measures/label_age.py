"""Which rows of a window are old enough for their labels to be relied on: older than the stream's `label_delay`, against its newest row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from driftloop.predictions.later.label_delay import EARLY, LabelDelay
from driftloop.report import wording
from monitoring.batch.measures.window_rows import WindowRows
from monitoring.log.prediction_log import PredictionLog
from monitoring.online.label_progress import ROWS, Furthest
from monitoring.records.checks import time_text
from monitoring.stream_settings import StreamConfig


@dataclass(frozen=True, eq=False)
class LabelAge:
    """The rows of a window whose labels are not mature."""

    delay: timedelta
    immature: np.ndarray  # (N,) bool
    early: int  # of them with a label

    def of_mature(self, rows: WindowRows) -> WindowRows:
        """The rows without the labels of those that are not mature."""
        if not self.early:
            return rows
        never = np.datetime64("NaT", "ms")
        return replace(rows, labels=np.where(self.immature, np.nan, rows.labels), labelled_at=np.where(self.immature, never, rows.labelled_at))

    @property
    def note(self) -> str:
        """What is not judged, and why; "" if all is."""
        count = int(self.immature.sum())
        if not count:
            return ""
        told = f" {self.early:,} labels that came before are not judged: {EARLY}." * (self.early > 0)
        delay = LabelDelay(self.delay.total_seconds()).words
        return f"{wording.count(count, 'row')} not judged yet: labels are mature {delay} after their row, against the stream's newest row.{told}"


def measure(log: PredictionLog, config: StreamConfig, rows: WindowRows) -> LabelAge:
    """The ages of a window's rows; raises a LogAwayError when MongoDB is unreachable."""
    immature = np.zeros(len(rows), bool)
    if config.label_delay and len(rows):
        immature = rows.times > np.datetime64(_edge(log, config).removesuffix("Z"), "ms")
    return LabelAge(config.label_delay, immature, int((immature & rows.labelled).sum()))


def _edge(log: PredictionLog, config: StreamConfig) -> str:
    """The time of the newest row whose label is mature."""
    furthest = Furthest()
    for row in log.newest(config.name, ROWS):
        furthest.add(row["time"], served_at=row["served_at"])
    return time_text(datetime.fromisoformat(furthest.newest) - config.label_delay)
