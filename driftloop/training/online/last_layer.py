"""Updates the last layer of a classifier by a filter, block after block; the layers before it stay as trained.

The weights of the last layer follow a random walk, so that old rows count less and less. A block's labels move them by Newton's method on the
posterior (Laplace approximation), a few rows at a time. How fast a stream drifts is unknown, so members with walks of different speed are
filtered side by side. Their mean is again a last layer: what is served is the trained network with other numbers in that layer, and nothing else.
The bias may walk faster than the weights: the level of a decision boundary moves first.

Titsias, Galashov, Rannen-Triki, Pascanu, Teh, Bornschein: Kalman Filter for Online Classification of Non-Stationary Data, ICLR 2024.
West, Harrison, Migon: Dynamic generalized linear models and Bayesian forecasting, JASA 80, 1985.

Shapes: N rows, D inputs of the last layer with the constant 1 first, K classes, T targets (1 for two classes, else K), M members.
"""

from __future__ import annotations

import copy
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from driftloop.data.streams import Stream
from driftloop.training import trained_model

# Chosen on ELEC's rows 40 to 70 %, with a network trained on the first 40 %; slow members cost little there, and gain where rows are independent.
LEVEL_VARIANCES: Final = (1e-3, 0.1, 3.0, 30.0)  # of the bias's walk over a block, one member each: a long block outlasts what its last rows tell
WEIGHT_VARIANCE: Final = 1e-3  # of every other weight's walk over UNIT_ROWS rows, for inputs of deviation 1
UNIT_ROWS: Final = 48
PRIOR_VARIANCE: Final = 0.1  # of the trained weights
STEP_ROWS: Final = 12  # learned at once
NEWTON_STEPS: Final = 8
LARGEST_STEP: Final = 2.0  # of a weight in one Newton step: a full step from far away overshoots
LARGEST_VARIANCE: Final = 1e4  # of a weight: rows that say nothing about it must not let it walk for ever
CLOSE: Final = 1e-4  # between the network's probabilities and those of its last layer
DEAD: Final = 1e-6  # deviation of an input that is constant


