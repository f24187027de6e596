"""How a table of predictions was read, so that later rows are read alike however few they are: times, classes, codes of the inputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from driftloop.data.schema.schema import Schema
from driftloop.errors import DataError
from driftloop.predictions import prediction_columns
from driftloop.predictions.prediction_columns import UNLABELLED, ReadPredictions
from driftloop.predictions.segments.segment_columns import SegmentCut

SAMPLE: Final = 200  # times whose format later ones must share


@dataclass(frozen=True)
class FirstReading:
    """What the first table decided.

    Its times are in `time_column`, or in the index, or the rows are numbered (`numbered`). `sample` are some as they are written. `names` are the
    classes by code. `vocabulary` are the categories of each coded input by code, `cuts` the columns that are cut into segments.
    """

    task: str
    time_column: str
    numbered: bool
    sample: tuple[Any, ...] = ()
    names: tuple[Any, ...] = ()
    second: bool | None = None
    features: tuple[str, ...] = ()
    schema: Schema = field(default_factory=Schema)
    vocabulary: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cuts: tuple[SegmentCut, ...] = ()

    @classmethod
    def of(cls, frame: pd.DataFrame, asked: str, time_column: str, predicted: ReadPredictions, task: str, *, sample: bool) -> FirstReading:
        """That of a frame without its inputs; `asked` is the time column that was asked for, `sample` whether the format was inferred."""
        numbered = not time_column and (bool(asked) or not isinstance(frame.index, pd.DatetimeIndex))
        shown: tuple[Any, ...] = ()
        if time_column and sample and not pd.api.types.is_datetime64_any_dtype(frame[time_column]):
            some = frame[time_column].iloc[np.unique(np.linspace(0, len(frame) - 1, SAMPLE).astype(int))]
            shown = tuple(some.tolist()) if all(isinstance(value, str | int | float) for value in some.tolist()) else ()
        return cls(task, time_column, numbered, shown, predicted.names, predicted.second)

    def like_the_sample(self, column: pd.Series) -> tuple[pd.Series, int]:
        """Times after the sample, so that a format is inferred from both, and the sample's length."""
        sample = pd.Series(list(self.sample), name=column.name)
        alike = len(sample) and pd.api.types.is_numeric_dtype(sample) == pd.api.types.is_numeric_dtype(column)
        if not alike or pd.api.types.is_datetime64_any_dtype(column):
            return column, 0
        return pd.concat([sample.astype(column.dtype) if column.dtype != sample.dtype else sample, column], ignore_index=True), len(sample)


def known_classes(
    label: pd.Series, prediction: pd.Series, probability: list[pd.Series], known: FirstReading, *, declared: bool
) -> tuple[ReadPredictions, tuple[Any, ...]]:
    """Labels and predictions with the codes of the known classes; a new class has the next code.

    Returns:
        What was read, and the names of all classes by code.

    Raises:
        DataError: as `prediction_columns.of_classes`, or no prediction is a known class.
    """
    names, rows = list(known.names), len(label)
    anchors = [1.0 / len(probability)] * len(names) if len(probability) > 1 else [0.5] * len(names)
    label, prediction = (_longer(side, names) for side in prediction_columns.alike(label, prediction))
    chances = [_longer(column, anchors) for column in probability]
    found = prediction_columns.of_classes(label, prediction, chances, declared=declared, second=known.second, before=names)
    found = found.of(np.arange(rows))
    codes = {str(name): code for code, name in enumerate(names)}
    for name in found.names:
        codes.setdefault(str(name), len(codes))
    places = np.array([codes[str(name)] for name in found.names])
    every = (*names, *[name for name in found.names if codes[str(name)] >= len(names)])
    labels = np.where(found.labels == UNLABELLED, UNLABELLED, places[np.maximum(found.labels, 0)])
    predicted = places[found.outputs.argmax(axis=1)]
    if found.usable.any() and (predicted[found.usable] >= len(names)).all():
        shown = ", ".join(map(repr, names[:3]))
        raise DataError(f"no prediction in {prediction.name!r} is a class of the table before ({shown}): write classes alike")
    ordered = None
    if found.probabilities is not None:
        ordered = np.zeros((rows, len(every)))
        ordered[:, places] = found.probabilities
    outputs = np.eye(len(every), dtype=np.float32)[predicted]
    return replace(found, labels=labels, outputs=outputs, probabilities=ordered, names=every), every


def _longer(column: pd.Series, values: list[Any]) -> pd.Series:
    """A column with some values after it: every class is then read, whichever there are."""
    return pd.concat([column.astype(object), pd.Series(values, dtype=object)], ignore_index=True).rename(column.name)
