"""A model that a worker loads in half the time of the real one: for tests of serving, not of the model."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import torch

SLOW = 1000.0  # a first value over this makes an answer take so many seconds more
DEADLY = -1000.0  # a first value of this kills the process that is to answer


class LightModel(torch.nn.Module):
    """One linear layer; without history."""

    def __init__(self, *, features: int, classes: int = 2, history: int = 0) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(features, classes)

    @torch.inference_mode()
    def probabilities(self, rows: np.ndarray, *, first: int = 0) -> np.ndarray:
        """Class probabilities of rows `first`.. of `rows` (N, F)."""
        if rows[first, 0] == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(max(0.0, float(rows[first, 0]) - SLOW))
        return torch.softmax(self.layer(torch.tensor(rows[first:], dtype=torch.float32)), dim=1).numpy()
