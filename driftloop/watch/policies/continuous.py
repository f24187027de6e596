"""The policy `continuous`: the version in service learns each block's labels after that block was scored, and answers the next one with them.

Its weights are replaced in place (`driftloop.serving.states`), so that a block costs neither a new version nor a swap. At the end of the watch,
and every `--every` blocks if that is given, they are logged, registered and swapped in as a version of their own. Of these versions the
champion and the one before it stay; older ones of the same watch are deleted with their runs (`mlflow gc` frees the room). After a crash the next start
serves the newest registered version.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.errors import TrainingError
from driftloop.metrics.results import RetrainRecord
from driftloop.report import descriptions, wording
from driftloop.serving.site import TorchServeDeployment, promote
from driftloop.tracking import mlflow_store, runs
from driftloop.tracking.registry import Registry
from driftloop.training import datasets, mlflow_text, trained_model
from driftloop.training.fitting import Fitted, Learner
from driftloop.training.online.updating import updater
from driftloop.training.trained_model import KnownModel
from driftloop.watch.promoting import decisions

KEPT = 2  # versions of a watch: the champion and the one before


@dataclass(frozen=True)
class Tools:
    """What a watch works with."""

    store: mlflow_store.Store
    learner: Learner
    stream: Stream
    serving: TorchServeDeployment
    registry: Registry
    base_run_id: str


class Continuous:
    """Updates the version in service, block by block.

    Args:
        tools: of the watch.
        champion: the version in service.
        block_rows: rows of the largest block.
        seed: of the updates that draw anything.
    """

    def __init__(self, tools: Tools, champion: KnownModel, *, block_rows: int, seed: int) -> None:
        self.tools, self.champion = tools, champion
        self.updater = updater(tools.learner, tools.stream, champion, block_rows=block_rows, seed=seed)
        self.updates = self.unregistered = self.failed = 0
        self.learning_seconds = self.serving_seconds = 0.0
        self.versions: list[str] = []  # registered in this watch

    def learn(self, block: Block) -> KnownModel:
        """Learn a scored block's labels; return the version in service as it answers from now on.

        An update that diverges is left out.

        Raises:
            ServingError: the server does not take the update.
        """
        started = time.monotonic()
        try:
            model = self.updater.learn(block.start, block.stop)
        except TrainingError:
            self.failed += 1
            return self.champion
        learned = time.monotonic()
        updated = replace(self.champion, model=model, trained=(self.champion.trained[0], block.stop))
        self.tools.serving.update(updated)
        self.champion = updated
        self.updates, self.unregistered = self.updates + 1, self.unregistered + 1
        self.learning_seconds += learned - started
        self.serving_seconds += time.monotonic() - learned
        return updated

    def register(self, block: Block, *, kpi_name: str) -> RetrainRecord:
        """Log, register and swap in the version in service as it answers after a block; `champion` is then that version.

        Raises:
            ServingError, TrackingError: as `site.promote`.
        """
        tools, before, started = self.tools, self.champion, time.monotonic()
        words = f"{wording.count(self.unregistered, 'update')} since the last registered version, each after its block was scored"
        with mlflow_store.run(tools.store, f"continuous updates to block {block.index}", role="retrain", parent_run_id=tools.base_run_id) as run_id:
            mlflow_store.set_tags({"driftloop.reason": "policy continuous", "driftloop.decision": words})
            fitted = Fitted(before.model, before.params, before.trained, {}, self.learning_seconds)
            winner = trained_model.record(fitted, learner=tools.learner, stream=tools.stream, run_id=run_id, earlier=before.card)
            datasets.log(tools.stream, {"training": winner.trained})
            record = self._record(block, before, run_id=run_id, decision=words, kpi_name=kpi_name)
            trained = descriptions.rows(*winner.trained, tools.stream.times)
            mlflow_text.describe_run(tools.store, run_id, descriptions.retrained(record, trained=trained, judged="no rows: each block was scored first"))
        decision = decisions.of_retrain(record, script=tools.serving.script, alpha=math.nan)
        winner = promote(tools.registry, tools.serving, winner, decision=decision, store=tools.store, stream=tools.stream)
        self.champion, self.unregistered = winner, 0
        self.versions.append(winner.version)
        self._forget_old()
        return replace(record, version=winner.version, seconds=time.monotonic() - started)

    @property
    def figures(self) -> dict[str, float]:
        """The number of updates and their seconds, as metrics of a run."""
        return {
            "updates": self.updates,
            "updates_failed": self.failed,
            "update_learning_seconds": self.learning_seconds,
            "update_serving_seconds": self.serving_seconds,
        }

    def _record(self, block: Block, before: KnownModel, *, run_id: str, decision: str, kpi_name: str) -> RetrainRecord:
        times = self.tools.stream.times
        return RetrainRecord(
            block=block.index,
            row=block.stop,
            timestamp=str(times[block.stop - 1].astype("datetime64[s]")),
            reason="the policy continuous registers the version in service",
            promoted=True,
            decision=decision,
            params=dict(before.params),
            champion_params=dict(before.params),
            judge_rows=0,
            p_value=math.nan,
            trials=0,
            seconds=math.nan,
            run_id=run_id,
            task=self.tools.stream.task,
            kpi_name=kpi_name,
            policy="continuous",
        )

    def _forget_old(self) -> None:
        for version in self.versions[:-KEPT]:
            run_id = self.tools.registry.run_of(version)
            self.tools.registry.forget(version)
            runs.delete(self.tools.store, run_id)
        self.versions = self.versions[-KEPT:]
