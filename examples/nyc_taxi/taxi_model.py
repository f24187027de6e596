"""The taxi model: a small network that predicts the minutes of a trip.

The file is packed into the .mar and imports none of our modules: a TorchServe worker sees only the unpacked archive and
site-packages. All steps from a raw trip to its minutes are here, so training and serving cannot differ.

Shapes: N trips, F = 5 columns (pickup_zone, dropoff_zone, distance_miles, hour, weekday), B batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

ZONES = 266  # zones are numbered 1..265
HOURS, WEEKDAYS = 24, 7
ZONE_SIZE, HOUR_SIZE = 8, 4  # embedding sizes of a zone and an hour
NEAREST_MILES = 0.01  # lower limit before the logarithm
ROWS_AT_ONCE = 8192  # trips per forward pass; bounds memory, not results


class TaxiModel(pl.LightningModule):
    """Embeddings of both zones, of the hour and of the hour of the week, the distance, and a multilayer perceptron on them.

    It learns the logarithm of the duration, so that no prediction is negative. The loss is the absolute error in minutes, the
    KPI itself, which a few very long trips do not dominate.

    Args:
        features: number of columns, 5.
        history: rows before the row to predict; 0, because trips of different people are unrelated.
        width: units of a hidden layer.
        depth: number of hidden layers.
        optimizer: "sgd" or "adamw".
        lr: peak of the one-cycle learning-rate schedule.
        momentum: of SGD, 0..1.
        weight_decay: L2 penalty (SGD) or decoupled decay (AdamW).
        nesterov: Nesterov's form of momentum (SGD).

    Raises:
        ValueError: other columns, or history, are requested.
    """

    level: Tensor  # mean and deviation of the logarithm of the training labels
    spread: Tensor

    def __init__(
        self,
        *,
        features: int = 5,
        history: int = 0,
        width: int = 64,
        depth: int = 2,
        optimizer: str = "adamw",
        lr: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 1e-5,
        nesterov: bool = True,
    ) -> None:
        super().__init__()
        if features != 5 or history:
            raise ValueError(f"features {features}, history {history}: the model reads 5 columns of one trip")
        self.save_hyperparameters()
        self.register_buffer("level", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))
        self.pickup, self.dropoff = nn.Embedding(ZONES, ZONE_SIZE), nn.Embedding(ZONES, ZONE_SIZE)
        self.hour, self.hour_of_week = nn.Embedding(HOURS, HOUR_SIZE), nn.Embedding(HOURS * WEEKDAYS, HOUR_SIZE)
        inputs = 2 * ZONE_SIZE + 2 * HOUR_SIZE + 2
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Linear(inputs, width), nn.ReLU()]
            inputs = width
        self.head = nn.Sequential(*layers, nn.Linear(inputs, 1))
        self.losses: list[Tensor] = []

    def learn_scale(self, rows: np.ndarray, labels: np.ndarray) -> None:
        """Set the scale of the predictions from the training labels (N,), minutes over 0."""
        logarithms = np.log(labels)
        self.level.fill_(float(logarithms.mean()))
        self.spread.fill_(float(logarithms.std()) or 1.0)

    def forward(self, windows: Tensor) -> Tensor:  # (B, 1, F) -> (B,)
        """Minutes of each trip."""
        trips = windows[:, -1]
        zones = trips[:, :2].round().long().clamp(0, ZONES - 1)
        miles = trips[:, 2:3].clamp(min=NEAREST_MILES)
        hour, weekday = trips[:, 3].long().clamp(0, HOURS - 1), trips[:, 4].long().clamp(0, WEEKDAYS - 1)
        parts = [self.pickup(zones[:, 0]), self.dropoff(zones[:, 1]), self.hour(hour), self.hour_of_week(HOURS * weekday + hour), miles.log(), miles.sqrt()]
        inputs = torch.cat([part.float() for part in parts], dim=1)
        return torch.exp(self.level + self.spread * self.head(inputs)[:, 0])

    @torch.inference_mode()
    def values(self, rows: np.ndarray, *, first: int = 0) -> np.ndarray:
        """Minutes of trips `first`.. of `rows` (N, F): (N - first,) float32. This function computes the served prediction."""
        self.eval()
        trips = np.ascontiguousarray(rows[first:], dtype=np.float64)[:, None]
        parts = [self(torch.from_numpy(trips[at : at + ROWS_AT_ONCE])) for at in range(0, len(trips), ROWS_AT_ONCE)]
        return torch.cat(parts).numpy() if parts else np.empty(0, np.float32)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Mean absolute error of one batch."""
        loss = self._mae(batch)
        self.losses.append(loss.detach())
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        """Log the mean loss of the epoch's batches after the last one."""
        if self.trainer.is_last_batch:  # by the epoch's end MLflow's autologging has already read the metrics
            self.log("train_loss", torch.stack(self.losses).mean(), on_step=False, on_epoch=True)
            self.losses.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """MAE on the validation rows, which come after the training rows."""
        self.log("val_mae", self._mae(batch), batch_size=len(batch[1]))

    def test_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """MAE on the test rows, which come after the validation rows."""
        self.log("test_mae", self._mae(batch), batch_size=len(batch[1]))

    def _mae(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        windows, minutes = batch
        return (self(windows) - minutes.float()).abs().mean()

    def configure_optimizers(self) -> Any:
        """AdamW, or SGD; one cycle of the learning rate over the fit."""
        p = self.hparams
        chosen: torch.optim.Optimizer
        if p["optimizer"] == "sgd":
            nesterov = bool(p["nesterov"]) and p["momentum"] > 0  # torch refuses Nesterov without momentum
            chosen = torch.optim.SGD(self.parameters(), lr=p["lr"], momentum=p["momentum"], weight_decay=p["weight_decay"], nesterov=nesterov)
        else:
            chosen = torch.optim.AdamW(self.parameters(), lr=p["lr"], weight_decay=p["weight_decay"])
        schedule = torch.optim.lr_scheduler.OneCycleLR(chosen, max_lr=p["lr"], total_steps=int(self.trainer.estimated_stepping_batches), cycle_momentum=False)
        return {"optimizer": chosen, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
