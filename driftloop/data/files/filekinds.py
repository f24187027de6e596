"""Recognises unsupported files by their first bytes, and states what to do."""

from __future__ import annotations

import re
from typing import Final

_SAVE = "save the table as CSV or Parquet"
_UNPACK = "unpack it and give the table in it"
_STARTS: Final = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"an Excel workbook (.xls) or another old Office file: {_SAVE}"),
    (b"SQLite format 3\x00", f"an SQLite database: {_SAVE} (pandas.read_sql)"),
    (b"ARROW1", f"a Feather (Arrow) file: {_SAVE} (pandas.read_feather)"),
    (b"FEA1", f"a Feather file: {_SAVE} (pandas.read_feather)"),
    (b"ORC", f"an ORC file: {_SAVE} (pandas.read_orc)"),
    (b"Obj\x01", f"an Avro file: {_SAVE}"),
    (b"\x89HDF\r\n\x1a\n", f"an HDF5 file: {_SAVE} (pandas.read_hdf)"),
    (b"\x93NUMPY", f"a NumPy array, without column names: {_SAVE}"),
    (b"<stata_dta>", f"a Stata file: {_SAVE} (pandas.read_stata)"),
    (b"$FL2", f"an SPSS file: {_SAVE} (pandas.read_spss)"),
    (b"RDX", f"an R workspace: {_SAVE} (write.csv)"),
    (b"\x89PNG", "an image: give the table itself, as CSV or Parquet"),
    (b"\xff\xd8\xff", "an image: give the table itself, as CSV or Parquet"),
    (b"GIF8", "an image: give the table itself, as CSV or Parquet"),
    (b"%PDF-", "a PDF: give the table itself, as CSV or Parquet"),
    (b"BZh", f"packed with bzip2: {_UNPACK}, or pack it with gzip"),
    (b"\xfd7zXZ\x00", f"packed with xz: {_UNPACK}, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", f"packed with Zstandard: {_UNPACK}, or pack it with gzip"),
    (b"\x04\x22\x4d\x18", f"packed with LZ4: {_UNPACK}, or pack it with gzip"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7-Zip archive: {_UNPACK}"),
    (b"Rar!\x1a\x07", f"a RAR archive: {_UNPACK}"),
    (b"\x1f\x8b", f"packed twice: {_UNPACK}"),
    (b"PK\x03\x04", f"packed twice, or an Office file in an archive: {_UNPACK}"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file: fetch it with git lfs pull"),
)
_PATTERNS: Final = (
    (re.compile(rb".{257}ustar", re.DOTALL), f"a tar archive: {_UNPACK}"),
    (re.compile(rb"[\x69-\x75][\x01\x02]\x01\x00"), f"a Stata file: {_SAVE} (pandas.read_stata)"),  # its older versions
    (re.compile(rb"\x80[\x02-\x05][\x95\x8a(\]}cX]"), f"a Python pickle: {_SAVE} (pandas.read_pickle)"),
    (
        re.compile(rb"(?i)\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body|table)\b", re.DOTALL),
        "an HTML page: the download was cut short or failed, or the table is in the page: save it as CSV",
    ),
    (re.compile(rb"\s*<\?xml\b"), f"XML: {_SAVE} (pandas.read_xml)"),
    (re.compile(rb"\s*(?:\[\s*[\[{\]\"\d-]|\{\s*[\"}])"), f"JSON: {_SAVE} (pandas.read_json)"),
)


def unusable(body: bytes) -> str:
    """Kind of a file that is not a readable table, with what to do; "" when it may be one.

    >>> unusable(b'[{"x": 1}]')
    'JSON: save the table as CSV or Parquet (pandas.read_json)'
    >>> unusable(b"time,x,target")
    ''
    """
    head = body[:4096].removeprefix(b"\xef\xbb\xbf")
    known = [told for start, told in _STARTS if body.startswith(start)] + [told for pattern, told in _PATTERNS if pattern.match(head)]
    return known[0] if known else ""


def unusable_archive(names: list[str]) -> str:
    """The same for a zip archive by the names of its members."""
    known = set(names)
    if "xl/workbook.xml" in known or "xl/workbook.bin" in known:
        return "an Excel workbook: save its sheet as CSV"
    if "content.xml" in known and "mimetype" in known:
        return "an OpenDocument file: save its sheet as CSV"
    if "[Content_Types].xml" in known:
        return f"an Office document: {_SAVE}"
    if any(name.startswith("Index/") for name in known):
        return "a Numbers document: save its sheet as CSV"
    if names and all(name.endswith(".npy") for name in names):
        return f"a NumPy archive, without column names: {_SAVE}"
    return ""
