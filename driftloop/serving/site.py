"""Puts trained models on TorchServe: archive, register, verify, swap."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from driftloop.data.schema.schema import Column
from driftloop.data.streams import Stream
from driftloop.errors import DriftloopError, ServingError, UnansweredError
from driftloop.metrics import task
from driftloop.serving import archive, exclusive, golden, states, swap
from driftloop.serving.golden import Golden
from driftloop.serving.torchserve import Ports, TorchServe, TorchServeClient, archive_folder, find_java_home
from driftloop.serving.torchserve_client import ServedAnswer
from driftloop.tracking.mlflow_store import Store
from driftloop.tracking.promotions import promotion_log
from driftloop.tracking.promotions.promotion_log import Promotion
from driftloop.tracking.registry import CHAMPION, Registry
from driftloop.training import mlflow_text
from driftloop.training.fitting import Learner
from driftloop.training.trained_model import KnownModel

GOLDEN_ROWS = 8  # golden predictions that a new version must match before it takes traffic
ATTEMPTS = 3  # attempts to have a block answered when the worker or the server dies
COME_BACK_S = 60.0  # wait for a server that ended
POLL_S = 0.2


@dataclass(frozen=True)
class Site:
    """A TorchServe to serve on: its client, and the folder for archives and the swap journal.

    `revive` restarts our own server after it has ended, and returns its client; None for an external server.
    """

    client: TorchServeClient
    folder: Path
    revive: Callable[[], TorchServeClient] | None = None


class TorchServeDeployment:
    """One model name on one TorchServe; its default version serves.

    Args:
        site: the TorchServe.
        name: name of the model in TorchServe and in the registry.
        learner: how models are built and packed.
        stream: the rows on which a version is verified.
        registry: the registry of our runs and versions.
        restore: returns the registry's model of a version, None if none fits the stream.
        take_over: whether someone else's model under the name may be replaced.
        workers: processes for each version.
        script: of whom the promotion log says that it decided.
        updatable: whether versions are served so that `update` can replace their weights in place.
    """

    def __init__(
        self,
        site: Site,
        *,
        name: str,
        learner: Learner,
        stream: Stream,
        registry: Registry,
        restore: Callable[[str], KnownModel | None],
        take_over: bool = False,
        workers: int = 1,
        script: str = "",
        updatable: bool = False,
    ) -> None:
        self.updatable, self.updates = updatable, 0
        self.site, self.client, self.name, self.learner, self.stream = site, site.client, name, learner, stream
        self.registry, self.restore, self.take_over, self.workers = registry, restore, take_over, workers
        self.script = script
        self.served: KnownModel | None = None  # the model we deployed

    @property
    def journal(self) -> Path:
        """The journal that lets the next start recover an interrupted swap."""
        return self.site.folder / f"swap-{self.name}.json"

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the server gets values of as they are; none for a learner that takes numbers only."""
        return self.stream.columns if self.learner.values_as_they_are else ()

    def predict(self, rows: np.ndarray, context: np.ndarray) -> tuple[np.ndarray, str]:
        """Class probabilities (rows, K) or values (rows,) from the default version, and which version that was.

        If a worker or server ends meanwhile, waits and retries: predictions are idempotent.

        Raises:
            ServingError: it died each time, did not come back, or someone else's model answered.
        """
        answer = self._retried(lambda: self.client.predict(rows, name=self.name, context=context, columns=self.columns))
        if self.served and not answer.run_ids <= {self.served.run_id, ""}:
            raise ServingError(
                f"version {answer.version} of run {', '.join(answer.run_ids)} answered, not of run {self.served.run_id}: another store deployed there"
            )
        return answer.probabilities, answer.version

    def _retried(self, ask: Callable[[], ServedAnswer]) -> ServedAnswer:
        for _ in range(1, ATTEMPTS):
            try:
                return ask()
            except UnansweredError as exc:
                self._wait_until_served(exc)
        try:
            return ask()
        except UnansweredError as exc:
            raise ServingError(f"no answer in {ATTEMPTS} attempts ({exc}): check these rows and TorchServe's log") from exc

    def _wait_until_served(self, error: UnansweredError) -> None:
        """Wait for the server and its worker; deploy our model again on a restarted server, which has none."""
        end = time.monotonic() + COME_BACK_S
        while not self.client.healthy():
            if time.monotonic() > end:
                raise ServingError(f"TorchServe exited and did not come back within {COME_BACK_S:.0f} s: {error}") from error
            if self.site.revive:
                self.client = self.site.revive()
            time.sleep(POLL_S)
        default = self.client.default_version(name=self.name)
        if default is not None:
            self.client.wait_ready(name=self.name, version=default)
        elif self.served is not None:
            self._swap_in(self.served, before=None, move_alias=lambda: None)
        else:
            raise error

    def check_owner(self) -> None:
        """Refuse to replace someone else's model served under our name, unless we may take it over.

        Raises:
            ServingError: the default version is not of a run in our store.
        """
        default = self.client.default_version(name=self.name)
        if default is None or self.take_over or self._is_ours(default):
            return
        raise ServingError(
            f"{self.name} version {default} at {self.client.inference_url} belongs to another project or an earlier MLflow store: "
            "give another --register_model_name, or --take_over to replace it"
        )

    def _is_ours(self, version: str) -> bool:
        run_id = swap.run_of(self.client, name=self.name, version=version)
        if run_id:
            return self.registry.knows(run_id)
        known = self.restore(version)  # an archive of an early driftloop has no run id, but its answers identify it
        return known is not None and self._answer_of(known) is not None

    def _answer_of(self, model: KnownModel) -> ServedAnswer | None:
        """The answer of the served version with the model's number, if it answers like the model."""
        try:
            return golden.prove(self.client, self._golden(model), name=self.name, version=model.version, run_ids={"", model.run_id})
        except ServingError:
            return None

    def has_room_for(self, model: KnownModel) -> bool:
        """Whether the model can be served under its version number, or already is."""
        if model.version not in self.client.versions(name=self.name):
            return True
        if self.client.default_version(name=self.name) != model.version:
            return False
        if swap.run_of(self.client, name=self.name, version=model.version) not in {model.run_id, ""}:
            return False
        answer = self._answer_of(model)
        return answer is not None and (bool(answer.updates) or not self.updatable)  # a version without `updates` cannot be updated: serve it again

    def put(self, model: KnownModel, *, move_alias: Callable[[], None], decision: str = "") -> None:
        """Archive a version, load it, verify it by golden predictions, make it the default; drain and remove the old one.

        Raises:
            ArchiveError, ServingError: it failed; the previous version keeps serving.
        """
        before = self.client.default_version(name=self.name)
        if before == model.version and self.has_room_for(model):
            move_alias()
        else:
            self._swap_in(model, before=before, move_alias=move_alias, decision=decision)
        self.served = model

    def owner(self) -> AbstractContextManager[None]:
        """While held, no other process that asks for it watches this model or rolls it back.

        Raises:
            ServingError: another process holds it.
        """
        taken = f"another process watches {self.name} at {self.client.inference_url} or rolls it back: wait until it has ended, or stop it"
        return exclusive.alone(self.site.folder / f"owner-{self.name}.lock", taken=taken)

    def update(self, model: KnownModel) -> None:
        """Replace the weights of the version in service by those of `model`, the same version with newer ones; verify it by golden predictions.

        No version is registered, and no request waits: see `states`.

        Raises:
            ServingError: the weights cannot be written, the server does not take them, or it answers wrongly.
        """
        where = self._states(model)
        self.updates += 1
        states.write(where, model.model.state_dict(), update=self.updates, run_id=model.run_id)
        self.served = model
        known = self._golden(model)
        try:
            self._retried(lambda: golden.prove(self.client, known, name=self.name, version=model.version, run_ids={model.run_id}))
        except ServingError as exc:
            raise ServingError(
                f"{self.name} {model.version} at {self.client.inference_url} did not take update {self.updates} from {where}: {exc}; "
                "its workers must see that folder: start TorchServe on this machine's file system, or give another --policy"
            ) from exc

    def _states(self, model: KnownModel) -> Path:
        return states.folder(self.site.folder, name=self.name, version=model.version, run_id=model.run_id)

    def _swap_in(self, model: KnownModel, *, before: str | None, move_alias: Callable[[], None], decision: str = "") -> None:
        if self.updatable:
            states.drop(self._states(model))
        known = {key: model.card[key] for key in (archive.CARD_KEYS | {"task", "columns"}) & model.card.keys() - {"version"}}
        mar = archive.build_mar(
            name=self.name,
            version=model.version,
            card=known | {"version": model.version, "run_id": model.run_id} | ({"updates": str(self._states(model))} if self.updatable else {}),
            state_dict=model.model.state_dict(),
            model_file=self.learner.model_file,
            handler_file=self.learner.handler_file,
            store=self.site.folder,
            workers=self.workers,
        )
        swap.swap_in(
            self.client,
            mar=mar,
            name=self.name,
            version=model.version,
            run_id=model.run_id,
            previous_version=before,
            known=self._golden(model),
            journal=self.journal,
            move_alias=move_alias,
            decision=decision,
        )
        mar.unlink(missing_ok=True)  # unpacked by the server; its parts are in the MLflow run
        states.drop_others(self.site.folder, name=self.name, keep=self._states(model) if self.updatable else None)

    def _golden(self, model: KnownModel) -> Golden:
        """The model's newest training rows, with unusual ones where it takes them, and its local answers to them."""
        stop = model.trained[1]
        first = max(0, stop - GOLDEN_ROWS)
        context = self.stream.rows[max(0, first - model.params["history"]) : first]
        rows, columns = self.stream.rows[first:stop], self.columns
        if columns:
            rows, columns = golden.with_unusual(rows, columns)
        outputs = task.of(self.stream.task).outputs(model.model, np.concatenate([context, rows]), first=len(context))
        return Golden(rows, context, outputs, columns)


