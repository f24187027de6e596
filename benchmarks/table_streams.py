"""The tables of `benchmarks.tables` as streams whose categories are codes and whose missing values are nan."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from driftloop.data import streams
from driftloop.data.schema import encoding
from driftloop.data.streams import Stream
from driftloop.errors import DataError
from driftloop.settings import DEFAULT_PARAMS, TRAIN_SHARE
from driftloop.training.fitting import Learner

LABELS: Final = {"car_loan": "repaid", "car_loan_dq": "repaid", "cards": "y_true", "car_price": "y_true"}
TIME: Final = "timestamp"
NO_FEATURES: Final = ("id", TIME)


@dataclass(frozen=True, eq=False)
class Measured:
    """A stream with the kinds of its columns, its training rows, the rows it is tested on, and the learner of its own, if it has one.

    `own` is the same stream as that learner reads it.
    """

    name: str
    stream: Stream
    kinds: tuple[str, ...]
    sizes: tuple[int, ...]
    train: tuple[int, int]
    test: tuple[int, int]
    learner: Learner | None = None
    own: Stream | None = None
    own_params: dict[str, Any] | None = None
    own_epochs: int = 0


def of_file(folder: Path, name: str) -> Measured:
    """One of the four public tables: the oldest 70 % are the training rows.

    Raises:
        DataError: the file is not there.
    """
    path = folder / f"{name}.csv.gz"
    if not path.is_file():
        raise DataError(f"{path}: no such file: give the folder of the four tables by --tables (data/README.md says where they come from)")
    frame = pd.read_csv(path)
    stop = int(TRAIN_SHARE * len(frame))
    label = frame[LABELS[name]]
    table = frame.drop(columns=[*NO_FEATURES, LABELS[name]])
    rows, kinds, sizes = _coded(table, stop=stop)
    regression = label.dtype.kind == "f" and label.nunique() > 2
    names, codes = (np.empty(0), label.to_numpy(np.float64)) if regression else np.unique(label, return_inverse=True)
    stream = Stream(
        name=name,
        rows=rows,
        labels=codes if regression else codes.astype(np.int64),
        label_names=tuple(names.tolist()),
        features=tuple(table.columns),
        times=pd.to_datetime(frame[TIME]).to_numpy("datetime64[ns]"),
        period=None,
        source=str(path),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        task="regression" if regression else "classification",
    )
    return Measured(name, stream, kinds, sizes, (0, stop), (stop, len(frame)))


def elec() -> Measured:
    """ELEC, one row at a time, beside its own model."""
    from learner import ELEC

    stream = streams.load()
    stop = int(TRAIN_SHARE * len(stream))
    params = {**DEFAULT_PARAMS, "history": 0}
    kinds, sizes = ("number",) * len(stream.features), (0,) * len(stream.features)
    return Measured("ELEC, history 0", stream, kinds, sizes, (0, stop), (stop, len(stream)), ELEC, stream, params, 3)


def taxi() -> Measured:
    """New York's taxis, trained on the trips of 2018, tested on those of 2019."""
    from examples.nyc_taxi import trips

    stream = trips.load()
    stop, last = (int(np.searchsorted(stream.times, np.datetime64(day))) for day in ("2019-01-01", "2020-01-01"))
    columns = encoding.known(stream.columns, stream.rows[:stop])
    kinds, sizes = tuple(column.kind for column in columns), tuple(len(column.categories) for column in columns)
    return Measured("taxi, 2018 to 2019", stream, kinds, sizes, (0, stop), (stop, last))


def _coded(table: pd.DataFrame, *, stop: int) -> tuple[np.ndarray, tuple[str, ...], tuple[int, ...]]:
    """Rows (N, F), kinds and sizes; a text is its place among the sorted texts of the training rows, then in order of appearance."""
    found = [_column(table[name], stop=stop) for name in table]
    columns, kinds, sizes = zip(*found, strict=True)
    return np.ascontiguousarray(np.stack(columns, axis=1)), kinds, sizes


def _column(values: pd.Series, *, stop: int) -> tuple[np.ndarray, str, int]:
    known = values.dropna()
    if known.map(type).eq(bool).all():
        return values.to_numpy(np.float64), "boolean", 0
    if not known.map(type).eq(str).all():
        return values.to_numpy(np.float64), "number", 0
    trained = sorted(values[:stop].dropna().unique())
    code = {text: at for at, text in enumerate(dict.fromkeys([*trained, *known.unique()]))}
    return values.map(code).to_numpy(np.float64), "category", len(trained)
