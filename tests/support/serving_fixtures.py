"""What the tests of archiving, serving and swapping share: small models, their archives, one real TorchServe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from light_model import LightModel

from driftloop.serving.archive import build_mar
from driftloop.serving.torchserve import TorchServe
from driftloop.settings import ROOT
from elec_model import ElecModel

HANDLER = ROOT / "handler.py"
FEATURES = ["period", "nswprice", "nswdemand"]


@dataclass(frozen=True)
class SmallModel:
    """A model with random weights, and how to pack it."""

    model: Any
    file: Path
    arguments: dict[str, Any]

    def card(self, version: str) -> dict[str, Any]:
        return {
            "class": type(self.model).__name__,
            "module": self.file.name,
            "arguments": self.arguments,
            "features": FEATURES,
            "labels": [0, 1],
            "version": version,
        }

    def archive(self, store: Path, version: str, *, name: str = "light", **changes: Any) -> Path:
        parts = {
            "card": self.card(version),
            "state_dict": self.model.state_dict(),
            "model_file": self.file,
            "handler_file": HANDLER,
        }
        return build_mar(name=name, version=version, store=store, **{**parts, **changes})


def elec_model(*, history: int = 0, seed: int = 0) -> SmallModel:
    """The real model, with a scale learned from random rows."""
    torch.manual_seed(seed)
    arguments = {"features": len(FEATURES), "classes": 2, "history": history}
    model = ElecModel(**arguments)
    model.learn_scale(some_rows(500, seed=seed))
    return SmallModel(model, ROOT / "elec_model.py", arguments)


def light_model(*, seed: int = 0) -> SmallModel:
    torch.manual_seed(seed)
    arguments = {"features": len(FEATURES), "classes": 2, "history": 0}
    return SmallModel(LightModel(**arguments), ROOT / "tests" / "support" / "light_model.py", arguments)


def some_rows(count: int, *, seed: int = 1) -> np.ndarray:
    """(count, F) values like ELEC's: decimals between 0 and 1."""
    return np.random.default_rng(seed).random((count, len(FEATURES))).round(6)


@pytest.fixture(scope="session")
def model_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model_store")


@pytest.fixture(scope="session")
def torchserve(model_store: Path) -> Iterator[TorchServe]:
    """One real TorchServe for the whole session; tests use model names of their own."""
    server = TorchServe(model_store)
    try:
        yield server.start()
    finally:
        server.close(grace_s=0)  # nothing is in flight any more
