"""The `mlflow.pyfunc` wrapper of a logged model: rows by column name in, predictions out.

The file is logged with the model in MLflow (`code/`) and imports none of our modules. The network takes windows, (B, h + 1, F); here
each row gets the rows before it, as in training and on TorchServe.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
import pandas as pd
import torch

ROWS_AT_ONCE = 4096  # rows in one forward pass; bounds memory, not results


class RowsModel:
    """A model that predicts tables.

    Args:
        network: takes windows (B, h + 1, F), returns logits (B, K), or values (B,).
        about: `features` (column names in order), `labels` (values by class index; none for a regression), `history` (rows before each
            row) and `dtype` of the windows.
    """

    def __init__(self, network: torch.nn.Module, about: dict[str, Any]) -> None:
        self.network, self.about = network, about

    def predict(self, rows: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A prediction for each row, in order; for classes also a probability for each label.

        Args:
            rows: the feature columns, rows in time order. Where fewer than `history` rows precede a row, the earliest is repeated.
            params: `first`: the rows before this one are history only and get no prediction.
        """
        first, about = int((params or {}).get("first", 0)), self.about
        windows = self._windows(rows[about["features"]].to_numpy(np.dtype(about["dtype"])), first)
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


def _load_pyfunc(path: str, model_config: dict[str, Any]) -> RowsModel:
    return RowsModel(mlflow.pytorch.load_model(str(Path(path).parent)), model_config)
