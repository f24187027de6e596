"""Types of flags that hold an amount or a time."""

from __future__ import annotations

import argparse
import math
from datetime import datetime


def amount(text: str) -> float:
    """A flag's type: a finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number of at least 0")
    return value


def moment(text: str) -> str:
    """A flag's type: a time such as 2020-01-01, or nothing."""
    if text:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a time: write it as 2020-01-01 or 2020-01-01T12:30") from None
    return text
