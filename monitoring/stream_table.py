"""The scripts' flags for a stream whose file names its table (`data`): read as the champion's base model was trained, which alone is retrained."""

from __future__ import annotations

from pathlib import Path

from driftloop.errors import SettingsError
from monitoring import described
from monitoring.described import StreamModel
from monitoring.stream_settings import StreamConfig


def fault(stream: StreamConfig) -> str:
    """Why a stream's table cannot be read now, in one line; "" where it can, or where the stream's file names none.

    >>> from monitoring import stream_settings
    >>> fault(stream_settings.load()["elec"])
    ''
    """
    if not stream.data or Path(stream.data).is_file():
        return ""
    what = "is a folder" if Path(stream.data).is_dir() else "does not exist"
    return f"stream {stream.name}: the table {stream.data} {what}: put it there, or correct `data` in the streams file"


def check(stream: StreamConfig) -> None:
    """Check that the table of a stream is there.

    Raises:
        SettingsError: it is not.
    """
    if told := fault(stream):
        raise SettingsError(told)


def reading(stream: StreamConfig, its: StreamModel) -> dict[str, str]:
    """The flags that read a stream's table as its model's was read, by name; none where the stream's file names no table."""
    if not stream.data:
        return {}
    given = {name: value for name, value in its.reading.items() if name != "schema" or Path(value).is_file()}
    return {**given, "data_path": stream.data}


def flags(stream: StreamConfig) -> list[str]:
    """The flags to serve and to retrain the champion of a stream from its table, as words; none where the stream's file names no table.

    Raises:
        SettingsError: the table is not there.
        TrackingError, DataError: as `described.read`.
    """
    if not stream.data:
        return []
    check(stream)
    (its,) = described.read([stream.model])
    named = {**reading(stream, its), "mlflow_experiment_name": its.experiment, "base_run_id": its.base_run_id}
    return [f"--{name}={value}" for name, value in named.items()]
