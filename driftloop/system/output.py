"""Print on any terminal: what the encoding of stdout or stderr lacks is written in ASCII, after hours of work nothing fails for a dash."""

from __future__ import annotations

import codecs
import sys
from typing import Final

_LIKE: Final = {
    **{"–": "-", "—": "-", "−": "-", "…": "...", "·": "*", "•": "*", "×": "x", "±": "+-", "≤": "<=", "≥": ">=", "≈": "~", "→": "->", "─": "-"},
    **{"‘": "'", "’": "'", "“": '"', "”": '"', "α": "alpha", "κ": "kappa", "σ": "sigma", "Δ": "Delta", "χ": "chi", "µ": "u", "μ": "u", "²": "2", "\u00a0": " "},
}
_HANDLER: Final = "driftloop.ascii"


def lenient() -> None:
    """Let stdout and stderr write every text, whatever their encoding."""
    codecs.register_error(_HANDLER, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test's or a notebook's stream may have none
        if reconfigure is not None:
            reconfigure(errors=_HANDLER)


def _in_ascii(exc: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler: a likeness of each character, else its escape."""
    if not isinstance(exc, UnicodeEncodeError):
        raise exc
    lacking = exc.object[exc.start : exc.end]
    return "".join(_LIKE.get(sign) or sign.encode("ascii", "backslashreplace").decode("ascii") for sign in lacking), exc.end
