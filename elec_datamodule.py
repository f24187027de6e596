"""LightningDataModule: rows of a stream in time order, with the history each row needs.

Nothing is shuffled across time: training rows come before validation rows, those before test rows.
Inside the training rows the order of the batches is drawn again each epoch, which leaks nothing.
"""

from __future__ import annotations

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from elec_model import ROWS_AT_ONCE, stack_windows

Span = tuple[int, int]  # first row, row after the last


class WindowDataset(Dataset):
    """Windows and labels of rows `span` of a stream; asked for a whole batch of positions at a time.

    Collating single rows would cost 15 to 300 times as much on tables this small.
    """

    def __init__(self, rows: np.ndarray, labels: np.ndarray, *, span: Span, history: int) -> None:
        first, stop = span
        context = min(history, first)
        self.windows = stack_windows(rows[first - context : stop], history=history, first=context)
        self.labels = labels[first:stop]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, positions: list[int]) -> tuple[Tensor, Tensor]:  # (B, h + 1, F), (B,)
        windows = np.ascontiguousarray(self.windows[positions])
        return torch.from_numpy(windows), torch.from_numpy(self.labels[positions])


class ElecDataModule(pl.LightningDataModule):
    """Training, validation and test rows of one stream, in time order.

    Args:
        rows: (N, F) in time order, raw.
        labels: (N,) int64 class indices.
        train: rows to learn from.
        validation: later rows that choose between models; None leaves them out.
        test: still later rows that only measure; None leaves them out.
        history: rows of context before each row.
        batch_size: rows a step; None takes about 40 steps an epoch, within 8..128 rows, so that
            a week of rows gets enough steps and 30,000 rows not too many.

    Raises:
        ValueError: the spans overlap or run back in time, or there are no training rows.
    """

    def __init__(
        self,
        rows: np.ndarray,
        labels: np.ndarray,
        *,
        train: Span,
        validation: Span | None = None,
        test: Span | None = None,
        history: int = 0,
        batch_size: int | None = None,
    ) -> None:
        super().__init__()
        edges = [edge for span in (train, validation, test) if span for edge in span]
        if edges != sorted(edges) or train[0] >= train[1] or edges[-1] > len(rows):
            raise ValueError(f"train {train}, validation {validation}, test {test}: give spans in time order inside the {len(rows)} rows")
        self.rows, self.labels, self.history = rows, labels, history
        self.spans = {"train": train, "validation": validation, "test": test}
        self.batch_size = batch_size or max(8, min(128, 1 << max((train[1] - train[0]) // 40, 1).bit_length() - 1))

    def _loader(self, stage: str, *, batch_size: int, shuffle: bool = False) -> DataLoader | list:
        span = self.spans[stage]
        if span is None:
            return []
        data = WindowDataset(self.rows, self.labels, span=span, history=self.history)
        order = RandomSampler(data) if shuffle else SequentialSampler(data)
        # batch_size=None hands the sampler's whole list of positions to the dataset.
        return DataLoader(data, sampler=BatchSampler(order, batch_size, drop_last=False), batch_size=None)

    def train_dataloader(self) -> DataLoader | list:
        """Batches of the training rows, drawn again each epoch."""
        return self._loader("train", batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader | list:
        """The validation rows in order."""
        return self._loader("validation", batch_size=ROWS_AT_ONCE)

    def test_dataloader(self) -> DataLoader | list:
        """The test rows in order."""
        return self._loader("test", batch_size=ROWS_AT_ONCE)
