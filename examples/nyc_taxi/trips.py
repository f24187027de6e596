"""The trips as a stream."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Final

from driftloop.data import streams
from driftloop.data.streams import Stream
from examples.nyc_taxi import cleaning

DATA: Final = Path(__file__).resolve().parents[2] / "data" / "nyc_taxi.parquet"
TASK: Final = "regression"
UNIT: Final = "minutes"
BAD_ROWS: Final = "set_aside"


def load(path: str | PathLike[str] = DATA) -> Stream:
    """The usable trips of a table in time order; unusable ones are set aside.

    Raises:
        DataError: the file is missing, or not such a table.
    """
    return streams.load(
        path,
        target=cleaning.TARGET,
        time_column=cleaning.TIME,
        features=cleaning.FEATURES,
        bad_rows=BAD_ROWS,
        task_name=TASK,
        unit=UNIT,
        check=cleaning.faults,
    )
