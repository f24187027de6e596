"""Unpacks the contents of a table's file."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import zipfile
import zlib
from pathlib import Path
from typing import Final

from driftloop.data.files import filekinds
from driftloop.errors import DataError

# What Python's unpackers raise, depending on where a file is damaged.
DAMAGED: Final = (OSError, EOFError, ValueError, NotImplementedError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def contents(path: Path) -> tuple[bytes, bytes]:
    """The bytes of a file as on disk, and unpacked.

    Raises:
        DataError: it is missing, a folder, damaged, or of an unsupported type; the message names it.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as exc:
        raise DataError(f"{path}: there is no such file{_why_not(path)}") from exc
    except IsADirectoryError as exc:
        raise DataError(f"{path}: is a folder: give a file") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read ({exc.strerror})") from exc
    body = _unpack(raw, path)
    if told := filekinds.unusable(body):
        raise DataError(f"{path}: is {told}")
    return raw, body


def _why_not(path: Path) -> str:
    if re.match(r"\w{2,}:/", str(path)):
        return ": files are read from disk: download it and give its path"
    return ": the shell does not expand ~ within a word: write $HOME" if str(path).startswith("~") else ""


def _unpack(raw: bytes, path: Path) -> bytes:
    kind = path.suffix.lower()
    try:
        if raw.startswith(b"\x1f\x8b"):
            return gzip.decompress(raw)
        if raw.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return _only_member(raw, path)
        if kind in {".gz", ".zip"} and not filekinds.unusable(raw):
            return gzip.decompress(raw) if kind == ".gz" else _only_member(raw, path)
    except DAMAGED as exc:
        raise DataError(f"{path}: cannot be unpacked ({exc}): it is cut short, or not of the type in its name; fetch it again") from exc
    return raw


def _only_member(raw: bytes, path: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if told := filekinds.unusable_archive(names):
            raise DataError(f"{path}: is {told}")
        if len(names) != 1:
            listed = f" ({', '.join(names[:3])}{', …' * (len(names) > 3)})" if names else ""
            raise DataError(f"{path}: holds {len(names)} files{listed}: unpack it and give one of them")
        if archive.getinfo(names[0]).flag_bits & 1:
            raise DataError(f"{path}: is encrypted: unpack it with its password and give {names[0]}")
        return archive.read(names[0])
