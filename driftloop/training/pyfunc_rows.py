"""The `mlflow.pyfunc` wrapper of a logged model: rows by column name in, predictions out.

The file is logged with the model in MLflow (`code/`) and imports none of our modules but `numerals`, which is logged beside it. The network
takes windows, (B, h + 1, F); here each row gets the rows before it, as in training and on TorchServe.

A model that takes values as they are has `columns.json`: each column's name, kind and categories. Its tables hold texts, booleans and missing
values; a text that is not among a column's categories is the code after the last.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
import pandas as pd
import torch

COLUMNS = "columns.json"  # in the model's folder
ROWS_AT_ONCE = 4096  # rows in one forward pass; bounds memory, not results


class RowsModel:
    """A model that predicts tables.

    Args:
        network: takes windows (B, h + 1, F), returns logits (B, K), or values (B,).
        about: `features` (column names in order), `labels` (values by class index; none for a regression), `history` (rows before each
            row) and `dtype` of the windows.
        columns: name, kind and categories of each feature, of a model that takes values as they are.
    """

    def __init__(self, network: torch.nn.Module, about: dict[str, Any], columns: Sequence[dict[str, Any]] = ()) -> None:
        self.network, self.about, self.columns = network, about, columns

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A prediction for each row, in order; for classes also a probability for each label.

        Args:
            rows: a DataFrame of the feature columns, rows in time order; of a model that takes values as they are also records or lists by
                column. Where fewer than `history` rows precede a row, the earliest is repeated. Other columns are ignored.
            params: `first`: the rows before this one are history only and get no prediction.

        Raises:
            ValueError: of a model that takes values as they are: a column is absent, or a value is none of its kind.
        """
        first, about = int((params or {}).get("first", 0)), self.about
        if self.columns:
            rows = as_table(rows, about["features"])
            values = np.column_stack([codes(rows[column["name"]], column) for column in self.columns])
        else:
            values = rows[about["features"]].to_numpy(np.dtype(about["dtype"]))
        windows = self._windows(values.astype(np.dtype(about["dtype"]), copy=False), first)
        with torch.inference_mode():
            parts = [self.network(torch.from_numpy(np.array(windows[at : at + ROWS_AT_ONCE]))) for at in range(0, len(windows), ROWS_AT_ONCE)]
        index, labels = rows.index[first:], about["labels"]
        if not labels:
            return pd.DataFrame({"prediction": torch.cat(parts).numpy().astype(np.float64) if parts else []}, index=index, dtype=np.float64)
        shares = torch.softmax(torch.cat(parts), dim=1).numpy().astype(np.float64) if parts else np.empty((0, len(labels)))
        answers = pd.DataFrame(shares, columns=[f"probability_{label}" for label in labels], index=index)
        answers.insert(0, "prediction", [labels[at] for at in shares.argmax(axis=1)])
        return answers

    def _windows(self, rows: np.ndarray, first: int) -> np.ndarray:
        """(N - first, h + 1, F), the row to predict last."""
        history = self.about["history"]
        rows = np.concatenate([np.repeat(rows[:1], history, axis=0), rows])[first:]
        if len(rows) <= history:
            return np.empty((0, history + 1, rows.shape[1]), rows.dtype)
        return np.lib.stride_tricks.sliding_window_view(rows, history + 1, axis=0).transpose(0, 2, 1)


def as_table(rows: Any, features: Sequence[str]) -> pd.DataFrame:
    """Rows as MLflow hands them over, as a table.

    Raises:
        ValueError: a column is absent or there twice; the message names it.
    """
    if not isinstance(rows, pd.DataFrame):
        given = [rows] if isinstance(rows, dict) and not any(isinstance(value, list | tuple | np.ndarray | pd.Series) for value in rows.values()) else rows
        try:
            rows = pd.DataFrame(given, dtype=object)
        except ValueError as exc:
            raise ValueError(f"{type(rows).__name__} is no table: give a DataFrame, or a list of records by column name") from exc
    absent = [name for name in features if name not in rows]
    twice = [name for name in features if not absent and isinstance(rows[name], pd.DataFrame)]
    if absent or twice:
        what = f"lacks {', '.join(absent)}" if absent else f"has {', '.join(twice)} twice"
        raise ValueError(f"the table {what}: give the columns {', '.join(features)}, with missing values where there are none")
    return rows


def codes(values: pd.Series, column: dict[str, Any]) -> np.ndarray:
    """A column as the network takes it, (N,) float64; nan where missing.

    >>> codes(pd.Series(["gas", None, "hydrogen"]), {"name": "fuel", "kind": "category", "categories": ["diesel", "gas"]}).tolist()
    [1.0, nan, 2.0]
    >>> codes(pd.Series([True, None, 0]), {"name": "sold", "kind": "boolean", "categories": []}).tolist()
    [1.0, nan, 0.0]

    Raises:
        ValueError: a value is none of the column's kind; the message says where.
    """
    if column["kind"] == "number":
        return _checked(_numbers(values), values, "a finite number")
    known = {text: float(code) for code, text in enumerate(column["categories"])}
    try:
        found, distinct = pd.factorize(values)
    except TypeError as exc:
        raise ValueError(f"column {values.name} holds lists or the like: give texts, numbers or booleans") from exc
    if column["kind"] == "boolean" and not known:
        places = [{"true": 1.0, "1": 1.0, "false": 0.0, "0": 0.0}.get(_text(value).lower(), np.nan) for value in distinct]
    else:
        places = [known.get(_text(value), float(len(known))) for value in distinct]
    return _checked(np.array([*places, np.nan])[found], values, "true or false")


def _checked(read: np.ndarray, values: pd.Series, wanted: str) -> np.ndarray:
    wrong = np.flatnonzero(~np.isfinite(read) & values.notna().to_numpy())
    if len(wrong):
        raise ValueError(f"row {wrong[0]}, column {values.name} is {str(values.iloc[wrong[0]])[:60]!r}: give {wanted}, or nothing")
    return read


def _text(value: Any) -> str:
    """A value of a category as text: a whole number has no decimal point, as in training."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)


def _numbers(values: pd.Series) -> np.ndarray:
    if values.dtype.kind in "mMc":
        raise ValueError(f"column {values.name} holds {values.dtype}: give numbers")
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(np.float64, na_value=np.nan)
    if values.isna().all():
        return np.full(len(values), np.nan)
    try:
        return values.mask(values.isna(), np.nan).to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError, OverflowError):  # as people and spreadsheets write them: percents, decimal commas
        import numerals

        found = numerals.read(values)
        if found.fault:
            raise ValueError(f"column {values.name} is not numeric ({found.fault}): give numbers") from None
        return found.values


def _load_pyfunc(path: str, model_config: dict[str, Any]) -> RowsModel:
    folder = Path(path).parent
    columns = json.loads((folder / COLUMNS).read_text(encoding="utf-8")) if (folder / COLUMNS).is_file() else []
    return RowsModel(mlflow.pytorch.load_model(str(folder)), model_config, columns)
