"""Decodes the bytes of a file, and finds the character that separates its columns."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from driftloop.errors import DataError, SettingsError

NAMED_SEPARATORS: Final = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|"}
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT: Final = "is not text (it contains zero bytes) and of unknown type: give ARFF, CSV or Parquet"
VALUES: Final = "the first line seems to be values: add a header line with the column names above it"
_VALUE: Final = re.compile(r"[+-]?[\d.,]+([eE][+-]?\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?")
_SNIFFED: Final = 50  # lines used to infer the separator
_SEPARATORS: Final = (",", ";", "\t", "|")
_WIDE_GAP: Final = re.compile(r"[ ]{2,}|\t")


def encoding_fault(name: str) -> str:
    """The fault of an encoding's name, or "".

    >>> encoding_fault("latin-1"), encoding_fault("latin-99")
    ('', "'latin-99' is not an encoding that Python knows: give one such as latin-1, cp1252 or utf-16")
    """
    try:
        b"a,b\n".decode(name)
    except LookupError:
        return f"{name!r} is not an encoding that Python knows: give one such as latin-1, cp1252 or utf-16"
    except (ValueError, TypeError):  # a valid encoding; only these bytes are not in it
        pass
    return ""


def separator(name: str) -> str:
    """The separator of a flag: one character, or one of `NAMED_SEPARATORS`; "" stays "".

    Raises:
        SettingsError: it is longer, or not usable as a separator.
    """
    found = NAMED_SEPARATORS.get(name.lower(), name)
    if len(found) > 1 or found in {'"', "'", "\\", "\n", "\r", "\0"} or found.isalnum():
        raise SettingsError(f"--separator {name!r} is not a separator: give one character such as '|' or ';', or one of {', '.join(NAMED_SEPARATORS)}")
    return found


def decoded(body: bytes, path: Path, encoding: str = "") -> str:
    r"""The text of a file, its lines ended by \n: in the encoding given, else that of its byte order mark, else UTF-8 (or UTF-16 by its zero bytes).

    Raises:
        DataError: it is not text, or in another encoding; the message states where, and suggests an encoding.
    """
    known = encoding or next((name for mark, name in _MARKS if body.startswith(mark)), "") or _without_mark(body)
    try:
        text = body.decode(known)
    except LookupError as exc:
        raise DataError(f"{path}: {encoding_fault(known)}") from exc
    except UnicodeDecodeError as exc:
        raise DataError(f"{path}: {_undecodable(body, exc, given=encoding)}") from exc
    except ValueError as exc:  # codecs that are not charsets, such as idna
        raise DataError(f"{path}: unreadable as {known} ({exc}): give another --encoding") from exc
    if encoding and "\n" in (plain := body.decode("ascii", "ignore")) and not ("\n" in text or "\r" in text):
        raise DataError(f"{path}: has no lines when read as {encoding}, and {plain.count(chr(10))} as UTF-8: give the right --encoding")
    if known.startswith("utf-16") and not encoding and "\n" not in text:
        raise DataError(f"{path}: is not UTF-8 text, and has no lines as UTF-16, which its first bytes suggest: give ARFF, CSV or Parquet")
    if "\0" in text:
        raise DataError(f"{path}: {_NO_TEXT}")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _without_mark(body: bytes) -> str:
    """Some UTF-16 files lack a byte order mark, but every other byte of ASCII text is zero in it."""
    head = body[:4096]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 10 > len(head) * 3 and min(even, odd) * 20 < max(even, odd):
        return "utf-16-be" if even > odd else "utf-16-le"
    return "utf-8"


def _undecodable(body: bytes, exc: UnicodeDecodeError, *, given: str) -> str:
    if not given and b"\0" in body and not exc.encoding.startswith("utf-16"):
        return _NO_TEXT
    line = body.count(b"\n", 0, exc.start) + 1
    column = exc.start - (body.rfind(b"\n", 0, exc.start) + 1) + 1
    where = f"line {line}, byte {column} is 0x{body[exc.start]:02x}"
    if given:
        return f"is not text in {given} ({where}): give the right --encoding"
    if exc.encoding.startswith(("utf-16", "utf16", "utf-32", "utf32")):
        return f"is not UTF-8 text, nor {exc.encoding}, which its first bytes suggest ({where}): it is cut short, or needs --encoding"
    guess = "cp1252" if re.search(rb"[\x80-\x9f]", body) else "latin-1"
    begin = max(exc.start - 12, body.rfind(b"\n", 0, exc.start) + 1)
    sample = re.sub(r"[\x00-\x1f\x7f-\x9f]", "·", body[begin : exc.start + 12].partition(b"\n")[0].decode(guess, "replace"))
    return f"is not UTF-8 text ({where}): give its --encoding, perhaps {guess}, which reads {sample!r} there"


def columns_apart(text: str, given: str = "") -> tuple[str, str]:
    """A text of rows with its column separator; if that is blanks, each gap becomes one tab.

    Without `given` it is the character that splits most of the first lines into as many fields as the header.

    >>> columns_apart("a|b,c|d\\n1|2|3\\n"), columns_apart("a  b\\n1.5  2\\n")
    (('a|b,c|d\\n1|2|3\\n', '|'), ('a\\tb\\n1.5\\t2\\n', '\\t'))
    """
    lines = [line for line in text.split("\n", 4 * _SNIFFED)[: 4 * _SNIFFED] if line.strip()][:_SNIFFED]
    if given == " ":
        return _one_blank(text, re.compile(" +"), " "), " "
    if given:
        return text, given
    best = max(_SEPARATORS, key=lambda one: _agreement(lines, one))
    if _agreement(lines, best)[1] > 1:
        return text, best
    for gap, one in ((_WIDE_GAP, "\t"), (re.compile(" +"), " ")):
        if '"' not in text and _agreement([gap.sub("\t", line.strip()) for line in lines], "\t") > (0.99, 1):
            return _one_blank(text, gap, one), one
    return text, best


def header_below(text: str) -> int:
    """How many lines below the first the header seems to be: the first line with as many fields as all after it; 0 if it is the first or none.

    >>> header_below("# made by me\\n# on a Monday, at 5\\na,b,c\\n1,2,3\\n")
    2
    """
    lines = text.split("\n", 4 * _SNIFFED)[:_SNIFFED]
    for at in range(len(lines)):
        below = [line for line in lines[at:] if line.strip()]
        if len(below) > 1 and lines[at].strip() and max(_agreement(below, one) for one in _SEPARATORS) > (0.99, 1):
            return at
    return 0


def is_values(names: Sequence[str]) -> bool:
    """Whether most column names are numbers or times: then the file has no header and they are its first row.

    >>> is_values(["2024-01-01", "0.5", "1"]), is_values(["time", "1", "label"])
    (True, False)
    """
    return sum(bool(_VALUE.fullmatch(name.strip())) for name in names) * 2 > len(names)


def _agreement(lines: list[str], one: str) -> tuple[float, int]:
    """The share of rows with as many fields as the header, and that number; zeros for a single field."""
    try:
        counts = [len(record) for record in csv.reader(lines, delimiter=one, skipinitialspace=True) if record]
    except csv.Error:
        return 0.0, 0
    if not counts or counts[0] < 2:
        return 0.0, 1
    return counts[1:].count(counts[0]) / max(1, len(counts) - 1), counts[0]


def _one_blank(text: str, gap: re.Pattern[str], one: str) -> str:
    return "\n".join(gap.sub(one, line.strip(" ")) for line in text.split("\n"))
