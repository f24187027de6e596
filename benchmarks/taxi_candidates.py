"""Other ways to build and to fit the taxi model, each one change away from the one that is served: what `benchmarks.taxi_choice` chooses between."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from driftloop.training import Learner
from examples.nyc_taxi import taxi_model
from examples.nyc_taxi.defaults import DEFAULTS
from examples.nyc_taxi.learner import BASE_PARAMS, TAXI
from examples.nyc_taxi.taxi_model import TaxiModel

AVERAGED_SHARE = 1 / 3  # of the steps of a fit, the last ones
DROPPED = 0.1


class Averaged(TaxiModel):
    """Its weights are the mean of those after each of the last third of the steps (Polyak and Juditsky 1992)."""

    def on_fit_start(self) -> None:
        """Begin the sums."""
        self.sums, self.steps = [torch.zeros_like(weight) for weight in self.parameters()], 0

    @torch.no_grad()
    def on_train_batch_end(self, *_: Any) -> None:
        """Add the weights, near the end."""
        if self.global_step > (1 - AVERAGED_SHARE) * self.trainer.estimated_stepping_batches:
            self.steps += 1
            for total, weight in zip(self.sums, self.parameters(), strict=True):
                total.add_(weight)

    @torch.no_grad()
    def on_train_end(self) -> None:
        """Take the means."""
        for total, weight in zip(self.sums, self.parameters(), strict=True):
            weight.copy_(total / self.steps)


class Wide(TaxiModel):
    """A linear part beside the network: an offset and a slope in the logarithm of the distance for each key of a trip."""

    keys = 2 * taxi_model.ZONES

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.wide = nn.Embedding(self.keys, 2)
        nn.init.zeros_(self.wide.weight)

    def _keys(self, zones: Tensor) -> Tensor:  # (B, 2) -> (B, K)
        return zones + torch.tensor([0, taxi_model.ZONES])

    def of_members(self, windows: Tensor) -> Tensor:
        """Minutes of each trip by each member, times what the linear part says."""
        zones = windows[:, -1, :2].round().long().clamp(0, taxi_model.ZONES - 1)
        offset, slope = self.wide(self._keys(zones)).sum(dim=1).T
        miles = windows[:, -1, 2].clamp(min=taxi_model.NEAREST_MILES)
        return super().of_members(windows) * torch.exp(self.spread * (offset + slope * miles.log()))[:, None]


class WidePairs(Wide):
    """The linear part has a key for each pair of zones."""

    keys = taxi_model.ZONES**2

    def _keys(self, zones: Tensor) -> Tensor:
        return zones[:, :1] * taxi_model.ZONES + zones[:, 1:]


class Waves(nn.Module):
    """Four sines and cosines of the hour in the place of an embedding."""

    def forward(self, hour: Tensor) -> Tensor:  # (B,) -> (B, 4)
        """Once and twice a day."""
        angle = 2 * math.pi * hour[:, None] * torch.tensor([1, 2]) / taxi_model.HOURS
        return torch.cat([angle.sin(), angle.cos()], dim=1)


class Fourier(TaxiModel):
    """The hour as waves; the hour of the week stays an embedding."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.hour = Waves()  # type: ignore[assignment]


class Dropout(TaxiModel):
    """A tenth of the units of each hidden layer is left out at each step."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for at, head in enumerate(self.heads):
            assert isinstance(head, nn.Sequential)
            self.heads[at] = nn.Sequential(*(nn.Sequential(layer, nn.Dropout(DROPPED)) if isinstance(layer, nn.ReLU) else layer for layer in head))


@dataclass(frozen=True)
class Candidate:
    """What one candidate has of its own."""

    learner: Learner = TAXI
    params: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = DEFAULTS["max_epochs"]

    @property
    def all_params(self) -> dict[str, Any]:
        """Those of one network with this candidate's."""
        return {**BASE_PARAMS, "members": 1, "weight_decay": 1e-5, **self.params}


def _of(model: type[TaxiModel]) -> Candidate:
    return Candidate(replace(TAXI, model=model))


ONE = "one network"
CANDIDATES: Mapping[str, Candidate] = {
    ONE: Candidate(),
    "weights averaged over the last third of the steps": _of(Averaged),
    "mean of four networks": Candidate(params={"members": 4}),
    "wide part: offset and slope by zone": _of(Wide),
    "wide part: offset and slope by pair of zones": _of(WidePairs),
    "hour as waves": _of(Fourier),
    "dropout 0.1": _of(Dropout),
    "weight decay 0.1": Candidate(params={"weight_decay": 0.1}),
    "width 128": Candidate(params={"width": 128}),
    "12 epochs": Candidate(epochs=2 * DEFAULTS["max_epochs"]),
    "mean of four networks, weight decay 0.1": Candidate(params={"members": 4, "weight_decay": 0.1}),
}
