"""Checks the rows of a table: which are bad, and whether they are in time order."""

from __future__ import annotations

import numpy as np

from driftloop.data.files.tables import Table
from driftloop.data.schema.columns import Faults
from driftloop.data.times import zones
from driftloop.errors import DataError


def bad(table: Table, faults: Faults, blanks: Faults, *, bad_rows: str, missing: str) -> tuple[tuple[tuple[int, str], ...], np.ndarray]:
    """The bad rows as (line, reason), and their mask, (N,): those with faults, and those with a missing value unless it is learned.

    Raises:
        DataError: there are some, and they are refused.
    """
    refused = {**(blanks if missing == "refuse" else {}), **(faults if bad_rows == "refuse" else {})}
    if refused:
        first = "; ".join(f"{table.unit} {table.lines[row]}: {refused[row]}" for row in sorted(refused)[:3])
        flag = "--bad_rows" if bad_rows == "refuse" else "--missing"
        raise DataError(
            f"{len(refused)} bad row{'s' * (len(refused) > 1)} ({first}{'; …' * (len(refused) > 3)}): fix them, or {flag} set_aside drops and reports them"
        )
    aside = {**(blanks if missing == "set_aside" else {}), **faults}
    mask = np.zeros(len(table.frame), bool)
    mask[list(aside)] = True
    return tuple((int(table.lines[row]), aside[row]) for row in sorted(aside)), mask


def check_order(times: np.ndarray, lines: np.ndarray, unit: str, time_column: str | None) -> None:
    """Refuse times that step back.

    Raises:
        DataError: they do; the message names the line, and a zone where it looks like the end of summer time.
    """
    back = np.flatnonzero(times[1:] < times[:-1])
    if not len(back):
        return
    row = back[0] + 1
    before, after = times[row - 1], times[row]
    where = f"{time_column} steps back at {unit} {lines[row]} ({after.astype('datetime64[s]')} after {before.astype('datetime64[s]')})"
    if zone := zones.ends_summer_time(before, after):
        raise DataError(f"{where}, as local hours do when summer time ends: give their zone, such as --time_zone {zone}, or write offsets such as +01:00")
    raise DataError(f"{where}: sort the rows by time")
