"""Reads ARFF: the header's attributes, and the rows as CSV, quoted by ' or ", or both in one file.

https://waikato.github.io/weka-wiki/formats_and_processing/arff_stable/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from driftloop.data.times import formats
from driftloop.errors import DataError

_DATA: Final = re.compile(r"(?im)^[ \t]*@data\b[^\n]*")
_COMMENT: Final = re.compile(r"(?m)^[ \t]*%[^\n]*")
_QUOTED: Final = r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
_ATTRIBUTE: Final = re.compile(rf"@attribute\s+({_QUOTED}|[^\s{{}},%'\"][^\s{{]*)\s*(.*)", re.IGNORECASE)
_VALUE: Final = re.compile(rf"\s*({_QUOTED}|[^,]*?)\s*(,|$)")
_TAB_VALUE: Final = re.compile(rf"[ ]*({_QUOTED}|[^\t]*?)[ ]*(\t|$)")
_DATE: Final = re.compile(rf"date\b\s*({_QUOTED}|\S.*)?", re.IGNORECASE)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r"}
_NUMERIC: Final = ("numeric", "real", "integer")


@dataclass(frozen=True)
class Arff:
    """An ARFF file: its attributes and its rows as comma- or tab-separated values, quoted by " where needed."""

    names: list[str]
    nominal: dict[str, list[str]]  # attribute to its nominal values
    dates: dict[str, str]  # attribute to its declared date format for `strptime`
    rows: str
    delimiter: str
    lines_before: int  # lines of the file before the text of `rows`


def is_arff(text: str) -> bool:
    """Whether a text begins as ARFF does."""
    return _COMMENT.sub("", text).lstrip()[:9].lower() == "@relation"


def read(text: str) -> Arff:
    """The parts of an ARFF file.

    Raises:
        DataError: the header or a row is malformed or unsupported.
    """
    found = _DATA.search(text)
    if not found:
        raise DataError("has no @data line: the ARFF is cut short")
    header, body = text[: found.start()], _COMMENT.sub("", text[found.end() :])
    names: list[str] = []
    nominal: dict[str, list[str]] = {}
    dates: dict[str, str] = {}
    for number, line in enumerate(header.split("\n"), 1):
        if line.strip()[:10].lower() == "@attribute":
            name, kind = _attribute(line.strip(), number)
            if name in names:
                raise DataError(f"line {number}: the ARFF header names the attribute {name!r} twice: rename one")
            names.append(name)
            if kind.startswith("{"):
                nominal[name] = _nominal(kind, number)
            elif date := _DATE.fullmatch(kind):
                dates |= _date(name, date.group(1), number)
            elif kind.partition(" ")[0].lower() not in _NUMERIC:
                raise DataError(f"line {number}: the ARFF header cannot be read (type {kind.split()[0]!r} is not supported): leave {name!r} out or save as CSV")
    first = body.lstrip().partition("\n")[0]
    if first.startswith("{"):
        raise DataError("is a sparse ARFF: save it in the dense form, or as CSV")
    delimiter = "\t" if first.count("\t") > first.count(",") else ","
    lines_before = header.count("\n")
    return Arff(names, nominal, dates, _as_csv(body, delimiter, lines_before=lines_before), delimiter, lines_before)


def _attribute(line: str, number: int) -> tuple[str, str]:
    found = _ATTRIBUTE.fullmatch(line)
    if not found or not found.group(2):
        raise DataError(f"line {number}: the ARFF header cannot be read ({line:.60}): write @attribute, a name and its type")
    kind = re.sub(r"\s+%[^'\"{}]*$", "", found.group(2)).strip()
    return _unquoted(found.group(1)), kind


def _nominal(kind: str, number: int) -> list[str]:
    inner = kind.rstrip()
    if not inner.endswith("}"):
        raise DataError(f"line {number}: the ARFF header cannot be read: the list of values is not closed by }}")
    return [_unquoted(value) for value in _values(inner[1:-1].strip(), _VALUE, number)]


def _date(name: str, pattern: str | None, number: int) -> dict[str, str]:
    if not pattern:
        return {}
    java = _unquoted(pattern.strip()) if pattern.strip()[0] in "'\"" else pattern.strip()
    made = formats.from_java(java)
    if made is None or (told := formats.fault(made)):
        why = "" if made is None else f" ({told})"
        raise DataError(f"line {number}: the date format {java!r} of {name!r} is not supported{why}: leave it out, and give the equivalent as --time_format")
    return {name: made}


def _values(line: str, pattern: re.Pattern[str], number: int) -> list[str]:
    """The values of a row as they are written."""
    values, at = [], 0
    while True:
        found = pattern.match(line, at)
        if not found or (found.group(1)[:1] in "'\"" and found.group(1) and not _is_quoted(found.group(1))):
            raise DataError(f"line {number}: cannot be read as ARFF ({line[at : at + 40]!r}): look for an unclosed quote")
        values.append(found.group(1))
        at = found.end()
        if not found.group(2):
            return values


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]


def _unquoted(value: str) -> str:
    inner = value[1:-1] if _is_quoted(value) else value
    return _ESCAPE.sub(lambda found: _unescaped(found.group(1)), inner) if "\\" in inner else inner


def _unescaped(sign: str) -> str:
    return chr(int(sign[1:], 16)) if len(sign) == 5 else _ESCAPED.get(sign, sign)


def _as_csv(body: str, delimiter: str, *, lines_before: int) -> str:
    """The rows with " as the only quote; a line without quotes and escapes is unchanged."""
    if not any(sign in body for sign in "'\"\\"):
        return body
    pattern = _TAB_VALUE if delimiter == "\t" else _VALUE
    lines = enumerate(body.split("\n"), lines_before + 1)
    return "\n".join(_csv_line(line, pattern, delimiter, number) if re.search(r"['\"\\]", line) else line for number, line in lines)


def _csv_line(line: str, pattern: re.Pattern[str], delimiter: str, number: int) -> str:
    return delimiter.join('"' + _unquoted(value).replace('"', '""') + '"' for value in _values(line.strip(), pattern, number))
