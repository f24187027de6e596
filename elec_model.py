"""The window model: a small network that reads the row to predict and the rows before it.

The file travels inside the .mar and imports nothing of ours: a TorchServe worker sees only the
unpacked archive and site-packages. Everything between raw rows and probabilities is here, once,
so training and serving cannot differ.

Shapes: N rows, F features, h history, B batch, K classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_accuracy

# A column that was constant in training would explode when it starts to move: its scale is this share of
# its own size. What moves by no more than ROUNDING of its size is constant but for the noise of its last digits.
SCALE_FLOOR = 0.01
ROUNDING = 1e-14
CLIP = 8.0  # of scaled values
FARTHEST = 1e15  # scaled values are cut here first, so that no finite number gives an undefined one
# Which side of its trailing mean a value lies on tells more than how far off it is: steep at 0, flat far out.
STEEPNESS = 32.0
ROWS_AT_ONCE = 4096  # rows scored in one forward pass; bounds memory, not results


def stack_windows(rows: np.ndarray, *, history: int, first: int = 0) -> np.ndarray:
    """Give each row from `first` on the `history` rows before it.

    Args:
        rows: (N, F) raw values in time order; rows before `first` are context only.
        history: rows before the row to predict; 0 gives windows of that row alone.
        first: the first row to predict. Where fewer than `history` rows stand before it, the
            earliest row is repeated.

    Returns:
        (N - first, history + 1, F) float64, the row to predict last; a view where it can be.

    >>> stack_windows(np.array([[1.0], [2.0], [3.0]]), history=2, first=1)[:, :, 0].tolist()
    [[1.0, 1.0, 2.0], [1.0, 2.0, 3.0]]
    """
    rows = np.ascontiguousarray(rows, dtype=np.float64)
    missing = max(history - first, 0)
    if missing:
        rows = np.concatenate([np.repeat(rows[:1], missing, axis=0), rows])
    rows = rows[first + missing - history :]
    windows = np.lib.stride_tricks.sliding_window_view(rows, history + 1, axis=0)  # (N - first, F, h + 1)
    return windows.transpose(0, 2, 1)


class ElecModel(pl.LightningModule):
    """Multilayer perceptron over one window of raw rows.

    What it computes from a window, all inside the network: the scaled newest row, the same on a
    compressed scale, and, when there is history, the newest row against the trailing mean and
    deviation over the whole history, its half and its quarter. Features only, never past labels.
    All of it is float64 up to the first layer, which is float32: what differs in the last digits of
    a large number (a meter's count, a time in seconds) still differs once it is scaled.

    Args:
        features: number of columns F.
        classes: number of labels K.
        history: rows before the row to predict, h.
        width: units of a hidden layer.
        depth: number of hidden layers; 0 is a logistic regression.
        optimizer: "sgd" or "adamw".
        lr: peak of the one-cycle learning-rate schedule.
        momentum: of SGD, 0..1.
        weight_decay: L2 penalty (SGD) or decoupled decay (AdamW).
        nesterov: Nesterov's form of momentum (SGD).
    """

    mean: Tensor  # (F,) of the training rows
    scale: Tensor  # (F,)

    def __init__(
        self,
        *,
        features: int,
        classes: int = 2,
        history: int = 0,
        width: int = 32,
        depth: int = 1,
        optimizer: str = "sgd",
        lr: float = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        nesterov: bool = True,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.register_buffer("mean", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(features, dtype=torch.float64))
        self.spans = [span for span in (history, history // 2, history // 4) if span]
        inputs = 2 * features * (1 + len(self.spans))
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Linear(inputs, width), nn.ReLU()]
            inputs = width
        self.losses: list[Tensor] = []
        self.head = nn.Sequential(*layers, nn.Linear(inputs, classes))

    def learn_scale(self, rows: np.ndarray) -> None:
        """Set the normalisation from the training rows (N, F), and only from those."""
        rows = np.asarray(rows, np.float64)
        largest = np.abs(rows).max(axis=0)
        unit = np.where(largest > 0, largest, 1.0)  # of numbers near the ends of float64 the squares and sums would overflow
        mean, spread = (rows / unit).mean(axis=0), (rows / unit).std(axis=0)
        scale = unit * np.where(spread > ROUNDING, spread, SCALE_FLOOR * np.abs(mean))
        self.mean.copy_(torch.from_numpy(unit * mean))
        self.scale.copy_(torch.from_numpy(np.where(scale > 0, scale, 1.0)))

    def describe(self, windows: Tensor) -> Tensor:  # (B, h + 1, F) -> (B, 2F (1 + spans))
        """The inputs of the first layer, float32; fixed arithmetic, nothing learned but the scale."""
        # The buffers are float64, so this is, too. A cast of the windows would make the exported network refuse float32 ones.
        scaled = ((windows - self.mean) / self.scale).clamp_(-FARTHEST, FARTHEST)
        newest = scaled[:, -1]
        parts = [newest.clamp(-CLIP, CLIP), torch.asinh(4 * newest)]
        for span in self.spans:
            past = scaled[:, -1 - span : -1]
            mean = past.mean(dim=1)
            deviation = (past - mean[:, None]).square().mean(dim=1).sqrt()
            parts += [torch.asinh(mean), torch.asinh(STEEPNESS * (newest - mean) / (deviation + 0.05))]
        return torch.cat(parts, dim=1).float()

    def forward(self, windows: Tensor) -> Tensor:  # (B, h + 1, F) -> (B, K)
        """Logits of the label of each window's newest row."""
        return self.head(self.describe(windows))

    @torch.inference_mode()
    def probabilities(self, rows: np.ndarray, *, first: int = 0) -> np.ndarray:
        """Class probabilities of rows `first`.. of `rows` (N, F): (N - first, K) float32.

        Rows before `first` are context. The served answer is this function's answer.
        """
        self.eval()
        windows = stack_windows(rows, history=self.hparams["history"], first=first)
        parts = [torch.softmax(self(torch.from_numpy(np.array(windows[at : at + ROWS_AT_ONCE]))), dim=1) for at in range(0, len(windows), ROWS_AT_ONCE)]
        return torch.cat(parts).numpy() if parts else np.empty((0, self.hparams["classes"]), np.float32)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Cross-entropy of one batch."""
        windows, labels = batch
        loss = nn.functional.cross_entropy(self(windows), labels)
        self.losses.append(loss.detach())
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        """Log the mean loss of the epoch's batches after the last one; Lightning's own log() in each step takes a fifth of the fit."""
        if self.trainer.is_last_batch:  # at the epoch's end MLflow's autologging has read the metrics already
            self.log("train_loss", torch.stack(self.losses).mean(), on_step=False, on_epoch=True)
            self.losses.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Loss and accuracy on the validation rows, which come after the training rows."""
        self._score(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Loss and accuracy on the test rows, which come after the validation rows."""
        self._score(batch, "test")

    def _score(self, batch: tuple[Tensor, Tensor], stage: str) -> None:
        windows, labels = batch
        logits = self(windows)
        accuracy = multiclass_accuracy(logits, labels, num_classes=logits.shape[1], average="micro")
        self.log(f"{stage}_loss", nn.functional.cross_entropy(logits, labels), batch_size=len(labels))
        self.log(f"{stage}_accuracy", accuracy, batch_size=len(labels))

    def configure_optimizers(self) -> Any:
        """SGD as in the original, or AdamW; one cycle of the learning rate over the fit."""
        p = self.hparams
        chosen: torch.optim.Optimizer
        if p["optimizer"] == "sgd":
            # torch refuses Nesterov without momentum.
            nesterov = bool(p["nesterov"]) and p["momentum"] > 0
            chosen = torch.optim.SGD(self.parameters(), lr=p["lr"], momentum=p["momentum"], weight_decay=p["weight_decay"], nesterov=nesterov)
        else:
            chosen = torch.optim.AdamW(self.parameters(), lr=p["lr"], weight_decay=p["weight_decay"])
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(chosen, max_lr=p["lr"], total_steps=steps, cycle_momentum=False)
        return {"optimizer": chosen, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
