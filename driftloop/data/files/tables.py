"""Reads a table from ARFF, CSV or Parquet, plain or inside .gz or .zip, and keeps each row's line in the file.

The file type follows from the first bytes, not only from the name. Only the shape is checked here: a row
with too many or too few fields is kept as an empty row and reported in `Table.faults`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas._libs.parsers import STR_NA_VALUES  # read_csv's missing values

from driftloop.data.files import arff, texts, unpacking
from driftloop.data.files.arrow import arrow
from driftloop.errors import DataError

_NO_ROWS = "the table has no rows"
_MISSING = "?"  # ARFF's missing value, also common in CSV
_LONGEST_HEADER = 200  # lines
_NAMED_BY_EXCEL = re.compile(r'"?sep=(.)"?\n', re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Table:
    """A table as in the file, before its values are interpreted.

    `lines` is the line of the file on which each row begins (the header of a CSV is line 1); For Parquet
    it is the row's number, from 1, and `unit` is "row". `faults` maps a row's index, from 0,
    to the fault of its shape. `sha256` is that of the file on disk. `written` returns a column as in
    the file: a CSV's as text, a Parquet's with every digit of its whole numbers even where some are missing.
    `time_formats` are the date formats that an ARFF declares, for `strptime`. `declared` are the columns whose
    type makes a text such as "None" a value.
    """

    frame: pd.DataFrame
    lines: np.ndarray  # (N,) int64
    unit: str  # "line" or "row"
    faults: dict[int, str]
    sha256: str
    written: Callable[[str], pd.Series]
    time_formats: dict[str, str] = field(default_factory=dict)
    declared: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True)
class _Rows:
    """The text of the rows, and how to read it."""

    text: str
    names: list[str]
    dialect: dict[str, Any]
    as_text: Iterable[str]  # columns whose values stay text
    nominal: Iterable[str]  # those in which only ? is missing: None and NA may be values
    lines_before: int


def read(path: Path, *, as_text: Iterable[str] = (), encoding: str = "", separator: str = "") -> Table:
    """Read the table in `path`: .arff, .csv (with any separator) or .parquet, also as .gz or .zip with one file in it.

    Args:
        path: the file.
        as_text: columns to keep as text, where the file is text: 05 is not 5.
        encoding: of text; empty: that of a byte order mark, else UTF-8.
        separator: between the columns of a CSV; empty: inferred from its lines.

    Raises:
        DataError: the file is missing, a folder, empty, cut short, not text, not a table, or its header is unusable.
        SettingsError: invalid `separator`, or Parquet without pyarrow.
    """
    delimiter = texts.separator(separator)
    raw, body = unpacking.contents(path)
    if not body.strip():
        raise DataError(f"{path}: the file is empty")
    digest = hashlib.sha256(raw).hexdigest()
    if body.startswith(b"PAR1") or ".parquet" in path.suffixes:
        return _parquet(body, path, digest)
    text = texts.decoded(body, path, encoding)
    if not text.strip():
        raise DataError(f"{path}: the file is empty")
    if ".arff" in path.suffixes and "@attribute" not in text.lower():
        first = text.strip().partition("\n")[0]
        raise DataError(f"{path}: is not ARFF, which names its columns by @attribute (it begins with {first[:40]!r}): if it is CSV, name it .csv")
    if ".arff" in path.suffixes or arff.is_arff(text):
        return _arff(text, path, digest, as_text)
    return _csv(text, path, digest, as_text, delimiter)


def _parquet(body: bytes, path: Path, digest: str) -> Table:
    pa = arrow(f"{path}: Parquet")
    import pyarrow.parquet as pq

    try:
        # Without pandas' metadata an index that was saved (often the time) comes back as a column.
        file = pq.ParquetFile(pa.BufferReader(body))
        names = [_name(name, at) for at, name in enumerate(file.schema_arrow.names)]
        _check_names(names, path)
        table = file.read().rename_columns(names)
        frame = table.to_pandas(ignore_metadata=True, date_as_object=False)
    except (pa.ArrowException, OSError, ValueError) as exc:  # truncated names and metadata are not UTF-8 or JSON
        reason = str(exc).partition("\n")[0]
        raise DataError(f"{path}: unreadable as Parquet ({reason}): it is cut short or not Parquet") from exc
    if frame.empty:
        raise DataError(f"{path}: {_NO_ROWS}")
    frame = frame.drop(columns=[name for name in names if name.startswith("__index_level_")])

    def written(name: str) -> pd.Series:
        return pd.Series(table.column(name).to_pandas(integer_object_nulls=True).array, name=name)

    return Table(frame, np.arange(1, len(frame) + 1), "row", {}, digest, written, declared=frozenset(names))


def _csv(text: str, path: Path, digest: str, as_text: Iterable[str], delimiter: str) -> Table:
    body = text.lstrip("\n")
    if named := _NAMED_BY_EXCEL.match(body):
        body, delimiter = body[named.end() :], delimiter or named.group(1)
    lines_before = text.count("\n") - body.count("\n")
    body, delimiter = texts.columns_apart(body, delimiter)
    dialect: dict[str, Any] = {"delimiter": delimiter, "skipinitialspace": True}
    first, header = _header(body, dialect)
    names = [_name(name, at) for at, name in enumerate(header)]
    if (len(names) < 2 or first.startswith("#")) and (below := texts.header_below(body)):
        line = lines_before + 1
        raise DataError(f"{path}: line {line} ({first[:40]!r}) is not the header, which seems to be line {line + below}: remove the lines above it")
    if len(names) < 2:
        blanks = "; blanks cannot separate columns whose values contain blanks" * (" " in first)
        raise DataError(f"{path}: has 1 column when split at {delimiter!r}, not a label and features: give the right --separator{blanks}")
    _check_names(names, path)
    # The header's line becomes blank, so lines still count from the top of the file.
    return _rows(_Rows(body[len(first) :], names, dialect, as_text, (), lines_before + first.count("\n")), path, digest)


def _header(body: str, dialect: dict[str, Any]) -> tuple[str, list[str]]:
    """The text of the header and its names; a quoted name may span lines, as spreadsheets write it."""
    lines = body.split("\n", _LONGEST_HEADER)[:_LONGEST_HEADER]
    try:
        reader = csv.reader((f"{line}\n" for line in lines), strict=True, **dialect)
        names = next(reader)
    except csv.Error:  # an unclosed quote, or one within a name
        return lines[0], next(csv.reader([lines[0]], **dialect))
    return "\n".join(lines[: reader.line_num]), names


def _arff(text: str, path: Path, digest: str, as_text: Iterable[str]) -> Table:
    try:
        found = arff.read(text)
    except DataError as exc:
        raise DataError(f"{path}: {exc}") from exc
    _check_names(found.names, path)
    dialect: dict[str, Any] = {"delimiter": found.delimiter, "quotechar": '"', "skipinitialspace": True}
    table = _rows(_Rows(found.rows, found.names, dialect, {*as_text, *found.nominal, *found.dates}, set(found.nominal), found.lines_before), path, digest)
    for name, values in found.nominal.items():
        column = table.frame[name].str.strip()
        for row in np.flatnonzero(column.notna() & ~column.isin(values)):
            table.faults.setdefault(int(row), f"{name} is {column[row]!r}, which its @attribute line does not name")

    def written(name: str) -> pd.Series:
        column = table.written(name)
        return column.mask(column.str.strip() == _MISSING, None) if name in found.nominal and _MISSING not in found.nominal[name] else column

    return replace(table, time_formats=found.dates, declared=frozenset(found.nominal), written=written)


def _rows(rows: _Rows, path: Path, digest: str) -> Table:
    text, names, dialect = rows.text, rows.names, rows.dialect
    try:
        lines, faults = _scan(text, len(names), dialect, lines_before=rows.lines_before)
        if not lines:
            raise DataError(f"{path}: {_NO_ROWS}")
        if len(faults) == len(lines):
            raise DataError(f"{path}: no row has as many fields as there are columns (the first has {faults[0]}): fix the header, or give --separator")
        if faults:
            text = _blank_out(text, len(names), dialect)
        frame = pd.read_csv(
            io.StringIO(text),
            header=None,
            names=names,
            index_col=False,
            na_values={name: [_MISSING, ""] if name in rows.nominal else [_MISSING, *STR_NA_VALUES] for name in names},
            keep_default_na=False,
            dtype=dict.fromkeys([name for name in names if name in rows.as_text], str),
            low_memory=False,  # one type a column, not one a chunk
            float_precision="round_trip",
            **dialect,
        )
    except (csv.Error, pd.errors.ParserError) as exc:
        raise DataError(f"{path}: malformed table ({exc}): look for an unclosed quote") from exc
    if len(frame) != len(lines):
        raise DataError(f"{path}: malformed table ({len(lines)} rows, or {len(frame)}): look for a stray quote")

    def written(name: str) -> pd.Series:
        at = names.index(name)
        one = pd.read_csv(io.StringIO(text), header=None, usecols=[at], index_col=False, dtype=str, keep_default_na=False, **dialect)
        return one.iloc[:, 0].rename(name)

    return Table(frame, np.array(lines, dtype=np.int64) + rows.lines_before, "line", faults, digest, written)


def _is_blank(record: list[str]) -> bool:
    return len(record) <= 1 and not "".join(record).strip()


def _records(reader: Any, lines_before: int) -> Iterator[list[str]]:
    begun = 1
    try:
        for record in reader:
            yield record
            begun = reader.line_num + 1
    except csv.Error as exc:
        raise csv.Error(f"line {lines_before + begun}: {exc}") from exc


def _scan(text: str, width: int, dialect: dict[str, Any], *, lines_before: int) -> tuple[list[int], dict[int, str]]:
    """Line on which each row begins, and the rows that do not have `width` fields."""
    lines: list[int] = []
    faults: dict[int, str] = {}
    reader = csv.reader(io.StringIO(text), strict=True, **dialect)
    ended = 0
    for record in _records(reader, lines_before):
        begun, ended = ended + 1, reader.line_num  # a quoted field may span lines
        if _is_blank(record):
            continue
        if len(record) != width:
            faults[len(lines)] = f"{len(record)} field{'s' * (len(record) != 1)}, not {width}"
        lines.append(begun)
    return lines, faults


def _blank_out(text: str, width: int, dialect: dict[str, Any]) -> str:
    """The same rows, emptied where a row does not have `width` fields: pandas would shift or reject it."""
    out = io.StringIO()
    records = (record for record in csv.reader(io.StringIO(text), **dialect) if not _is_blank(record))
    csv.writer(out, **dialect).writerows(record if len(record) == width else [""] * width for record in records)
    return out.getvalue()


def _name(given: str, at: int) -> str:
    """The name of a column on one line; a missing name becomes pandas' own."""
    return " ".join(given.splitlines()).strip() or f"Unnamed: {at}"


def _check_names(names: list[str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice and texts.is_values(names):
        raise DataError(f"{path}: {texts.VALUES}")
    if twice:
        raise DataError(f"{path}: column {twice[0]!r} occurs twice: rename one")
    if len(names) < 2:
        raise DataError(f"{path}: has {len(names)} column: a label and at least one feature are needed")
