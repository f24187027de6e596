"""Plays one retraining policy over a stream, block by block, like the lifecycle: predict, score, apply the rule, retrain.

Labels arrive when a block ends, or some blocks later, and perhaps for a share of the rows only. A retrain is one fit on the newest rows that
have theirs, with fixed parameters, and goes into service with the next block; with judge rows it must first beat the model in service, as in
the lifecycle. Policies that need no labels to decide, such as periodic ones, decide at each block whatever the delay is. What is scored are
always all rows.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop.backtest.fits import Fit, Fits
from driftloop.backtest.online_learner import OnlineLearner, OnlineRegression
from driftloop.backtest.policies import ByCost
from driftloop.data import blocks
from driftloop.data.streams import Stream
from driftloop.drift.rules.rule import Rule
from driftloop.drift.verdict import Verdict
from driftloop.metrics import promotion
from driftloop.metrics.task import CLASSIFICATION, Task
from driftloop.settings import REFERENCE_BLOCKS
from driftloop.training import trained_model
from driftloop.training.online.updating import Updater


@dataclass(frozen=True, eq=False)
class Scene:
    """The common setting of all policies.

    `base` is the model in service at the start, fitted on the rows before the first block; `fits` are the retrains. `judge_rows` 0:
    every retrain goes into service. `doing` measures the KPI. Labels are known `delay` blocks after their block's end, of the rows that are
    `labelled`, (N,) bool; None: of all. A retrain takes `retrain_blocks`: its model answers so many blocks later, and no other begins until then.
    """

    stream: Stream
    cut: tuple[blocks.Block, ...]
    base: Fit
    fits: Fits
    judge_rows: int = 0
    judge_alpha: float = 0.1
    doing: Task = CLASSIFICATION
    delay: int = 0
    labelled: np.ndarray | None = None
    retrain_blocks: int = 0

    def known_until(self, at: int) -> int:
        """The row before which labels are known when a block of `cut` has ended."""
        return self.cut[at - self.delay].stop if at >= self.delay else self.cut[0].start

    def known(self, start: int, stop: int) -> np.ndarray:
        """Which of the rows start..stop ever have a label, (N,) bool."""
        return np.ones(stop - start, bool) if self.labelled is None else self.labelled[start:stop]

    @property
    def block_rows(self) -> int:
        """Rows of the largest block."""
        return max(block.rows for block in self.cut)

    @property
    def labels(self) -> np.ndarray:
        """Class indices or values of the scored rows."""
        return self.stream.labels[self.cut[0].start : self.cut[-1].stop]

    def losses(self, played: Played) -> np.ndarray:
        """What a policy's run makes of the scored rows, as `Task.losses_of`."""
        return self.doing.losses_of(self.labels, played.outputs)

    def stops(self) -> set[int]:
        """The last training rows of all fits that a policy may need."""
        ends = {self.known_until(at) for at in range(self.delay, len(self.cut) - 1)}
        return ends | {max(end - self.judge_rows, self.base.stop) for end in ends} if self.judge_rows else ends


@dataclass(frozen=True)
class Alarm:
    """A rule's alarm at the end of block `block`; the model in service was fitted on rows from `since` on."""

    block: int
    since: int


@dataclass(frozen=True, eq=False)
class Played:
    """A policy's run: the outputs for every scored row, its alarms, the blocks after which it retrained, the fits' seconds."""

    outputs: np.ndarray
    alarms: tuple[Alarm, ...]
    retrains: tuple[int, ...]
    promoted: tuple[int, ...]
    seconds: float


class At(Rule):
    """A rule that retrains after given blocks, unconditionally."""

    name = "at"

    def __init__(self, wanted: Collection[int]) -> None:
        self.wanted, self.block = frozenset(wanted), -1

    def update(self, errors: np.ndarray) -> Verdict:
        """Judge the next block; see `Rule`."""
        self.block += 1
        drift = self.block in self.wanted
        return Verdict(drift=drift, kind="performance" if drift else "none", rule=self.name, message="as planned")

    def reset(self) -> None:
        """Nothing to reset."""


def play(rule: Rule, scene: Scene, *, blind: bool = False) -> Played:
    """Play the policy of a rule. An alarm in the last block triggers no retrain: no block follows.

    Args:
        rule: decides after each block, from the newest one whose labels are known if the model in service answered it.
        scene: the common setting.
        blind: the rule decides without labels, so no delay holds it up.

    Raises:
        SettingsError: a cache entry cannot be written.
    """
    model, seconds, size = scene.base, 0.0, scene.block_rows
    known, outputs = model.at_home()
    learned = scene.doing.losses_of(scene.stream.labels[known], outputs)
    rule.prepare(learned[-REFERENCE_BLOCKS * size :], block_size=size)
    given: list[np.ndarray] = []
    alarms, retrains, promoted = [], [], []
    first = 0  # block that the model in service answered
    coming: tuple[int, Fit] | None = None  # the block from which the next model answers
    for at, block in enumerate(scene.cut):
        if coming and at >= coming[0]:
            (first, model), coming = coming, None
            rule.reset()
        given.append(model.on(block.start, block.stop))
        seen = at if blind else at - scene.delay
        if (seen < first and not blind) or not rule.update(_losses(scene, scene.cut[seen], given[seen])).drift:
            continue
        alarms.append(Alarm(block.index, model.start))
        if block is scene.cut[-1]:
            break
        if coming or scene.known_until(at) <= model.stop:  # no label that the model in service has not learned from
            continue
        challenger, took = _retrain(scene, model, scene.known_until(at))
        seconds += took
        retrains.append(block.index)
        if isinstance(rule, ByCost):
            rule.spent(took, promoted=challenger is not None)
        if challenger is not None:
            coming = at + 1 + scene.retrain_blocks, challenger
            promoted.append(block.index)
    return Played(np.concatenate(given), tuple(alarms), tuple(retrains), tuple(promoted), seconds)


