"""Loads a stream: rows in time order, each with named features, a label (a class, or a value for a regression) and a time.

The bundled ELEC (Elec2, Harries 1999) is the default; its official ARFF loads to the same stream. Any other ARFF,
CSV or Parquet file needs a label column and a time column. Bad rows are never dropped silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from driftloop.data import elec, label_column, row_checks
from driftloop.data.files import tables
from driftloop.data.schema import choice, columns, roles, schema_file
from driftloop.data.schema.choice import Around, Asked
from driftloop.data.schema.schema import Column, Schema
from driftloop.data.schema.schema_file import Overrules
from driftloop.data.times import formats, zones
from driftloop.data.times.column import time_values
from driftloop.errors import DataError, SettingsError
from driftloop.settings import TASKS

BAD_ROWS = ("refuse", "set_aside")
MISSING = ("learn", "refuse", "set_aside")
Check = Callable[[pd.DataFrame], columns.Faults]

_DAY = np.timedelta64(1, "D")
NO_SCHEMA = Schema()


@dataclass(frozen=True, eq=False)
class SetAside:
    """The bad rows in the file's order, to be counted by block; entry i of every array belongs to the same row."""

    times: np.ndarray  # (M,) datetime64[ns], NaT where the time is faulty
    values: np.ndarray  # (M, F) float64, nan where a value is not a number
    before: np.ndarray  # (M,) rows of the stream before it in the file


NOTHING = SetAside(np.empty(0, "datetime64[ns]"), np.empty((0, 0)), np.empty(0, np.int64))


