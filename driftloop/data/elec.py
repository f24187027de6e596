"""ELEC (Elec2, Harries 1999): how its table is recognised, bundled or official, and what its columns and rows are."""

from __future__ import annotations

import numpy as np
import pandas as pd

from driftloop.data.files.tables import Table
from driftloop.data.schema import columns
from driftloop.errors import DataError
from driftloop.settings import ROOT

BUNDLED = ROOT / "data" / "elec.csv.gz"
SHA256 = "a912ce85fbdf510b7faed50c59c1b1070482a0e7500ccfdf1217c5032158a190"
FEATURES = ("period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
_RENAMED = {f"feat_{i}": name for i, name in enumerate(FEATURES, start=1)}
LABELS = {"DOWN": 0, "UP": 1}
_START = np.datetime64("1996-05-07T00:00", "ns")  # a Tuesday
_STEP = np.timedelta64(30, "m")
_PERIOD = 48  # half-hours a day


def times(rows: int) -> np.ndarray:
    """The time of each row, (rows,) datetime64[ns]: the half-hours from 1996-05-07."""
    return _START + np.arange(rows) * _STEP


def recognised(table: Table) -> pd.DataFrame | None:
    """The table with ELEC's column names, "day" and 0/1 labels, or None when its columns are not ELEC's.

    Raises:
        DataError: the columns are ELEC's but the rows are not in its order, so their times are not known.
    """
    frame = table.frame
    for label in columns.TARGETS:
        if set(frame.columns) == {*_RENAMED, label}:
            frame = frame.rename(columns=_RENAMED)
    if not set(FEATURES) <= set(frame.columns):
        return None
    row = np.arange(len(frame))
    expected = {"period": row % _PERIOD / (_PERIOD - 1), "day": (row // _PERIOD + 1) % 7 + 1}
    for name in [name for name in expected if name in frame]:
        found = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64)
        wrong = np.flatnonzero(np.isfinite(found) & (np.abs(found - expected[name]) > 1e-3))  # a value that is no number is a bad row, told later
        if len(wrong):
            where = f"{table.unit} {table.lines[wrong[0]]}"
            raise DataError(f"has ELEC's columns but not its rows in time order ({where}: {name} is {found[wrong[0]]:g}): give --time_column")
    label = columns.target_name(frame, None)
    classes = pd.to_numeric(frame[label].map(lambda value: LABELS.get(value, value)), errors="coerce")
    return frame.assign(**{"day": expected["day"], label: classes.where(classes.isin(LABELS.values()))})
