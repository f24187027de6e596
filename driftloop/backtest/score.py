"""Scores a policy: its figures, its alarms against the known changes, and baselines with as many retrains without a trigger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from driftloop.backtest.outcome import Comparison, PolicyResult, difference
from driftloop.backtest.play import Alarm, At, Played, Scene, at_random, evenly, play
from driftloop.backtest.policies import Policy
from driftloop.data.blocks import Block
from driftloop.data.synthetic import Change
from driftloop.metrics import kpi, scoring

PHASES = 8  # phases of the periodic baseline: a calendar's phase is arbitrary


@dataclass(frozen=True)
class Detection:
    """Alarms against the truth; `delays` has one entry, in blocks, for each detected change."""

    false_alarms: int
    delays: tuple[int, ...]
    missed: int


def detection(alarms: Sequence[Alarm], cut: Sequence[Block], changes: Sequence[Change]) -> Detection:
    """Compare alarms with the known changes.

    An alarm is false when no change lies between the oldest training row of the model in service and the end of the block: then the
    model knows the current concept. A change is detected by the first alarm after its first row and before the next change; changes before the
    first block are left out.

    >>> from driftloop.data.blocks import cut
    >>> blocks, change = list(cut(100, 200, block_size=10)), Change(135, 135, "concept")
    >>> detection([Alarm(1, 0), Alarm(5, 0), Alarm(9, 150)], blocks, [change])
    Detection(false_alarms=2, delays=(2,), missed=0)
    """
    false = sum(not any(change.start < cut[alarm.block].stop and max(change.stop, change.start + 1) > alarm.since for change in changes) for alarm in alarms)
    watched = [change.start for change in changes if cut[0].start <= change.start < cut[-1].stop]
    delays = []
    for start, following in pairwise([*watched, math.inf]):
        first = next((alarm.block for alarm in alarms if start < cut[alarm.block].stop <= following), None)
        if first is not None:
            delays.append(first - next(block.index for block in cut if block.stop > start))
    return Detection(false, tuple(delays), len(watched) - len(delays))


def correct_by_block(played: Played, scene: Scene) -> np.ndarray:
    """Rows predicted correctly in each block, shape (B,)."""
    starts = [block.start - scene.cut[0].start for block in scene.cut]
    return np.add.reduceat((played.predicted == scene.labels).astype(np.int64), starts)


def rows_by_block(scene: Scene) -> np.ndarray:
    """Rows of each block, shape (B,)."""
    return np.array([block.rows for block in scene.cut])


def measure(policy: Policy, played: Played, scene: Scene, *, threshold: float, majority: int, changes: Sequence[Change] | None) -> PolicyResult:
    """The figures of a policy.

    Args:
        threshold: lowest accuracy of a block that is good enough, 0..1.
        majority: the most frequent class in the rows before the first block.
        changes: all changes of the stream, or None if unknown.
    """
    correct, rows = correct_by_block(played, scene), rows_by_block(scene)
    whole = scoring.summary(scene.stream, scene.cut[0].start, played.predicted, majority=majority)
    lower, upper = kpi.wilson_interval(int(correct.sum()), int(rows.sum()))
    shares = correct / rows
    full = shares[[not block.short for block in scene.cut]]
    found = None if changes is None or policy.kind == "continuous" else detection(played.alarms, scene.cut, changes)
    return PolicyResult(
        name=policy.name,
        kind=policy.kind,
        accuracy=whole["accuracy"],
        lower=lower,
        upper=upper,
        kappa=whole["kappa"],
        kappa_temporal=whole["kappa_temporal"],
        worst_block=float(full.min()),
        blocks_under_threshold=int((shares < threshold).sum()),
        retrains=len(played.retrains),
        promoted=len(played.promoted),
        seconds=played.seconds,
        false_alarms=math.nan if found is None else found.false_alarms,
        detected=math.nan if found is None else len(found.delays),
        missed=math.nan if found is None else found.missed,
        delay=float(np.mean(found.delays)) if found and found.delays else math.nan,
        correct=tuple(correct.tolist()),
        retrained_after=played.retrains,
    )


def compare(result: PolicyResult, scene: Scene, *, seeds: int) -> Comparison:
    """Play periodic (in `PHASES` phases) and random (with `seeds` seeds) with as many retrains as a policy, and compare it with their means."""
    rows, total = rows_by_block(scene), len(scene.cut)

    def correct(plans: Iterable[tuple[int, ...]]) -> np.ndarray:  # (plans, B)
        return np.array([correct_by_block(play(At(wanted), scene), scene) for wanted in plans])

    regular = correct(evenly(result.retrains, total, phase=(at + 0.5) / PHASES) for at in range(PHASES))
    chance = correct(at_random(result.retrains, total, seed=seed) for seed in range(seeds))
    periodic, random = (plans.sum(axis=1) / rows.sum() for plans in (regular, chance))
    return Comparison(
        policy=result.name,
        retrains=result.retrains,
        accuracy=result.accuracy,
        periodic=float(periodic.mean()),
        periodic_lowest=float(periodic.min()),
        periodic_highest=float(periodic.max()),
        random=float(random.mean()),
        random_lowest=float(random.min()),
        random_highest=float(random.max()),
        against_periodic=difference(result.correct, regular.mean(axis=0), rows),
        against_random=difference(result.correct, chance.mean(axis=0), rows),
    )
