"""Ingests the records of one stream: joins labels by id, fills windows, judges complete blocks.

Rows that the fallback answered count for the inputs, not for the model. A label counts when its row is older than the stream's `label_delay`;
until then a newer label for the same row replaces it. What comes after its block was judged is counted, and changes nothing.
"""

from __future__ import annotations

import math
import sys
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from driftloop.errors import DataError
from monitoring.features import Feature, as_text
from monitoring.online import input_tests
from monitoring.online.judging import Scoring
from monitoring.online.label_progress import MOST_WAITING, Furthest, LabelCounts, Maturing
from monitoring.online.rolling import Join, Newest, Row, Share
from monitoring.online.version_record import KPI_BLOCKS, Served
from monitoring.records.checks import SUM_OFF, Value
from monitoring.records.events import Label, Prediction, Record, Rejected
from monitoring.stream_settings import StreamConfig

MOST_VERSIONS: Final = 4  # newest versions remembered
QUALITY_ROWS: Final = 1000  # newest rows, including refused ones, whose quality is reported


class Intake:
    """One stream's records. Not thread-safe: the caller holds a lock.

    Args:
        config: the stream.
        waits: whether blocks are judged only after `Served.prepare`.
    """

    def __init__(self, config: StreamConfig, *, waits: bool) -> None:
        self.config = config
        self.rows: deque[Row] = deque(maxlen=KPI_BLOCKS * config.block_size)  # newest, by whoever answered
        self.values = Newest(input_tests.MOST_ROWS, features=len(config.features), texts=any(feature.texts for feature in config.features))
        self.invalid = Share(QUALITY_ROWS)
        self.versions: OrderedDict[str, Served] = OrderedDict()  # in order of their first answer
        self._first: dict[str, list[Row]] = {}  # by version: see `begin`
        self.in_use = ""  # version of the newest answer; "" before the first
        self.last: dict[str, str] = {}  # by kind of record: when the newest came
        self.maturing = Maturing(config.label_delay) if config.label_delay else None
        self.due = deque[Row](maxlen=self.rows.maxlen) if self.maturing else self.rows  # newest rows whose labels should have come
        self._late = self._corrected = 0  # labels, and corrections of them, that came after their block was judged
        self._labelled = Furthest()
        self._in_use_at = ""
        self._waits = waits
        self.scoring = Scoring(config)
        self._join = Join(most=MOST_WAITING) if self.maturing else Join()
        self._rejected = Join()  # for its ids

    def check(self, record: Record) -> None:
        """Refuse a record that does not fit this stream.

        Raises:
            DataError: it is another stream's, or its label, prediction or the kind of a feature is invalid for this one.
        """
        if record.stream != self.config.name:
            raise DataError(f"record {record.id!r} belongs to stream {record.stream!r}, not {self.config.name!r}: send it there")
        if isinstance(record, Label) and self.config.labels and record.label not in self.config.labels:
            raise DataError(f"record {record.id!r}: label must be one of {', '.join(map(str, self.config.labels))}")
        if self.config.task == "regression" and any(isinstance(answer, str) for answer in _answers(record)):
            raise DataError(f"record {record.id!r}: stream {self.config.name!r} takes numbers as predictions and labels")
        for name in self._no_numbers(record.features) if isinstance(record, Prediction) else []:
            raise DataError(f"record {record.id!r}: feature {name!a:.50} must be a number or null")

    def _no_numbers(self, given: Mapping[str, object]) -> list[str]:
        """The features that must be numbers and are texts or booleans; of a stream of plain numbers also columns that are not its own."""
        free = {feature.name for feature in self.config.features if feature.texts or feature.boolean}
        mine = self.config.feature_names if self.config.described else given
        return [name for name in mine if name not in free and isinstance(given.get(name), str | bool)]

    def take(self, records: Iterable[Record]) -> tuple[list[Record], int]:
        """Take checked records; return those with new ids, and the number of blocks they completed."""
        new = [record for record in records if self._take(record)]
        for row in self.maturing.ripe() if self.maturing else ():
            self.due.append(row)
            if row.label is not None:
                self._counts(row)
        return new, sum(version.advance() for version in self.versions.values())

    def begin(self, version: str, records: Iterable[Record]) -> None:
        """Take checked predictions, each with its label, that a version answered before all that `take` is given: its segments are compared with them.

        Of each version once: the log may be read again after a fault.
        """
        if version in self._first:
            return
        rows: dict[str, Row] = {}
        for record in records:
            if isinstance(record, Prediction):
                rows[record.id] = self._row(record)[0]
            elif isinstance(record, Label):
                rows[record.id].label = record.label
        self._first[version] = list(rows.values())
        if found := self.versions.get(version):
            self._begin(found)

    def _begin(self, version: Served) -> None:
        if rows := self._first.get(version.version):
            version.begin(rows)
            self._first[version.version] = []

    def _take(self, record: Record) -> bool:
        if isinstance(record, Prediction):
            return self._prediction(record)
        if isinstance(record, Label):
            return self._label(record)
        if self._rejected.knows_label(record.id):
            return False
        self._rejected.label(record.id, record.reason)
        self.invalid.add(True)
        self._seen(record.kind, record.served_at)
        return True

    def _prediction(self, record: Prediction) -> bool:
        row, valid = self._row(record)
        if not self._join.prediction(row):
            return False
        self._seen(record.kind, record.served_at)
        self.rows.append(row)
        self.values.add(row.features)
        self.invalid.add(not valid)
        if not row.fallback:
            self._served(row.version)
            if row.served_at >= self._in_use_at:
                self.in_use, self._in_use_at = row.version, row.served_at
        if self.maturing:
            self.maturing.add(row)
        elif row.label is not None:
            self._counts(row)
        return True

    def _counts(self, row: Row) -> None:
        """Take a labelled row whose label can be relied on."""
        version = None if row.fallback else self.versions.get(row.version)
        if self.maturing and version and version.has_judged(row):
            row.closed = True
            self._late += 1
            return
        self._labelled.add(row.time, served_at=row.served_at)
        if version:
            version.add(row)
        else:
            row.closed = True

    @property
    def newest_labelled(self) -> str:
        """The newest time of a row with a label that counts, without strays; "" without one."""
        return self._labelled.newest

    @property
    def label_counts(self) -> LabelCounts:
        """How many labels are not judged."""
        early, lost = (self.maturing.early, self.maturing.lost) if self.maturing else (0, 0)
        return LabelCounts(self.config.label_delay.total_seconds(), early, self._late, self._corrected, lost)

    def _label(self, record: Label) -> bool:
        if self._join.knows_label(record.id):
            in_time = self._join.correct(record.id, record.label, at=record.labelled_at)
            self._corrected += in_time is False
            for version in self.versions.values() if in_time else ():
                version.forget_figures()
            return False
        self._seen(record.kind, record.labelled_at)
        row = self._join.label(record.id, record.label, at=record.labelled_at)
        if row is not None and row.waits and self.maturing:
            self.maturing.labelled()
        elif row is not None and not row.closed:
            self._counts(row)
        return True

    def _row(self, record: Prediction) -> tuple[Row, bool]:
        """The row, with impossible values as nan, and whether all its values are valid."""
        given = [record.features.get(feature.name) for feature in self.config.features]
        faults = [feature.fault(value) for feature, value in zip(self.config.features, given, strict=True)]
        shares = record.probabilities or []
        row = Row(
            id=record.id,
            time=record.time,
            served_at=record.served_at,
            version=record.version,
            fallback=record.fallback,
            features=tuple(_kept(*one) for one in zip(self.config.features, given, faults, strict=True)),
            prediction=record.prediction,
            probabilities=tuple(shares) if len(shares) == len(self.config.labels) and abs(sum(shares) - 1) <= SUM_OFF else None,
            baseline=record.baseline,
        )
        return row, not any(faults)

    def _seen(self, kind: str, when: str) -> None:
        self.last[kind] = max(when, self.last.get(kind, ""))

    def _served(self, version: str) -> Served:
        found = self.versions.get(version)
        if found is None:
            newest = next(reversed(self.versions.values()), None)
            found = self.versions[version] = Served(version, self.config, self.scoring, before=newest)
            self._begin(found)
            if not self._waits:
                found.prepare(None)
            if len(self.versions) > MOST_VERSIONS:
                self.versions.popitem(last=False)
        return found


def _kept(feature: Feature, value: Any, fault: str) -> float | str:
    """The value: a number, or a text, of which equal ones are one object."""
    if fault or value is None:
        return math.nan
    return sys.intern(as_text(value)) if feature.texts else feature.code(value)


def _answers(record: Record) -> tuple[Value | None, ...]:
    if isinstance(record, Rejected):
        return ()
    return (record.label,) if isinstance(record, Label) else (record.prediction, record.baseline)
