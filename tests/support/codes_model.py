"""A small model that takes values as they are, codes and nan: for tests of serving, not of a model. Travels in a .mar like a real one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn


class CodesModel(pl.LightningModule):
    """One linear layer over numbers, which of them are missing, and embeddings of codes, "other" and missing; the row before counts a little."""

    def __init__(self, *, features: int, kinds: Sequence[str], sizes: Sequence[int], classes: int = 2, history: int = 0) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.embeddings = nn.ModuleList(nn.Embedding(size + 2, 3) for size in sizes)
        self.layer = nn.Linear(5 * features, classes or 1)

    def forward(self, windows: Tensor) -> Tensor:  # (B, h + 1, F) -> logits (B, K), or values (B,)
        """Logits of the label of each window's newest row, or its value."""
        answers = self._of_rows(windows[:, -1]) + 0.1 * self._of_rows(windows[:, 0])
        return answers if self.hparams["classes"] else answers[:, 0]

    def _of_rows(self, rows: Tensor) -> Tensor:
        missing = rows.isnan()
        values = torch.nan_to_num(rows)
        parts = [missing.float()]
        for at, (size, embedding) in enumerate(zip(self.hparams["sizes"], self.embeddings, strict=True)):
            code = torch.where(missing[:, at], size + 1, values[:, at].clamp(0, size)) if size else torch.zeros_like(values[:, at])
            parts += [embedding(code.long()), torch.tanh(values[:, at : at + 1] / 1000 if not size else 0 * values[:, at : at + 1]).float()]
        return self.layer(torch.cat(parts, dim=1))

    def _answers(self, rows: np.ndarray, first: int) -> Tensor:
        history = self.hparams["history"]
        known = np.concatenate([np.repeat(rows[:1], max(history - first, 0), axis=0), rows])[max(first - history, 0) :]
        windows = np.lib.stride_tricks.sliding_window_view(known, history + 1, axis=0).transpose(0, 2, 1)
        return self(torch.from_numpy(np.array(windows)))

    @torch.inference_mode()
    def probabilities(self, rows: np.ndarray, *, first: int = 0) -> np.ndarray:
        """Class probabilities (N - first, K) of rows `first`.. of `rows` (N, F)."""
        return torch.softmax(self._answers(rows, first), dim=1).numpy()

    @torch.inference_mode()
    def values(self, rows: np.ndarray, *, first: int = 0) -> np.ndarray:
        """Values (N - first,) likewise."""
        return self._answers(rows, first).numpy()
