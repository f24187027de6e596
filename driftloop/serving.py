"""Put trained models behind TorchServe: archive, register, prove, swap."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from driftloop import archive, models, story, swap
from driftloop.errors import ServingError
from driftloop.models import KnownModel
from driftloop.registry import Registry
from driftloop.streams import Stream
from driftloop.torchserve import Ports, TorchServe, TorchServeClient, find_java_home
from driftloop.tracking import Store
from driftloop.training import Learner

GOLDEN_ROWS = 8  # predictions that a new version must get right before it takes traffic


class Serving(Protocol):
    """What answers requests: a server with one default version of the model."""

    def predict(self, rows: np.ndarray, context: np.ndarray) -> tuple[np.ndarray, str]:
        """Class probabilities (rows, K) or values (rows,), and the version that gave them."""

    def put(self, model: KnownModel, *, move_alias: Callable[[], None]) -> None:
        """Serve a version in the place of the one served now, without losing a request."""


class TorchServeDeployment:
    """One model name on one TorchServe; its default version answers.

    `folder` holds the archives and the journal of the swap under way.
    """

    def __init__(self, client: TorchServeClient, *, name: str, learner: Learner, stream: Stream, folder: Path, workers: int = 1) -> None:
        self.client, self.name, self.learner, self.stream, self.folder, self.workers = client, name, learner, stream, folder, workers

    @property
    def journal(self) -> Path:
        """The file that tells the next start of a swap that was cut off."""
        return self.folder / f"swap-{self.name}.json"

    def predict(self, rows: np.ndarray, context: np.ndarray) -> tuple[np.ndarray, str]:
        """Class probabilities (rows, K) or values (rows,) from the default version, and which version that was."""
        answer = self.client.predict(rows, name=self.name, context=context)
        return answer.probabilities, answer.version

    def put(self, model: KnownModel, *, move_alias: Callable[[], None]) -> None:
        """Archive a version, load it, prove it by golden predictions, make it the default; drain and remove the old one.

        Raises:
            ArchiveError, ServingError: it could not be; what was served before is served still.
        """
        before = self.client.default_version(name=self.name)
        if before == model.version:
            move_alias()
            return
        mar = archive.build_mar(
            name=self.name,
            version=model.version,
            card={key: model.card[key] for key in (archive.CARD_KEYS | {"task"}) & model.card.keys() - {"version"}} | {"version": model.version},
            state_dict=model.model.state_dict(),
            model_file=self.learner.model_file,
            handler_file=self.learner.handler_file,
            store=self.folder,
            workers=self.workers,
        )
        stop = model.trained[1]
        first = max(0, stop - GOLDEN_ROWS)
        swap.swap_in(
            self.client,
            mar=mar,
            name=self.name,
            version=model.version,
            previous_version=before,
            golden_rows=self.stream.rows[first:stop],
            golden_context=self.stream.rows[max(0, first - model.params["history"]) : first],
            golden_probabilities=models.predict(model.model, self.stream, first, stop),
            journal=self.journal,
            move_alias=move_alias,
        )
        mar.unlink(missing_ok=True)  # unpacked by the server; the run in MLflow holds what it was made of


def promote(registry: Registry, serving: Serving, winner: KnownModel, *, reason: str, store: Store, stream: Stream) -> KnownModel:
    """Register a model unless it is, describe it, swap it in, and move the aliases as part of the swap.

    Raises:
        ServingError: the swap failed; the old version goes on serving and the new one is withdrawn.
    """
    there = registry.version_of(winner.run_id)
    version = there or registry.register(source=winner.uri, run_id=winner.run_id)
    winner = winner.numbered(version)
    if not there:
        describe(registry, winner, reason=reason, store=store, stream=stream)
    try:
        serving.put(winner, move_alias=lambda: registry.promote(version, reason=reason))
    except ServingError as exc:
        registry.withdraw(version, reason=f"not swapped in: {exc}")
        raise
    return winner


def describe(registry: Registry, known: KnownModel, *, reason: str, store: Store, stream: Stream) -> None:
    """Say in the registry what a version is and why it is there, and of the registered model what it is."""
    story.describe_model(registry, stream)
    story.describe_version(store, registry, known.version, run_id=known.run_id, reason=reason)


def check_server(*, url: str | None, ports: Ports | None) -> None:
    """Refuse what `torchserve` could not serve on, before the work that leads there.

    Raises:
        ServingError: none answers at `url`, or a port for ours is taken.
        JavaMissingError: there is no Java for ours.
    """
    if url:
        _running(url)
        return
    find_java_home()
    if ports:
        ports.check()


def _running(url: str) -> TorchServeClient:
    client = TorchServeClient.from_url(url)
    if not client.healthy():
        raise ServingError(f"--torchserve_url {url}: no TorchServe answers there; start it, or leave the flag out to have one started")
    return client


@contextmanager
def torchserve(*, url: str | None, ports: Ports | None) -> Iterator[tuple[TorchServeClient, Path]]:
    """A TorchServe and the folder for its archives: the running one at `url`, else one of our own that ends with us.

    Raises:
        ServingError: none answers at `url`, or ours did not start.
        JavaMissingError: there is no Java for ours.
    """
    if url:
        client = _running(url)
        # The journal outlives us, as that server does.
        folder = Path(".driftloop") / url.split("//")[-1].strip("/").replace(":", "-")
        folder.mkdir(parents=True, exist_ok=True)
        yield client, folder
        return
    with tempfile.TemporaryDirectory(prefix=f"driftloop-mar-{os.getpid()}-") as made, TorchServe(Path(made), ports=ports) as server:
        yield server.client, Path(made)
