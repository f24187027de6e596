"""Converts values to JSON's: undefined figures (nan) become null."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plain(value: Any, *, infinity: str | None = None) -> Any:
    """JSON values of dictionaries, sequences, paths and numbers, including numpy's.

    Args:
        value: the value to convert.
        infinity: the replacement of infinity, with "-" in front if negative; null by default.

    >>> plain({"kpi": math.nan, "blocks": (1, math.inf)}), plain(-math.inf, infinity="inf")
    ({'kpi': None, 'blocks': [1, None]}, '-inf')
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item, infinity=infinity) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, infinity=infinity) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if infinity is None or math.isnan(value) else f"{'-' * (value < 0)}{infinity}"
    if isinstance(value, Path):
        return str(value)
    return value.item() if hasattr(value, "item") else value
