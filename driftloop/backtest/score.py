"""Scores a policy: its figures, its alarms against the known changes, baselines with as many retrains without a trigger, and what it costs.

A price is in points of KPI × blocks, see `driftloop.drift.regret`. What a policy costs at a price is what it loses against the most accurate one,
plus the price for each retrain that its seconds of training are worth: an update of a last layer is worth a small part of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from driftloop.backtest.outcome import Comparison, PolicyResult, difference
from driftloop.backtest.play import Alarm, At, Played, Scene, at_random, evenly, play
from driftloop.backtest.policies import COST, Policy
from driftloop.data.blocks import Block
from driftloop.data.synthetic import Change
from driftloop.metrics import scoring, task
from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.row_kpis import ChosenKpi
from driftloop.metrics.task import CLASSIFICATION, Task

PRICES: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # at which the policy `cost` is played beside its own
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


def by_block(doing: Task, losses: np.ndarray, cut: Sequence[Block]) -> np.ndarray:
    """What each block adds to the KPI times all rows, (B,): their sum divided by the number of rows is the KPI.

    Of a mean that is the sum over the block's rows. Of another KPI (RMSE, F1, ROC AUC, …) it follows from the KPI without the block, as in the
    jackknife, so that policies can be compared block by block all the same.

    Args:
        doing: measures the KPI.
        losses: of the scored rows, as `Task.losses_of` gives them.
        cut: the blocks.

    >>> from driftloop.data.blocks import cut
    >>> from driftloop.metrics.row_kpis import RmseKpi
    >>> blocks = list(cut(0, 4, block_size=2))
    >>> by_block(CLASSIFICATION, np.array([True, False, False, False]), blocks).tolist()
    [1, 2]
    >>> (by_block(RmseKpi(0), np.array([4.0, 4.0, 4.0, 4.0]), blocks) / 2).tolist()
    [2.0, 2.0]
    """
    starts, rows = [block.start - cut[0].start for block in cut], np.array([block.rows for block in cut])
    if KPIS[doing.kpi].is_mean:
        sums = np.add.reduceat(losses.astype(np.int64) if losses.dtype == bool else losses, starts)
        return rows - sums if doing.higher else sums
    whole = doing.value(losses)
    without = np.array([doing.value(np.delete(losses, slice(start, start + size), axis=0)) for start, size in zip(starts, rows, strict=True)])
    moved = (len(losses) - rows) * (whole - np.where(np.isnan(without), whole, without))
    return rows * (whole - moved.sum() / len(losses)) + moved


def rows_by_block(scene: Scene) -> np.ndarray:
    """Rows of each block, shape (B,)."""
    return np.array([block.rows for block in scene.cut])


def measure(policy: Policy, played: Played, scene: Scene, *, threshold: float, constant: int | float, changes: Sequence[Change] | None) -> PolicyResult:
    """The figures of a policy.

    Args:
        threshold: KPI of a block that is just good enough.
        constant: the best constant prediction for the rows before the first block: the most frequent class, or the median.
        changes: all changes of the stream, or None if unknown.
    """
    doing, losses, first = scene.doing, scene.losses(played), scene.cut[0].start
    whole = figures(scene, played.outputs, constant=constant)
    lower, upper = doing.interval(losses)
    values = [doing.value(losses[block.start - first : block.stop - first]) for block in scene.cut]
    full = [value for value, block in zip(values, scene.cut, strict=True) if not block.short and not math.isnan(value)]
    found = None if changes is None or policy.kind == "continuous" else detection(played.alarms, scene.cut, changes)
    return PolicyResult(
        name=policy.name,
        kind=policy.kind,
        kpi=whole[doing.kpi],
        lower=lower,
        upper=upper,
        kappa=whole.get("kappa", math.nan),
        kappa_temporal=whole.get("kappa_temporal", math.nan),
        worst_block=(min if doing.higher else max)(full, default=math.nan),
        blocks_under_threshold=sum(doing.better(threshold, value) for value in values),
        retrains=len(played.retrains),
        promoted=len(played.promoted),
        seconds=played.seconds,
        false_alarms=math.nan if found is None else found.false_alarms,
        detected=math.nan if found is None else len(found.delays),
        missed=math.nan if found is None else found.missed,
        delay=float(np.mean(found.delays)) if found and found.delays else math.nan,
        by_block=tuple(by_block(doing, losses, scene.cut).tolist()),
        retrained_after=played.retrains,
        block_kpis=tuple(values),
        kpi_name=doing.kpi,
        task_kpi=whole[task.of(scene.stream.task).kpi] if doing.chosen else math.nan,
        ahead_of_baseline=doing.ahead(whole[doing.kpi], whole["baselines"][constant_name(doing)]),
    )


def figures(scene: Scene, outputs: np.ndarray, *, constant: int | float, rivals: Mapping[str, np.ndarray] | None = None) -> dict[str, Any]:
    """KPI, κ and baselines of outputs for the scored rows, see `scoring.summary`."""
    predicted = task.of(scene.stream.task).predictions(outputs)
    return scoring.summary(scene.stream, scene.cut[0].start, predicted, majority=constant, rivals=rivals, doing=scene.doing, outputs=outputs)


def constant_name(doing: Task) -> str:
    """The name, among the baselines of `figures`, of the best constant answer."""
    if isinstance(doing, ChosenKpi):
        return doing.baseline(0)[0]
    return "majority" if doing is CLASSIFICATION else scoring.CONSTANT


def compare(result: PolicyResult, scene: Scene, *, seeds: int) -> Comparison:
    """Play periodic (in `PHASES` phases) and random (with `seeds` seeds) with as many retrains as a policy, and compare it with their means."""
    doing, rows, total = scene.doing, rows_by_block(scene), len(scene.cut)

    def found(plans: Iterable[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:  # (plans,), (B,)
        losses = [scene.losses(play(At(wanted), scene, blind=True)) for wanted in plans]
        return np.array([doing.value(one) for one in losses]), np.mean([by_block(doing, one, scene.cut) for one in losses], axis=0)

    periodic, regular = found(evenly(result.retrains, total, phase=(at + 0.5) / PHASES) for at in range(PHASES))
    random, chance = found(at_random(result.retrains, total, seed=seed) for seed in range(seeds))
    return Comparison(
        policy=result.name,
        retrains=result.retrains,
        kpi=result.kpi,
        periodic=float(periodic.mean()),
        periodic_lowest=float(periodic.min()),
        periodic_highest=float(periodic.max()),
        random=float(random.mean()),
        random_lowest=float(random.min()),
        random_highest=float(random.max()),
        against_periodic=difference(result.by_block, regular, rows, higher=doing.higher),
        against_random=difference(result.by_block, chance, rows, higher=doing.higher),
        kpi_name=doing.kpi,
    )


@dataclass(frozen=True)
class Wins:
    """The policy that costs least at prices `low`..`high` of a retrain, in points × blocks."""

    policy: str
    low: float
    high: float


@dataclass(frozen=True)
class AtPrice:
    """The policy `cost` at a price, and the cheapest of the other policies there; costs in points × blocks over all blocks, less is better."""

    price: float
    kpi: float
    retrains: int
    cost: float
    best_other: str
    best_other_cost: float


def lost(policies: Sequence[PolicyResult], blocks: int, point: float) -> dict[str, float]:
    """What each policy loses against the best one, in points × blocks."""
    best = max(policy.merit for policy in policies)
    return {policy.name: (best - policy.merit) / point * blocks for policy in policies}


def worth(policies: Sequence[PolicyResult]) -> dict[str, float]:
    """How many retrains each policy's seconds are worth; the seconds of a retrain are the mean over all."""
    fits = [policy for policy in policies if policy.kind != "continuous" and policy.retrains and policy.seconds > 0]
    one = sum(policy.seconds for policy in fits) / sum(policy.retrains for policy in fits) if fits else math.nan
    return {policy.name: policy.seconds / one if policy.kind == "continuous" and one > 0 else float(policy.retrains) for policy in policies}


