"""Makes output work on any terminal: characters that the encoding lacks are written in ASCII, so no run fails on a dash.

Nor on a closed pipe (`| head -1`) or a closed stream (`2>&-`): the work continues without output.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path
from typing import Any, Final

_LIKE: Final = {
    **{"–": "-", "—": "-", "−": "-", "…": "...", "·": "*", "•": "*", "×": "x", "±": "+-", "≤": "<=", "≥": ">=", "≈": "~", "→": "->", "─": "-"},
    **{"‘": "'", "’": "'", "“": '"', "”": '"', "α": "alpha", "κ": "kappa", "σ": "sigma", "Δ": "Delta", "χ": "chi", "µ": "u", "μ": "u", "²": "2", "\u00a0": " "},
}
_HANDLER: Final = "driftloop.ascii"
_STDOUT: Final = 1


class _Lasting(io.FileIO):
    """The descriptor of stdout or stderr, whose reader may exit: later output is dropped.

    A full disk fails once, on stdout: Python would retry at exit. On stderr the failure cannot be reported.
    """

    _failed = False

    def write(self, given: Any, /) -> int:
        """Write, or drop if the reader is gone."""
        try:
            return super().write(given)
        except BrokenPipeError:
            return len(given)
        except OSError as exc:
            if self.fileno() != _STDOUT or self._failed:
                return len(given)
            self._failed = True
            raise OSError(exc.errno, exc.strerror, "stdout") from exc


def lenient() -> None:
    """Make stdout and stderr accept every text, whatever their encoding and reader."""
    codecs.register_error(_HANDLER, _in_ascii)
    sys.stdout, sys.stderr = _lenient(sys.stdout), _lenient(sys.stderr)


def _lenient(stream: Any) -> Any:
    if stream is None:  # closed before Python began: its descriptor would be that of the next file
        return Path(os.devnull).open("w", encoding="utf-8")
    reconfigure = getattr(stream, "reconfigure", None)  # streams of tests and notebooks may have no descriptor
    if reconfigure is None:
        return stream
    reconfigure(errors=_HANDLER)
    if stream not in {sys.__stdout__, sys.__stderr__}:
        return stream
    stream.flush()
    raw = _Lasting(stream.fileno(), "w", closefd=False)
    buffer: Any = raw if stream.write_through else io.BufferedWriter(raw)  # unbuffered under python -u
    return io.TextIOWrapper(buffer, encoding=stream.encoding, errors=_HANDLER, line_buffering=stream.line_buffering, write_through=stream.write_through)


def _in_ascii(exc: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler: an ASCII approximation of each character, else its escape."""
    if not isinstance(exc, UnicodeEncodeError):
        raise exc
    lacking = exc.object[exc.start : exc.end]
    return "".join(_LIKE.get(sign) or sign.encode("ascii", "backslashreplace").decode("ascii") for sign in lacking), exc.end