def promote(registry: Registry, serving: TorchServeDeployment, winner: KnownModel, *, decision: Promotion, store: Store, stream: Stream) -> KnownModel:
    """Register a model if needed, describe it, swap it in, and move the aliases as part of the swap, which logs the decision.

    If the server has another model under the version number, the model is registered under a free one.

    Raises:
        ServingError: someone else's model is served under the name, and nothing was registered; or the swap failed, the old
            version keeps serving and the new one is withdrawn.
        TrackingError: the store failed; the new version is withdrawn.
    """
    serving.check_owner()
    version = winner.version or registry.version_of(winner.run_id)
    made: list[str] = []
    try:
        while version is None or not serving.has_room_for(winner.numbered(version)):
            version = registry.register(source=winner.uri, run_id=winner.run_id)
            made.append(version)
        for taken in made[:-1]:
            registry.forget(taken)
        winner = winner.numbered(version)
        if made:
            describe(registry, winner, reason=decision.why, store=store, stream=stream)
        decision = replace(decision, before=registry.holder(CHAMPION) or "", after=winner.version, run_id=winner.run_id)
        serving.put(winner, move_alias=lambda: promotion_log.carry_out(registry, decision), decision=decision.text())
    except DriftloopError as exc:  # on any failure the version loses its alias
        if version:
            registry.withdraw(version, reason=f"not swapped in: {exc}")
            promotion_log.refuse(registry, decision, why=f"not swapped in: {exc}")
        raise
    return winner


