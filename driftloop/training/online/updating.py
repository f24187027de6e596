"""Chooses how a network is updated."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from driftloop.data.streams import Stream
from driftloop.settings import REFERENCE_BLOCKS
from driftloop.training.fitting import Learner
from driftloop.training.online import last_layer
from driftloop.training.online.last_layer import LastLayer
from driftloop.training.online.warm_fit import WarmFit
from driftloop.training.trained_model import KnownModel


class Updater(Protocol):
    """Learns labelled rows in their order, each once."""

    def learn(self, start: int, stop: int) -> Any:
        """Learn the labels of rows `start`..`stop`; return the updated network, a copy."""


def updater(learner: Learner, stream: Stream, known: KnownModel, *, block_rows: int, seed: int, labelled: np.ndarray | None = None) -> Updater:
    """The filter of the last layer where the network is a softmax of one, else a warm fit.

    Args:
        learner: the model and data classes.
        stream: the rows.
        known: the model in service.
        block_rows: rows of a block.
        seed: of a warm fit.
        labelled: which rows have a label, (N,) bool; None: all.
    """
    stop = known.trained[1]
    rows = (max(known.trained[0], stop - REFERENCE_BLOCKS * block_rows), stop)
    if last_layer.fits(known.model, stream, rows):
        return LastLayer(known.model, stream, rows, block_rows=block_rows, labelled=labelled)
    return WarmFit(learner, stream, known, seed=seed, labelled=labelled)
