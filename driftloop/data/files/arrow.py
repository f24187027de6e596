"""Loads pyarrow, which only Parquet and tables of Arrow need: a light installation does without."""

from __future__ import annotations

from typing import Any

from driftloop.errors import SettingsError


def arrow(what: str) -> Any:
    """The module pyarrow.

    Args:
        what: that needs it, for the message.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as exc:
        raise SettingsError(f"{what} needs pyarrow, which is not installed: pip install '.[parquet]', or give CSV or a DataFrame of pandas") from exc
    return pa
