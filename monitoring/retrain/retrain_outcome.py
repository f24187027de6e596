"""What came of a retrain, from its exit code and the ends of its output files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

RUNNING, PROMOTED, KEPT, RETRAINED, FAILED, CUT_OFF = "running", "promoted", "kept", "retrained", "failed", "cut off"
LONGEST_LINE: Final = 1_000_000  # bytes of the end of a file that are read
LONGEST_VERSION: Final = 200  # characters


@dataclass(frozen=True)
class RetrainOutcome:
    """The state that a retrain ended in, why, and the new version if there is one."""

    state: str
    message: str
    version: str = ""


def failed(fault: str) -> RetrainOutcome:
    """The outcome of a failed retrain of ours, which changes nothing that is served."""
    return RetrainOutcome(FAILED, f"{fault}; the champion keeps serving")


def of_ours(code: int, log: Path) -> RetrainOutcome:
    """The outcome of our script, whose last line is a JSON object.

    Raises:
        ValueError, KeyError, TypeError: it is something else.
    """
    last = last_line(log) or "it printed nothing"
    if code:
        return failed(f"exit code {code}: {last}")
    result = json.loads(last)
    return RetrainOutcome(PROMOTED if result["promoted"] else KEPT, str(result["decision"]), str(result["version"]))


def of_own(code: int, *, out: Path, errors: Path) -> RetrainOutcome:
    """The outcome of a person's command: exit code 0 is success, and what a JSON object in its last line of stdout says is recorded.

    Its keys, none of them required: `version` (text or whole number), `promoted` (true: the new model serves; false: the old one still does) and `decision`
    (why, a text). Others, and values of other types, are ignored.
    """
    last = last_line(out)
    if code:
        return RetrainOutcome(FAILED, f"exit code {code}: {last_line(errors) or last or 'it printed nothing'}")
    said = _object(last)
    state = {True: PROMOTED, False: KEPT}[said["promoted"]] if type(said.get("promoted")) is bool else RETRAINED
    version = str(said["version"])[:LONGEST_VERSION] if type(said.get("version")) in {str, int} else ""
    decision = said["decision"] if type(said.get("decision")) is str else "its command ended with exit code 0"
    return RetrainOutcome(state, _sound(decision), _sound(version))


def last_line(path: Path) -> str:
    """The last line of a file that is not blank, whatever its size; "" if there is none."""
    with path.open("rb") as file:
        file.seek(max(file.seek(0, 2) - LONGEST_LINE, 0))
        lines = file.read(LONGEST_LINE).decode("utf-8", "replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _sound(text: str) -> str:
    """The text as UTF-8 can hold it: JSON may have half a character."""
    return text.encode("utf-8", "replace").decode("utf-8")
