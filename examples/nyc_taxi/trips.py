"""The trips as a stream."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np

from driftloop.data import streams
from driftloop.data.schema import choice
from driftloop.data.streams import Stream
from examples.nyc_taxi import cleaning

DATA: Final = Path(__file__).resolve().parents[2] / "data" / "nyc_taxi.parquet"
SCHEMA: Final = Path(__file__).with_name("schema.yaml")
TASK: Final = "regression"
UNIT: Final = "minutes"
BAD_ROWS: Final = "set_aside"


def load(path: str | PathLike[str] = DATA, *, trained: Callable[[np.ndarray], int] = choice.oldest) -> Stream:
    """The usable trips of a table in time order, as the table learner takes them; unusable ones are set aside. `trained` as in `streams.load`.

    Raises:
        DataError: the file is missing, or not such a table.
    """
    return streams.load(
        path,
        target=cleaning.TARGET,
        time_column=cleaning.TIME,
        features=cleaning.FEATURES,
        schema=SCHEMA,
        trained=trained,
        values_as_they_are=True,
        missing=BAD_ROWS,
        bad_rows=BAD_ROWS,
        task_name=TASK,
        unit=UNIT,
        check=cleaning.faults,
    )
