"""The trips as a stream."""

from __future__ import annotations

from os import PathLike

from driftloop.data import streams
from driftloop.data.streams import Stream
from examples.nyc_taxi import cleaning
from examples.nyc_taxi.defaults import DATA


def load(path: str | PathLike[str] = DATA) -> Stream:
    """The usable trips of a table in time order; those that cannot be are set aside.

    Raises:
        DataError: the file is missing, or holds something else.
    """
    return streams.load(
        path,
        target=cleaning.TARGET,
        time_column=cleaning.TIME,
        features=cleaning.FEATURES,
        bad_rows="set_aside",
        task_name="regression",
        unit="minutes",
        check=cleaning.faults,
    )
