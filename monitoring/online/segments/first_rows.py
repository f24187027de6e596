"""Reads the rows that a version answered first from the prediction log: after a restart, too, its segments are compared with these.

Of a long log a start reads the newest rows only. Were the first of these the reference period, a fall before them would become what is normal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from monitoring.online.label_progress import Furthest
from monitoring.online.segments.served_segments import reference_blocks
from monitoring.records.checks import time_text
from monitoring.stream_settings import StreamConfig

if TYPE_CHECKING:
    from monitoring.log.prediction_log import PredictionLog

MOST_LOOKED: Final = 200_000  # rows of a version that are looked through for labelled ones
Document = Mapping[str, Any]


def read(
    log: PredictionLog, config: StreamConfig, newest: Sequence[Document], *, trained_until: Callable[[str], str]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The first labelled rows of each version that has answered some of the newest ones, as many as its reference period needs, in time order.

    A version whose rows are all among the newest is left out.

    Args:
        log: with all rows.
        config: the stream.
        newest: rows of it in time order.
        trained_until: of a version the time of its last training row, "" if unknown: earlier rows are no reference.

    Raises:
        LogAwayError: MongoDB is unreachable.
    """
    if not config.segments or not newest:
        return
    stop = min(newest[0]["time"], _mature_until(config, newest))
    for version in dict.fromkeys(row["version"] for row in newest if not row["fallback"]):
        first = log.first_time(config.name, version)
        if first is not None and first < stop:
            yield version, _labelled(log, config, version, max(first, trained_until(version)), stop)


def _labelled(log: PredictionLog, config: StreamConfig, version: str, start: str, stop: str) -> list[dict[str, Any]]:
    from monitoring.log.documents import to_json

    rows: list[dict[str, Any]] = []
    looked, needed = 0, reference_blocks(config) * config.block_size
    for page in log.pages(config.name, start, stop):
        rows += [to_json(row) for row in page if row["version"] == version and not row["fallback"] and "label" in row]
        looked += len(page)
        if len(rows) >= needed or looked >= MOST_LOOKED:
            break
    return rows[:needed]


def _mature_until(config: StreamConfig, newest: Sequence[Document]) -> str:
    """The time up to which labels are mature."""
    reached = Furthest()
    for row in newest:
        reached.add(row["time"], served_at=row["served_at"])
    return time_text(datetime.fromisoformat(reached.newest) - config.label_delay)