def describe(registry: Registry, known: KnownModel, *, reason: str, store: Store, stream: Stream) -> None:
    """Describe the version, its promotion, and the registered model in the registry."""
    mlflow_text.describe_model(registry, stream)
    mlflow_text.describe_version(store, registry, known.version, run_id=known.run_id, reason=reason)


def check_server(*, url: str | None, ports: Ports | None) -> None:
    """Check early that `torchserve` will be able to serve.

    Raises:
        ServingError: no TorchServe answers at `url`, or a port for ours is taken.
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
        raise ServingError(f"--torchserve_url {url}: no TorchServe answers there; start it, or omit the flag to have one started")
    return client


@contextmanager
def torchserve(*, url: str | None, ports: Ports | None) -> Iterator[Site]:
    """The running TorchServe at `url`, else one of our own that ends with us.

    Raises:
        ServingError: no TorchServe answers at `url`, or ours did not start.
        JavaMissingError: there is no Java for ours.
    """
    if url:
        client = _running(url)
        # The journal outlives us, like that server.
        folder = archive_folder(url)
        folder.mkdir(parents=True, exist_ok=True)
        yield Site(client, folder)
        return
    with tempfile.TemporaryDirectory(prefix=f"driftloop-mar-{os.getpid()}-") as made, TorchServe(Path(made), ports=ports) as server:
        yield Site(server.client, Path(made), server.revive)