class LastLayer:
    """The filter of one network's last layer.

    Args:
        model: the trained network; it is copied, never changed.
        stream: the rows.
        known: rows `known[0]`..`known[1]` with labels that the network may learn from: they scale the inputs and are filtered first.
        block_rows: rows that are answered until the next update.
        labelled: which rows have a label, (N,) bool; None: all.

    Raises:
        ValueError: the network is no softmax of its last linear layer; see `fits`.
    """

    def __init__(self, model: Any, stream: Stream, known: tuple[int, int], *, block_rows: int = UNIT_ROWS, labelled: np.ndarray | None = None) -> None:
        if not fits(model, stream, known):
            raise ValueError(f"{type(model).__name__} is no softmax of a last linear layer")
        self.model, self.stream, self.labelled = copy.deepcopy(model), stream, labelled
        self.layer = _last(self.model)
        inputs, _ = _taken(self.model, stream, *known)
        deviation = inputs.std(axis=0)
        self.alive = deviation > DEAD * np.maximum(1, np.abs(inputs.mean(axis=0)))
        self.mean, self.deviation = inputs.mean(axis=0)[self.alive], deviation[self.alive]
        self.weights = np.tile(self._scaled(), (len(LEVEL_VARIANCES), 1, 1))  # (M, T, D)
        members, targets, size = self.weights.shape
        self.covariance = np.tile(PRIOR_VARIANCE * np.eye(size), (members, targets, 1, 1))
        self.walk = np.full((members, 1, size), WEIGHT_VARIANCE / UNIT_ROWS)  # (M, 1, D) per row
        self.walk[:, 0, 0] = np.array(LEVEL_VARIANCES) / block_rows
        self.learn(*known)

    def learn(self, start: int, stop: int) -> Any:
        """Learn the labels of rows `start`..`stop`; return a network with the updated last layer."""
        inputs, _ = _taken(self.model, self.stream, start, stop)
        scaled = np.concatenate([np.ones((len(inputs), 1)), (inputs[:, self.alive] - self.mean) / self.deviation], axis=1)
        labels = self.stream.labels[start:stop]
        if self.labelled is not None:
            scaled, labels = scaled[self.labelled[start:stop]], labels[self.labelled[start:stop]]
        for at in range(0, len(labels), STEP_ROWS):
            self._step(scaled[at : at + STEP_ROWS], labels[at : at + STEP_ROWS])
        return self._with_weights()

    def _step(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        """One update of the posterior of all members."""
        diagonal = np.arange(inputs.shape[1])
        variance = self.covariance[:, :, diagonal, diagonal] + self.walk * len(inputs)
        self.covariance[:, :, diagonal, diagonal] = np.minimum(variance, LARGEST_VARIANCE)
        precision, before = np.linalg.inv(self.covariance), self.weights
        targets = before.shape[1]
        wanted = (labels == 1)[None] if targets == 1 else labels == np.arange(targets)[:, None]  # (T, N)
        weights = before
        for _ in range(NEWTON_STEPS):
            right = _probabilities(weights @ inputs.T)  # (M, T, N)
            gradient = (wanted - right) @ inputs - np.einsum("mtde,mte->mtd", precision, weights - before)
            step = np.linalg.solve(precision + _information(right * (1 - right), inputs), gradient[..., None])[..., 0]
            largest = np.abs(step).max(axis=2, keepdims=True)
            weights = weights + step * np.minimum(1, LARGEST_STEP / np.maximum(largest, 1e-12))
            if largest.max() < 1e-3:
                break
        right = _probabilities(weights @ inputs.T)
        covariance = np.linalg.inv(precision + _information(right * (1 - right), inputs))
        if np.isfinite(weights).all() and np.isfinite(covariance).all():
            self.weights, self.covariance = weights, covariance

    def _scaled(self) -> np.ndarray:
        """The trained layer's weights for scaled inputs, (T, D)."""
        weight, bias = self._trained()
        if len(weight) == 2:
            weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
        live = weight[:, self.alive]
        level = bias + live @ self.mean
        return np.concatenate([level[:, None], live * self.deviation], axis=1)

    def _trained(self) -> tuple[np.ndarray, np.ndarray]:
        bias = self.layer.bias if self.layer.bias is not None else torch.zeros(self.layer.out_features)
        return self.layer.weight.detach().double().numpy(), bias.detach().double().numpy()

    def _with_weights(self) -> Any:
        """A copy of the network whose last layer is the mean over the members."""
        mean = self.weights.mean(axis=0)
        live = mean[:, 1:] / self.deviation
        level = mean[:, 0] - live @ self.mean
        made = copy.deepcopy(self.model)
        layer = _last(made)
        weight, bias = (torch.from_numpy(part.copy()) for part in self._trained())
        alive = torch.from_numpy(np.flatnonzero(self.alive))
        if len(weight) == 2:  # of two classes only the difference matters
            common, common_bias = weight.mean(dim=0), bias.mean()
            difference = weight[1] - weight[0]
            difference[alive] = torch.from_numpy(live[0])
            weight = torch.stack([common - difference / 2, common + difference / 2])
            bias = torch.stack([common_bias - level[0] / 2, common_bias + level[0] / 2])
        else:
            weight[:, alive] = torch.from_numpy(live)
            bias = torch.from_numpy(level)
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        return made.eval()


def fits(model: Any, stream: Stream, known: tuple[int, int]) -> bool:
    """Whether a network's probabilities are the softmax of its last linear layer, which has a bias: then that layer can be filtered."""
    layer = _last(model)
    if not stream.label_names or layer is None or layer.bias is None or layer.out_features != len(stream.label_names) or known[0] >= known[1]:
        return False
    start = max(known[0], known[1] - UNIT_ROWS)
    inputs, logits = _taken(model, stream, start, known[1])
    if inputs.shape != (known[1] - start, layer.in_features):
        return False
    return bool(np.abs(torch.softmax(torch.from_numpy(logits), dim=1).numpy() - trained_model.predict(model, stream, start, known[1])).max() < CLOSE)


def _last(model: Any) -> Any:
    """The last linear layer in the order of the network's modules; None without one."""
    return next((layer for layer in reversed(list(model.modules())) if isinstance(layer, nn.Linear)), None)


def _taken(model: Any, stream: Stream, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """The inputs of the last layer for rows `start`..`stop`, (N, inputs) float64, and its outputs; whatever the layer saw."""
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def see(_: Any, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        seen.append((given[0].detach().double().numpy(), made.detach().double().numpy()))

    hook = _last(model).register_forward_hook(see)
    try:
        trained_model.predict(model, stream, start, stop)
    finally:
        hook.remove()
    if not seen or any(part.ndim != 2 for pair in seen for part in pair):
        return np.empty((0, 0)), np.empty((0, 0))
    return np.concatenate([one for one, _ in seen]), np.concatenate([one for _, one in seen])


def _probabilities(logits: np.ndarray) -> np.ndarray:  # (M, T, N)
    if logits.shape[1] == 1:
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _information(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:  # (M, T, N), (N, D) -> (M, T, D, D)
    return np.asarray((inputs.T * weights[:, :, None, :]) @ inputs)