def winners(policies: Sequence[PolicyResult], *, blocks: int, point: float) -> tuple[Wins, ...]:
    """Which policy costs least from which price to which, from 0 to infinity; the control "random" takes no part.

    The lower envelope of one line a policy: what it loses, plus the price times its retrains.
    """
    open_ones = [policy for policy in policies if policy.kind != "control" and math.isfinite(policy.merit)]
    if not open_ones:
        return ()
    losses, retrains = lost(open_ones, blocks, point), worth(open_ones)
    at, found = 0.0, list[Wins]()
    now = min(losses, key=lambda name: (losses[name], retrains[name]))
    while True:
        meets = {
            name: (losses[name] - losses[now]) / (retrains[now] - retrains[name])
            for name in losses
            if retrains[name] < retrains[now] and losses[name] >= losses[now]
        }
        following = min(meets, key=lambda name: (meets[name], retrains[name]), default=None)
        if following is None:
            return (*found, Wins(now, at, math.inf))
        if meets[following] > at:
            found.append(Wins(now, at, meets[following]))
        at, now = max(at, meets[following]), following


def at_price(price: float, own: PolicyResult, others: Sequence[PolicyResult], *, blocks: int, point: float) -> AtPrice:
    """The policy `cost`, played at a price, beside the other policies at that price."""
    beside = [policy for policy in others if policy.kind != "control" and policy.name != COST and math.isfinite(policy.merit)]
    losses, retrains = lost([*beside, own], blocks, point), worth([*beside, own])
    costs = {name: losses[name] + price * retrains[name] for name in losses}
    best = min((name for name in costs if name != own.name), key=lambda name: costs[name], default="")
    return AtPrice(price, own.kpi, own.retrains, costs[own.name], best, costs.get(best, math.nan))