def _losses(scene: Scene, block: blocks.Block, outputs: np.ndarray) -> np.ndarray:
    """What the rule sees of a block: the rows that have a label."""
    known = scene.known(block.start, block.stop)
    return scene.doing.losses_of(scene.stream.labels[block.start : block.stop][known], outputs[known])


def _retrain(scene: Scene, model: Fit, stop: int) -> tuple[Fit | None, float]:
    """The model to put into service, or None; and the seconds of its fits."""
    if not scene.judge_rows:
        fit = scene.fits.at(stop)
        return (None if fit.failure else fit), fit.seconds
    judged_from = max(stop - scene.judge_rows, model.stop)
    challenger = scene.fits.at(judged_from)
    if challenger.failure:
        return None, challenger.seconds
    known = scene.known(judged_from, stop)
    labels = scene.stream.labels[judged_from:stop][known]
    before, after = (scene.doing.losses_of(labels, one.on(judged_from, stop)[known]) for one in (model, challenger))
    verdict = promotion.judge(scene.doing, before, after, start=judged_from, alpha=scene.judge_alpha)
    if not verdict.better:
        return None, challenger.seconds
    fit = scene.fits.at(stop)
    return (None if fit.failure else fit), challenger.seconds + fit.seconds


def play_continuous(learner: OnlineLearner | OnlineRegression, scene: Scene) -> Played:
    """Learn every block as soon as its labels arrive; the rows before the first block are learned in the same steps.

    Each update counts as a retrain. The seconds are those of the updates only, as the base model's are not counted.
    """
    stream, first = scene.stream, scene.cut[0]
    _learn(learner, stream, 0, first.start, step=first.rows)
    given, seconds = [], 0.0
    for at, block in enumerate(scene.cut):
        rows = slice(block.start, block.stop)
        given.append(learner.outputs(stream.rows[rows], stream.times[rows]))
        started = time.perf_counter()
        if block is not scene.cut[-1] and at >= scene.delay:
            arrived = scene.cut[at - scene.delay]
            _learn(learner, stream, arrived.start, arrived.stop, step=arrived.rows, labelled=scene.labelled)
        seconds += time.perf_counter() - started
    updates = tuple(block.index for block in scene.cut[scene.delay : -1])
    return Played(np.concatenate(given), (), updates, updates, seconds)


def play_updated(updater: Updater, model: Any, scene: Scene) -> Played:
    """Update the base model's network on every block as soon as its labels arrive, as `lifecycle.py --policy continuous` does.

    Each update counts as a retrain; the seconds are those of the updates.
    """
    given, seconds = [], 0.0
    for at, block in enumerate(scene.cut):
        given.append(trained_model.predict(model, scene.stream, block.start, block.stop))
        started = time.perf_counter()
        if block is not scene.cut[-1] and at >= scene.delay:
            arrived = scene.cut[at - scene.delay]
            model = updater.learn(arrived.start, arrived.stop)
        seconds += time.perf_counter() - started
    updates = tuple(block.index for block in scene.cut[scene.delay : -1])
    return Played(np.concatenate(given), (), updates, updates, seconds)


def _learn(learner: OnlineLearner | OnlineRegression, stream: Stream, start: int, stop: int, *, step: int, labelled: np.ndarray | None = None) -> None:
    """Learn rows start..stop in steps of at most a day, if known: the weights also move inside a long block."""
    for part in blocks.cut(start, stop, block_size=min(step, stream.period or step, learner.most_rows or step, stop - start)):
        rows = np.arange(part.start, part.stop)
        rows = rows if labelled is None else rows[labelled[rows]]
        if len(rows):
            learner.learn(stream.rows[rows], stream.labels[rows], stream.times[rows])


def evenly(retrains: int, blocks_total: int, *, phase: float) -> tuple[int, ...]:
    """The blocks after which a periodic policy with this many retrains makes them, out of all but the last block.

    `phase`, in [0, 1), is the share of the first period before the first retrain.

    >>> evenly(2, 9, phase=0), evenly(2, 9, phase=0.5), evenly(8, 9, phase=0.5)
    ((0, 4), (2, 6), (0, 1, 2, 3, 4, 5, 6, 7))
    """
    return tuple(int((at + phase) * (blocks_total - 1) / retrains) for at in range(retrains))


def at_random(retrains: int, blocks_total: int, *, seed: int) -> tuple[int, ...]:
    """As `evenly`, at random."""
    chosen: Sequence[int] = np.random.default_rng(seed).choice(blocks_total - 1, size=retrains, replace=False).tolist()
    return tuple(sorted(chosen))
