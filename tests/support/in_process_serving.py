"""A deployment without a server: the version in service answers in this process. What a swap does is tested elsewhere; this is for whole watches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from driftloop.cli.script_flags import ServedFlags
from driftloop.data.streams import Stream
from driftloop.metrics import task
from driftloop.tracking.registry import Registry
from driftloop.training.trained_model import KnownModel
from driftloop.watch import deployment
from driftloop.watch.preparation import Work


class InProcessServing:
    """The part of a `TorchServeDeployment` that a watch and a promotion see."""

    def __init__(self, stream: Stream, registry: Registry) -> None:
        self.stream, self.registry, self.script = stream, registry, "a test"
        self.served: KnownModel | None = None
        self.swaps: list[str] = []  # the versions put into service
        self.client = SimpleNamespace(inference_url="http://in.process")

    def check_owner(self) -> None:
        """Everything is ours."""

    def has_room_for(self, model: KnownModel) -> bool:
        return True

    def put(self, model: KnownModel, *, move_alias: Callable[[], None], decision: str = "") -> None:
        move_alias()
        self.served = model
        self.swaps.append(model.version)

    def owner(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def predict(self, rows: np.ndarray, context: np.ndarray) -> tuple[np.ndarray, str]:
        assert self.served is not None
        outputs = task.of(self.stream.task).outputs(self.served.model, np.concatenate([context, rows]), first=len(context))
        return outputs, self.served.version


@pytest.fixture
def without_server(monkeypatch: pytest.MonkeyPatch) -> list[InProcessServing]:
    """Scripts serve in this process instead of on TorchServe; the deployments that they make."""
    made: list[InProcessServing] = []

    def served_by(work: Work, args: ServedFlags, _: None) -> InProcessServing:
        made.append(InProcessServing(work.stream, Registry(work.store.client, args.register_model_name)))
        return made[-1]

    monkeypatch.setattr(deployment, "torchserve", lambda **_: contextlib.nullcontext())
    monkeypatch.setattr(deployment, "check_server", lambda **_: None)
    monkeypatch.setattr(deployment, "served_by", served_by)
    return made
