"""Read a table from ARFF, CSV or Parquet, plain or inside .gz or .zip, and keep where each row stands in the file.

What a file is follows from its first bytes, not only from its name. Nothing is judged here but the shape: a row
with too many or too few fields is kept as an empty row and named in `Table.faults`.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from driftloop.errors import DataError

_DATA_LINE = re.compile(r"(?im)^[ \t]*@data\b[^\n]*")
_COMMENT_LINE = re.compile(r"(?m)^[ \t]*%[^\n]*")
_NO_ROWS = "the table has no rows"
_MISSING = "?"  # ARFF's mark for a missing value, common in CSV as well


@dataclass(frozen=True, eq=False)
class Table:
    """A table as it stands in a file, before anything is asked of its values.

    `lines` is the line of the file on which each row begins (the header of a CSV is line 1); Parquet has no
    lines, there it is the row's number, from 1, and `unit` is "row". `faults` maps a row's index, from 0,
    to what is wrong with its shape. `sha256` is that of the file as it is on disk. `written` gives a column as it
    stands in the file: a CSV's as text, a Parquet's with every digit of its whole numbers also where some are missing.
    `declared` are the columns whose type says that a text such as "None" is a value.
    """

    frame: pd.DataFrame
    lines: np.ndarray  # (N,) int64
    unit: str  # "line" or "row"
    faults: dict[int, str]
    sha256: str
    written: Callable[[str], pd.Series]
    declared: frozenset[str] = field(default=frozenset())


def read(path: Path) -> Table:
    """Read the table in `path`: .arff, .csv (comma, semicolon or tab) or .parquet, also as .gz or .zip with one file in it.

    Raises:
        DataError: the file is missing, a folder, empty, cut short, not text, or its header cannot be used.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as exc:
        raise DataError(f"{path}: there is no such file") from exc
    except IsADirectoryError as exc:
        raise DataError(f"{path}: is a folder: give a file") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read ({exc.strerror})") from exc
    body = _unpack(raw, path)
    if not body.strip():
        raise DataError(f"{path}: the file is empty")
    digest = hashlib.sha256(raw).hexdigest()
    if body.startswith(b"PAR1") or ".parquet" in path.suffixes:
        return _parquet(body, path, digest)
    try:
        text = body.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as exc:
        raise DataError(f"{path}: is not UTF-8 text: give ARFF, CSV or Parquet") from exc
    if ".arff" in path.suffixes or _COMMENT_LINE.sub("", text).lstrip()[:9].lower() == "@relation":
        return _arff(text, path, digest)
    return _csv(text, path, digest)


def _unpack(raw: bytes, path: Path) -> bytes:
    kind = path.suffix.lower()
    try:
        if raw.startswith(b"\x1f\x8b") or kind == ".gz":
            return gzip.decompress(raw)
        if raw.startswith(b"PK\x03\x04") or kind == ".zip":
            return _only_member(raw, path)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as exc:  # RuntimeError: a password is needed
        raise DataError(f"{path}: cannot be unpacked ({exc}): it is cut short or not what its name says; fetch it again") from exc
    return raw


def _only_member(raw: bytes, path: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if len(names) != 1:
            raise DataError(f"{path}: holds {len(names)} files: unpack it and give one of them")
        return archive.read(names[0])


def _parquet(body: bytes, path: Path, digest: str) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Without pandas' metadata an index that was saved (often the time) comes back as a column.
        table = pq.read_table(pa.BufferReader(body))
        frame = table.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as exc:
        reason = str(exc).partition("\n")[0]
        raise DataError(f"{path}: cannot be read as Parquet ({reason}): it is cut short or not Parquet") from exc
    names = [str(name) for name in frame.columns]
    _check_names(names, path)
    if frame.empty:
        raise DataError(f"{path}: {_NO_ROWS}")
    frame.columns = pd.Index(names)
    frame = frame.drop(columns=[name for name in names if name.startswith("__index_level_")])

    def written(name: str) -> pd.Series:
        return pd.Series(table.column(name).to_pandas(integer_object_nulls=True).array, name=name)

    return Table(frame, np.arange(1, len(frame) + 1), "row", {}, digest, written, frozenset(names))


def _csv(text: str, path: Path, digest: str) -> Table:
    body = text.lstrip("\n")
    first = body.partition("\n")[0]
    dialect: dict[str, Any] = {"delimiter": max(",;\t", key=first.count), "skipinitialspace": True}
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(next(csv.reader([first], **dialect)))]
    _check_names(names, path)
    # What is left of the header's line is blank, so lines still count from the top of the file.
    return _rows(body[len(first) :], path, digest, names=names, dialect=dialect, lines_before=len(text) - len(body))


