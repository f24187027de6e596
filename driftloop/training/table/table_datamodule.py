"""LightningDataModule: rows of a table in time order, with the history each row needs, in chunks of several optimizer steps.

Nothing is shuffled across time: training rows come before validation rows, those before test rows.
Inside the training rows the order is drawn again each epoch, which leaks nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from driftloop.training.table.table_model import Chunk, rows_at_once, stack_windows

Span = tuple[int, int]  # first row, row after the last
STEPS = 160  # an epoch, about
SMALLEST, LARGEST = 16, 512  # rows a step


class _Rows:
    """Windows and labels of rows `span` of a stream, by position."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray, *, span: Span, history: int) -> None:
        first, stop = span
        context = min(history, first)
        self._windows = stack_windows(rows[first - context : stop], history=history, first=context)
        self._labels = labels[first:stop]
        self.at_once = rows_at_once(history, rows.shape[1])

    def __len__(self) -> int:
        return len(self._labels)

    def take(self, positions: np.ndarray | slice) -> tuple[Tensor, Tensor]:  # (R, h + 1, F), (R,)
        return torch.from_numpy(np.array(self._windows[positions])), torch.from_numpy(np.array(self._labels[positions]))


class Chunks(IterableDataset):
    """The training rows of an epoch in an order drawn again each time, `size` rows a step, as many steps a chunk as memory allows."""

    def __init__(self, rows: _Rows, *, size: int) -> None:
        self.rows, self.size = rows, size
        self.steps = math.ceil(len(rows) / size)
        self.chunk_steps = max(1, rows.at_once // size)

    def __len__(self) -> int:
        return math.ceil(self.steps / self.chunk_steps)

    def __iter__(self) -> Iterator[Chunk]:
        order = torch.randperm(len(self.rows)).numpy()
        for first in range(0, self.steps, self.chunk_steps):
            positions = order[first * self.size : (first + self.chunk_steps) * self.size]
            yield Chunk(*self.rows.take(positions), self.size, first, self.steps)


class InOrder(IterableDataset):
    """Rows in time order, as many at a time as memory allows."""

    def __init__(self, rows: _Rows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.rows.at_once)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for at in range(0, len(self.rows), self.rows.at_once):
            yield self.rows.take(slice(at, at + self.rows.at_once))


class TableDataModule(pl.LightningDataModule):
    """Training, validation and test rows of one stream, in time order.

    Args:
        rows: (N, F) in time order, raw; nan where missing.
        labels: (N,) int64 class indices or float64 values.
        train: rows to learn from.
        validation: later rows that choose between models; None leaves them out.
        test: still later rows that only measure; None leaves them out.
        history: rows of context before each row.
        batch_size: rows a step; None takes about STEPS steps an epoch, within SMALLEST..LARGEST rows.

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
        self.batch_size = batch_size or max(SMALLEST, min(LARGEST, 1 << max((train[1] - train[0]) // STEPS, 1).bit_length() - 1))

    def _loader(self, stage: str) -> DataLoader | list:
        span = self.spans[stage]
        if span is None:
            return []
        rows = _Rows(self.rows, self.labels, span=span, history=self.history)
        # batch_size=None: the datasets give whole batches.
        return DataLoader(Chunks(rows, size=self.batch_size) if stage == "train" else InOrder(rows), batch_size=None)

    def train_dataloader(self) -> DataLoader | list:
        """Chunks of the training rows, drawn again each epoch."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader | list:
        """The validation rows in order."""
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader | list:
        """The test rows in order."""
        return self._loader("test")
