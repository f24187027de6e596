"""Fine-tunes a whole network, block after block: one pass over the newest rows, from the weights that it has, at a tenth of its learning rate."""

from __future__ import annotations

import copy
from typing import Any, Final

import numpy as np
import pytorch_lightning as pl

from driftloop.data.streams import Stream
from driftloop.errors import TrainingError
from driftloop.training import fitting
from driftloop.training.fitting import Learner
from driftloop.training.trained_model import KnownModel

SLOWER: Final = 10.0  # how many times lower the learning rate is than in training: a pass corrects, it does not begin


class WarmFit:
    """Updates any learner's network.

    Args:
        learner: with its data module, and the window that its retrains learn from.
        stream: the rows.
        known: the model in service; its network is copied, never changed.
        seed: of the order of the rows.
        labelled: which rows have a label, (N,) bool; None: all.
    """

    def __init__(self, learner: Learner, stream: Stream, known: KnownModel, *, seed: int, labelled: np.ndarray | None = None) -> None:
        self.rows = np.arange(len(stream)) if labelled is None else np.flatnonzero(labelled)  # with a label
        self.learner, self.stream, self.seed, self.model = learner, stream, seed, copy.deepcopy(known.model)
        self.window, self.history = learner.retrain_params["window"], known.params["history"]

    def learn(self, start: int, stop: int) -> Any:
        """Learn from the newest rows before `stop`, as many as a retrain does and at least from `start` on; return the updated network.

        Raises:
            TrainingError: the weights are not finite at the end; the network stays as it was.
        """
        made, rate = copy.deepcopy(self.model), self.model.hparams.get("lr")
        if rate:
            made.hparams["lr"] = rate / SLOWER
        pl.seed_everything(self.seed, verbose=False)
        known, begun = np.searchsorted(self.rows, (stop, start))  # of the rows with a label
        first = min(int(begun), fitting.newest((0, int(known)), self.window)[0])
        data = self.learner.data(self.stream.rows[self.rows], self.stream.labels[self.rows], train=(first, int(known)), history=self.history)
        fitting.run(made, data, max_epochs=1)
        if rate:
            made.hparams["lr"] = rate
        if not fitting.is_finite(made):
            raise TrainingError(f"the update on the rows before {stop} diverged: its weights are not finite; lower the learning rate")
        self.model = made.eval()
        return copy.deepcopy(self.model)
