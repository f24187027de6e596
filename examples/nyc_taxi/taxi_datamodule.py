"""The taxi stream's data module: ELEC's, with a batch size for ten thousand to hundreds of thousands of trips."""

from __future__ import annotations

from typing import Any

import numpy as np

from elec_datamodule import ElecDataModule, Span

STEPS = 160  # per epoch, about: enough for a month of trips, not too many for two years
SMALLEST, LARGEST = 64, 512  # trips per batch


class TaxiDataModule(ElecDataModule):
    """Arguments as in `ElecDataModule`."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray, *, train: Span, **others: Any) -> None:
        size = max(SMALLEST, min(LARGEST, 1 << max((train[1] - train[0]) // STEPS, 1).bit_length() - 1))
        super().__init__(rows, labels, train=train, batch_size=size, **others)