def _arff(text: str, path: Path, digest: str) -> Table:
    from scipy.io import arff

    found = _DATA_LINE.search(text)
    if not found:
        raise DataError(f"{path}: has no @data line: the ARFF is cut short")
    header, body = text[: found.start()], _COMMENT_LINE.sub("", text[found.end() :])
    try:
        # scipy reads the header; its own reading of rows stops at the first bad one and cannot name its line.
        _, meta = arff.loadarff(io.StringIO(f"{header}@data\n"))
    except (OSError, ValueError, NotImplementedError) as exc:
        raise DataError(f"{path}: the ARFF header cannot be read ({exc}): mend it, or save the table as CSV") from exc
    names = list(meta.names())
    _check_names(names, path)
    first = body.lstrip().partition("\n")[0]
    if first.startswith("{"):
        raise DataError(f"{path}: is a sparse ARFF: save it in the dense form, or as CSV")
    dialect: dict[str, Any] = {
        "delimiter": max(",\t", key=first.count),
        "quotechar": '"' if '"' in body and "'" not in body else "'",
        "escapechar": "\\",
        "skipinitialspace": True,
    }
    nominal = {name: meta[name][1] for name in names if meta[name][0] == "nominal"}
    table = _rows(body, path, digest, names=names, dialect=dialect, as_text=list(nominal), lines_before=header.count("\n"))
    for name, values in nominal.items():
        column = table.frame[name].str.strip()
        for row in np.flatnonzero(column.notna() & ~column.isin(values)):
            table.faults.setdefault(int(row), f"{name} is {column[row]!r}, which its @attribute line does not name")
    return replace(table, declared=frozenset(nominal))


def _rows(text: str, path: Path, digest: str, *, names: list[str], dialect: dict[str, Any], as_text: list[str] | None = None, lines_before: int = 0) -> Table:
    try:
        lines, faults = _scan(text, len(names), dialect)
        if not lines:
            raise DataError(f"{path}: {_NO_ROWS}")
        if len(faults) == len(lines):
            raise DataError(f"{path}: no row has as many fields as there are columns (the first has {faults[0]}): mend the header or the separators")
        if faults:
            text = _blank_out(text, len(names), dialect)
        frame = pd.read_csv(
            io.StringIO(text),
            header=None,
            names=names,
            index_col=False,
            na_values=[_MISSING],
            dtype=dict.fromkeys(as_text or [], str),
            low_memory=False,  # one type a column, not one a chunk
            float_precision="round_trip",
            **dialect,
        )
    except (csv.Error, pd.errors.ParserError) as exc:
        raise DataError(f"{path}: cannot be read as a table ({exc}): look for a quote that is not closed") from exc
    if len(frame) != len(lines):
        raise DataError(f"{path}: cannot be read as a table ({len(lines)} rows, or {len(frame)}): look for a stray quote")

    def written(name: str) -> pd.Series:
        at = names.index(name)
        one = pd.read_csv(io.StringIO(text), header=None, usecols=[at], index_col=False, dtype=str, keep_default_na=False, **dialect)
        return one.iloc[:, 0].rename(name)

    return Table(frame, np.array(lines, dtype=np.int64) + lines_before, "line", faults, digest, written)


def _is_blank(record: list[str]) -> bool:
    return len(record) <= 1 and not "".join(record).strip()


def _scan(text: str, width: int, dialect: dict[str, Any]) -> tuple[list[int], dict[int, str]]:
    """Line on which each row begins, and the rows that do not have `width` fields."""
    lines: list[int] = []
    faults: dict[int, str] = {}
    reader = csv.reader(io.StringIO(text), strict=True, **dialect)
    ended = 0
    for record in reader:
        begun, ended = ended + 1, reader.line_num  # a quoted field may span lines
        if _is_blank(record):
            continue
        if len(record) != width:
            faults[len(lines)] = f"{len(record)} field{'s' * (len(record) != 1)}, not {width}"
        lines.append(begun)
    return lines, faults


def _blank_out(text: str, width: int, dialect: dict[str, Any]) -> str:
    """The same rows, with empty fields for each that does not have `width` of them: pandas would shift or refuse it."""
    out = io.StringIO()
    records = (record for record in csv.reader(io.StringIO(text), **dialect) if not _is_blank(record))
    csv.writer(out, **dialect).writerows(record if len(record) == width else [""] * width for record in records)
    return out.getvalue()


def _check_names(names: list[str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column {twice[0]!r} is there twice: rename one")
    if len(names) < 2:
        raise DataError(f"{path}: has {len(names)} column: a label and at least one feature are needed")
