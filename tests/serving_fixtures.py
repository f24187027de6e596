"""What the tests of archiving, serving and swapping share: small models, their archives, one real TorchServe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from driftloop.archive import build_mar
from driftloop.torchserve import TorchServe
from elec_model import ElecModel

ROOT = Path(__file__).resolve().parent.parent
HANDLER = ROOT / "handler.py"
FEATURES = ["period", "nswprice", "nswdemand"]

# A worker loads this in half the time of the Lightning module: for tests of serving, not of the model.
# A first value over 1000 makes it take so many seconds more.
LIGHT_MODEL = """
import numpy as np
import torch


class LightModel(torch.nn.Module):
    def __init__(self, *, features, classes=2, history=0):
        super().__init__()
        self.layer = torch.nn.Linear(features, classes)

    @torch.inference_mode()
    def probabilities(self, rows, *, first=0):
        time.sleep(max(0.0, float(rows[first, 0]) - 1000))
        return torch.softmax(self.layer(torch.tensor(np.array(rows[first:], dtype=np.float32))), dim=1).numpy()
"""


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


def some_rows(count: int, *, seed: int = 1) -> np.ndarray:
    """(count, F) values like ELEC's: decimals between 0 and 1."""
    return np.random.default_rng(seed).random((count, len(FEATURES))).round(6)


@pytest.fixture(scope="session")
def light_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], SmallModel]:
    """A light model for each seed."""
    file = tmp_path_factory.mktemp("light") / "light_model.py"
    file.write_text(LIGHT_MODEL, encoding="utf-8")
    namespace: dict[str, Any] = {}
    exec(compile(LIGHT_MODEL, str(file), "exec"), namespace)

    def build(seed: int) -> SmallModel:
        torch.manual_seed(seed)
        return SmallModel(namespace["LightModel"](features=len(FEATURES)), file, {"features": len(FEATURES), "classes": 2, "history": 0})

    return build


@pytest.fixture(scope="session")
def model_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model_store")


@pytest.fixture(scope="session")
def torchserve(model_store: Path) -> Iterator[TorchServe]:
    """One real TorchServe for the whole session; tests use model names of their own."""
    with TorchServe(model_store) as server:
        yield server