@dataclass(frozen=True, eq=False)
class Stream:
    """Rows in time order; entry i of every array belongs to the same row.

    `set_aside` lists the bad rows left out, as (line of the file, reason); `aside` has their values in the same order.
    `period` is the number of rows a day when nearly all steps between rows are equal and divide a day, else None.
    """

    name: str
    rows: np.ndarray  # (N, F) float64, C-contiguous, coded as `schema.encoding` says; finite, or nan where a value is missing
    labels: np.ndarray  # (N,) int64 class indices into label_names; for a regression float64 values
    label_names: tuple[object, ...]  # the label values, such as (0, 1) or ("DOWN", "UP"); () for a regression
    features: tuple[str, ...]  # (F,) column names
    times: np.ndarray  # (N,) datetime64[ns], non-decreasing
    period: int | None  # rows a day
    source: str  # the file
    sha256: str  # of the file on disk
    set_aside: tuple[tuple[int, str], ...] = ()
    aside: SetAside = field(default=NOTHING)
    task: str = "classification"
    schema: Schema = NO_SCHEMA  # of all columns of the table; empty of rows that come from none
    unit: str = ""  # of a regression's label, such as "minutes"
    notes: tuple[str, ...] = ()  # columns that were left out, and values that are read otherwise than they are written
    vocabulary: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # all categories of each coded feature, those of the training rows first

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The features, with all categories of the table."""
        known = {column.name: column for column in self.schema.columns}
        found = [known.get(name, Column(name, "feature", "number")) for name in self.features]
        return tuple(replace(column, categories=self.vocabulary.get(column.name, ())) for column in found)


def load(
    path: str | PathLike[str] | None = None,
    *,
    target: str | None = None,
    time_column: str | None = None,
    time_format: str = "",
    time_zone: str = "",
    features: Sequence[str] | None = None,
    leave_out: Sequence[str] = (),
    schema: str | PathLike[str] | None = None,
    trained: Callable[[np.ndarray], int] = choice.oldest,
    bad_rows: str = "refuse",
    missing: str = "learn",
    values_as_they_are: bool = False,
    trained_schema: Schema = NO_SCHEMA,
    encoding: str = "",
    separator: str = "",
    task_name: str = "classification",
    unit: str = "",
    check: Check | None = None,
) -> Stream:
    """Load a stream from a file, or the bundled ELEC without one.

    Args:
        path: ARFF, CSV or Parquet, plain or as .gz or .zip.
        target: the label's column; "target" or "class" when one of them is there.
        time_column: the column with each row's time; times without a zone are taken as they are, others turned to UTC. Only
            a file with ELEC's columns and rows does without: its rows are the half-hours from 1996-05-07.
        time_format: how the times are written, for `strptime`, or one of `times.formats.NUMBERS`; empty: what an ARFF declares, else
            what all rows together say.
        time_zone: the IANA name of the zone that times without one are local to.
        features: the feature columns, in the order wanted; by default ELEC's six, or every other numeric column that has a name and is
            no identifier, constant or empty in the training rows. ELEC has "day" (1 = Monday .. 7) besides.
        leave_out: columns that are no features.
        schema: a YAML or JSON file that overrules what the training rows show, see `schema_file.read`.
        trained: how many of the rows with these times the base model learns; the schema is inferred from them.
        bad_rows: "refuse" or "set_aside" rows with a missing, unparsable or infinite value, or that `check` names.
        missing: what becomes of missing values where the learner takes them: "learn" (a missing value is a value), or "refuse" or "set_aside" their
            rows. Rows without a label are then unlabelled: left out, and counted in a note.
        values_as_they_are: the learner takes categories and missing values; otherwise it takes finite numbers only, and `bad_rows` holds.
        trained_schema: that of the base model's table; it is then not inferred again, from the rows of a table that has grown since.
        encoding: of a file of text; empty: UTF-8, or what its byte order mark says.
        separator: of the columns of a CSV; empty: the character that cuts its lines alike.
        task_name: "classification" or "regression".
        unit: of a regression's label.
        check: rules for plausible values in this table: takes the table as in the file, returns the bad rows with reasons.

    Raises:
        DataError: the file cannot be used; the message says where and what to do.
        SettingsError: the schema file cannot be used, `bad_rows` or `task_name` is none of the two, or `time_format` is no format that can be read.

    >>> elec = load()
    >>> elec.rows.shape, elec.label_names, elec.period, str(elec.times[0])[:16]
    ((45312, 6), (0, 1), 48, '1996-05-07T00:00')
    """
    if bad_rows not in BAD_ROWS:
        raise SettingsError(f"--bad_rows is {bad_rows!r}: give one of {', '.join(BAD_ROWS)}")
    if missing not in MISSING:
        raise SettingsError(f"--missing is {missing!r}: give one of {', '.join(MISSING)}")
    if task_name not in ("", *TASKS):
        raise SettingsError(f"--task is {task_name!r}: give one of {', '.join(TASKS)}, or nothing: it follows from the label")
    if task_name == "regression" and path is None:
        raise SettingsError("--task regression needs a table of your own: give --data_path, --target and --time_column")
    if time_format and (told := formats.fault(time_format)):
        raise SettingsError(told)
    said = schema_file.read(schema) if schema else Overrules()
    target, time_column = said.the("label", target, "--target"), said.the("time", time_column, "--time_column")
    source = elec.BUNDLED if path is None else Path(path)
    table = tables.read(source, as_text=[time_column] if time_column else [], encoding=encoding, separator=separator)
    if path is None and table.sha256 != elec.SHA256:
        raise DataError(f"{source}: is not the bundled ELEC (its sha256 begins with {table.sha256[:12]}): restore it with git checkout")
    try:
        return _stream(
            table,
            source,
            target=target,
            time_column=time_column,
            times=_Times(time_format, time_zone),
            asked=Asked(features, leave_out=leave_out, overrules=said, trained=trained, values_as_they_are=values_as_they_are, known=trained_schema),
            bad_rows=bad_rows,
            missing=missing if values_as_they_are else bad_rows,
            task_name=task_name,
            unit=unit,
            check=check,
        )
    except DataError as exc:
        raise DataError(f"{source}: {exc}") from exc


def row_at(stream: Stream, time: str, *, time_zone: str = "") -> int:
    """The first row of a stream at or after an ISO time; the number of rows if there is none.

    A time with a zone is converted to UTC, like the stream's; one without is local to `time_zone`, like theirs.

    >>> row_at(load(), "1996-05-07T12:15:00.000Z"), row_at(load(), "1996-05-07"), row_at(load(), "2100-01-01T00:00Z")
    (25, 0, 45312)

    Raises:
        SettingsError: the text is not a time of the years 1678 to 2261, the range of nanoseconds.
    """
    found = zones.moment(time, zone=time_zone)
    return int(np.searchsorted(stream.times, found, side="left"))


@dataclass(frozen=True)
class _Times:
    """Format and time zone of the times; empty: not given."""

    format: str
    zone: str


def _stream(
    table: tables.Table,
    source: Path,
    *,
    target: str | None,
    time_column: str | None,
    times: _Times,
    asked: Asked,
    bad_rows: str,
    missing: str,
    task_name: str,
    unit: str,
    check: Check | None,
) -> Stream:
    known = elec.recognised(table) if time_column is None and target in (None, *columns.TARGETS) and task_name != "regression" else None
    frame = table.frame if known is None else known
    if known is None and time_column is None:
        time_column = roles.time_column(frame, target=target, declared=table.time_formats)
    label = columns.target_name(frame, target, time_column=time_column)
    if known is None:
        when, time_faults = _read_times(table, time_column, times)
    else:
        when, time_faults = elec.times(len(frame)), {}
        asked = replace(asked, usual=elec.FEATURES)
    _check_times_read(table, time_column, times)
    regression = known is None and (task_name or label_column.task(frame[label], when, asked)) == "regression"
    columns.check_commas(asked.features or (), list(frame.columns))
    labels, label_faults, label_notes = label_column.read(table, frame, label, regression=regression, known=known is not None)
    usable = np.ones(len(frame), bool)
    implausible = check(frame) if check else {}
    usable[[*implausible, *label_faults, *time_faults, *table.faults]] = False
    around = Around(label, time_column, labels, when, usable, regression=regression, unit=unit)
    schema, found = choice.choose(frame, around, asked, written=table.written if known is None else None)
    values = found.values if known is None else found.values.astype(np.float32).astype(np.float64)  # ELEC's files differ in the 16th digit
    unlabelled, label_faults = label_column.unlabelled(table, label_faults) if missing == "learn" else (np.zeros(len(frame), bool), label_faults)
    # The last of a row's several faults here is reported: a row with too few fields misses values as well.
    faults = {**implausible, **found.faults, **label_faults, **time_faults, **table.faults}
    set_aside, bad = row_checks.bad(table, faults, found.missing, bad_rows=bad_rows, missing=missing)
    good = ~bad & ~unlabelled
    if not good.any():
        raise DataError("there is no usable row")
    row_checks.check_order(when[good], table.lines[good], table.unit, time_column)
    label_names, codes = label_column.codes(labels[good], label, regression=regression)
    return Stream(
        name=source.name.partition(".")[0] if known is None else "ELEC",
        rows=np.ascontiguousarray(values[good]),
        labels=labels[good] if regression else codes.astype(np.int64),
        label_names=() if regression else tuple(label_names.tolist()),
        features=found.names,
        times=when[good],
        period=None if time_column == roles.ROW else _period(when[good]),
        source=str(source),
        sha256=table.sha256,
        set_aside=set_aside,
        aside=SetAside(when[bad], values[bad], np.cumsum(good)[bad]),
        task="regression" if regression else "classification",
        schema=schema,
        unit=unit,
        notes=(*schema.notes, *found.notes, *label_notes, *label_column.unlabelled_note(int(unlabelled.sum()))),
        vocabulary=found.vocabulary,
    )


def _read_times(table: tables.Table, name: str | None, times: _Times) -> tuple[np.ndarray, columns.Faults]:
    if _numbered(table, name):
        return roles.row_times(len(table.frame)), {}
    column = columns.time_column(table.frame, name)
    return time_values(column, time_format=times.format or table.time_formats.get(str(column.name), ""), time_zone=times.zone)


def _check_times_read(table: tables.Table, time_column: str | None, times: _Times) -> None:
    """Refuse a format or a zone of times where none are read."""
    if (times.format or times.zone) and (time_column is None or _numbered(table, time_column)):
        raise SettingsError("--time_format and --time_zone say how to read the --time_column: give that as well")


def _numbered(table: tables.Table, name: str | None) -> bool:
    """Whether the rows are in time order without a time."""
    return name == roles.ROW and roles.ROW not in table.frame


def _period(times: np.ndarray) -> int | None:
    steps = np.diff(times)
    step = np.median(steps.astype(np.int64)).astype("timedelta64[ns]") if len(steps) else _DAY * 0
    if step <= np.timedelta64(0) or step > _DAY or np.mean(steps == step) < 0.9 or _DAY % step:
        return None
    return int(_DAY // step)
