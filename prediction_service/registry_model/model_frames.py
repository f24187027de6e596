"""Between JSON and a pyfunc model: rows as a DataFrame with the signature's types, and its output as answers by the stream's task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from driftloop.tracking.pyfunc_models import Input
from monitoring.features import Given, as_text
from monitoring.http.answers import RequestError
from monitoring.records.checks import SUM_OFF
from monitoring.stream_settings import StreamConfig
from prediction_service.served_model import ModelAnswer

WHOLE: Final = {"int32": 31, "int64": 53}  # bits of the numbers that JSON's floats and the type both hold
TYPES: Final = {"boolean": "bool", "text": "object"}  # of pandas, where it has another name


def inputs_of(stream: StreamConfig) -> tuple[Input, ...]:
    """The inputs of a model without a signature: the stream's features, in their order."""
    return tuple(Input(one.name, "text" if one.texts else "boolean" if one.boolean else "float64", one.required) for one in stream.features)


def to_frame(rows: Sequence[Mapping[str, Given]], inputs: Sequence[Input]) -> pd.DataFrame:
    """The rows as the model takes them, a column for each input that they have.

    Raises:
        RequestError: 422, a value is not of its input's type.
    """
    here = [one for one in inputs if one.name in rows[0]]
    columns = {one.name: pd.Series([_value(row[one.name], one, at) for at, row in enumerate(rows)], dtype=TYPES.get(one.kind, one.kind)) for one in here}
    return pd.DataFrame(columns, columns=[one.name for one in here])


def _value(value: Given, one: Input, at: int) -> Any:
    if one.kind == "text":
        return None if value is None else as_text(value)
    if one.kind.startswith("float"):
        return math.nan if value is None else float(value)
    if value is None:
        raise RequestError(422, "missing", f"row {at}: feature {one.name} is missing: the model's signature has it as {one.kind}")
    number = float(value)
    if one.kind in WHOLE and not (number.is_integer() and abs(number) < 2 ** WHOLE[one.kind]):
        raise RequestError(422, "not_a_number", f"row {at}: feature {one.name} is not a whole number, which the model's signature demands ({one.kind})")
    return bool(number) if one.kind == "boolean" else int(number)


def read_output(output: Any, stream: StreamConfig, *, rows: int, version: str) -> list[ModelAnswer]:
    """The answers in a model's output.

    A regression's is a number for each row. A classification's is a label for each row; or a column of probabilities for each label of the stream, in
    their order (a DataFrame whose columns are the labels may have them in any); or, of two labels, the probability of the second, as floats in 0..1.

    Raises:
        ValueError, TypeError: it is something else.
    """
    table = _table(output, stream)
    if len(table) != rows:
        raise ValueError(f"{len(table)} outputs for {rows} rows")
    if stream.task == "regression":
        return [ModelAnswer(_finite(value), None, None, version) for value in _only(table)]
    if table.shape[1] == len(stream.labels):
        return [_of_shares(shares, stream, version) for shares in table.tolist()]
    values = _only(table)
    if all(_is_label(value, stream) for value in values):
        return [ModelAnswer(_label(value, stream), None, None, version) for value in values]
    if len(stream.labels) == 2 and all(isinstance(value, float) and 0 <= value <= 1 for value in values):
        return [_of_shares([1 - value, value], stream, version) for value in values]
    bad = next(value for value in values if not _is_label(value, stream))
    raise ValueError(f"output {bad!a:.60} is not a label of the stream: {', '.join(map(str, stream.labels))}")


def _table(output: Any, stream: StreamConfig) -> np.ndarray:
    """(rows, columns) of Python's or numpy's values."""
    if isinstance(output, pd.DataFrame):
        names, labels = list(map(str, output.columns)), list(map(str, stream.labels))
        if len(names) > 1 and set(names) == set(labels):
            output = output.iloc[:, [names.index(label) for label in labels]]
        elif len(names) > 1 and not all(isinstance(name, int | np.integer) for name in output.columns):
            raise ValueError(f"a table with the columns {', '.join(names[:8])}: expected one of labels or values, or one for each label of the stream")
        output = output.to_numpy()
    found = np.asarray(output.to_numpy() if isinstance(output, pd.Series) else output)
    if found.ndim not in {1, 2}:
        raise TypeError(f"{type(output).__name__} of {found.ndim} dimensions: expected a value, or probabilities, for each row")
    return found.reshape(len(found), -1)


def _only(table: np.ndarray) -> list[Any]:
    if table.shape[1] != 1:
        raise ValueError(f"{table.shape[1]} columns: expected a value for each row, or the probabilities of all labels of the stream")
    values: list[Any] = table[:, 0].tolist()
    return values


def _is_label(value: Any, stream: StreamConfig) -> bool:
    return isinstance(value, int | float | str) and value in stream.labels


def _label(value: Any, stream: StreamConfig) -> Any:
    return stream.labels[stream.labels.index(value)]


def _of_shares(shares: Sequence[Any], stream: StreamConfig, version: str) -> ModelAnswer:
    found = tuple(map(_finite, shares))
    if min(found) < -SUM_OFF or not abs(sum(found) - 1) <= SUM_OFF:
        raise ValueError(f"the probabilities of a row sum to {sum(found):.4g}, with {min(found):.4g} as their smallest")
    clear = tuple(min(max(share, 0.0), 1.0) for share in found)
    place = int(np.argmax(clear))
    return ModelAnswer(stream.labels[place], clear[place], clear, version)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite")
    return number
