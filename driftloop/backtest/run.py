"""Runs a whole back-test: fits the models, plays the policies one after another, compares, recommends, logs."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.backtest import fits, online_learner
from driftloop.backtest import logged as runs
from driftloop.backtest.fits import Fit, Fits
from driftloop.backtest.from_flags import BacktestPlan, Means
from driftloop.backtest.outcome import BacktestResult, Choice, Difference, PolicyResult, difference, recommend
from driftloop.backtest.play import Played, Scene, play, play_continuous, play_updated
from driftloop.backtest.policies import ALWAYS, CONTINUOUS, COST, ONLINE, PROBATION, ByCost, Policy, rule
from driftloop.backtest.score import PRICES, AtPrice, at_price, compare, constant_name, figures, measure, rows_by_block, winners
from driftloop.data.streams import Stream
from driftloop.data.synthetic import Change
from driftloop.drift.regret import Price, point
from driftloop.errors import SettingsError
from driftloop.metrics import task
from driftloop.metrics.kpi_names import KPIS
from driftloop.report import wording
from driftloop.report.kpi_words import Figures
from driftloop.tracking import mlflow_store
from driftloop.training import fitting
from driftloop.training.fitting import Learner
from driftloop.training.online.updating import updater
from driftloop.training.trained_model import KnownModel


def play_all(
    store: mlflow_store.Store, learner: Learner, stream: Stream, plan: BacktestPlan, *, changes: Sequence[Change] | None, means: Means
) -> BacktestResult:
    """Play all policies and log them: a parent run, a child for each.

    Args:
        changes: all changes of the stream, or None if unknown.

    Raises:
        SettingsError: the blocks do not fit the rows, or a folder is not writable.
    """
    started = time.monotonic()
    means.check()
    labelled = plan.labelled(len(stream))
    base = Fits(learner, stream, plan.base, folder=means.cache)
    retrains = Fits(learner, stream, plan.retrain, folder=means.cache, labelled=labelled)
    with runs.parent_run(store, fingerprint=fingerprint(learner, stream, plan), resume=means.resume) as (run_id, finished):
        _log_plan(stream, plan)
        doing = plan.watching.goal.task
        judged: dict[str, Any] = {"judge_rows": plan.judge_rows, "judge_alpha": plan.judge_alpha, "retrain_blocks": plan.retrain_blocks}
        scene = Scene(stream, plan.cut, _base(base, plan), retrains, doing=doing, delay=plan.label_delay_blocks, labelled=labelled, **judged)
        _prepare(scene, plan, means)
        results = _each(store, learner, plan, scene, changes=changes, finished=finished)
        result = _compared(results, learner, scene, plan, truth_known=changes is not None)
        result = replace(result, seconds=time.monotonic() - started, run_id=run_id)
        runs.log_result(result, plot=means.plot)
    return result


def _compared(results: tuple[PolicyResult, ...], learner: Learner, scene: Scene, plan: BacktestPlan, *, truth_known: bool) -> BacktestResult:
    """The policies beside the baselines, at equal retrains, and the one to choose."""
    stream, goal, free = scene.stream, plan.watching.goal, _baselines(learner, scene)
    recommended, refit, reason = _recommended(results, rows_by_block(scene), free, unit=goal.unit)
    return BacktestResult(
        stream=stream.name,
        first_row=plan.first_row,
        rows=len(stream) - plan.first_row,
        blocks=len(scene.cut),
        block_size=plan.block_size,
        block_by=plan.block_by,
        task=stream.task,
        unit=goal.unit,
        kpi_name=goal.task.kpi if goal.task.chosen else "",
        constant=constant_name(goal.task),
        left_out=plan.left_out,
        label_delay_blocks=plan.label_delay_blocks,
        label_share=plan.label_share,
        threshold=goal.threshold,
        judge_rows=plan.judge_rows,
        truth_known=truth_known,
        baselines=free,
        base_seconds=scene.base.seconds,
        policies=results,
        winners=winners(results, blocks=len(scene.cut), point=point(goal)),
        winners_refit=winners([one for one in results if one.kind != "continuous"], blocks=len(scene.cut), point=point(goal)),
        against_always=_against_always(results, rows_by_block(scene)),
        at_prices=_at_prices(results, scene, plan),
        comparisons=tuple(compare(one, scene, seeds=plan.random_seeds) for one in results if one.kind == "triggered" and one.retrains),
        random_seeds=plan.random_seeds,
        recommended=recommended,
        recommended_refit=refit,
        reason=reason,
        seconds=math.nan,
    )


def _against_always(results: Sequence[PolicyResult], rows: np.ndarray) -> tuple[tuple[str, Difference], ...]:
    """How far the policies that are updated after every block are ahead of the one that refits after every block, paired by block."""
    always = next((one for one in results if one.name == ALWAYS), None)
    updated = [one for one in results if one.kind == "continuous"] if always else []
    return tuple((one.name, difference(one.by_block, always.by_block, rows, higher=one.higher)) for one in updated if always)


def _at_prices(results: Sequence[PolicyResult], scene: Scene, plan: BacktestPlan) -> tuple[AtPrice, ...]:
    """The policy `cost`, if it is among the policies, at other prices, beside those that refit."""
    own = next((policy for policy in plan.policies if policy.name == COST), None)
    if own is None:
        return ()
    goal, found = plan.watching.goal, list[AtPrice]()
    for price in PRICES:
        played = play(ByCost(goal, Price(fixed=price)), scene)
        result = measure(own, played, scene, threshold=goal.threshold, constant=_constant(scene), changes=None)
        found.append(at_price(price, result, [one for one in results if one.kind != "continuous"], blocks=len(scene.cut), point=point(goal)))
    return tuple(found)


def _base(fits: Fits, plan: BacktestPlan) -> Fit:
    found = fits.at(plan.first_row)
    if found.failure:
        raise SettingsError(f"the base model cannot be fitted: {found.failure}")
    return found


def _prepare(scene: Scene, plan: BacktestPlan, means: Means) -> None:
    """Make all fits that the policies may need."""
    stops = _needed(plan.policies, scene)
    with means.progress(total=len(stops), desc="fits", unit="fit") as bar:
        scene.fits.prepare(stops, jobs=means.jobs, progress=bar.update)


def fingerprint(learner: Learner, stream: Stream, plan: BacktestPlan) -> str:
    """Hash of everything that the figures depend on, as 64 hexadecimal digits: identifies an interrupted back-test."""
    played = {"policies": [policy.name for policy in plan.policies], "seed": plan.watching.seed, "blocks": [block.start for block in plan.cut]}
    fitted = {"retrain": fits.fingerprint(learner, stream, plan.retrain), "base": fits.fingerprint(learner, stream, plan.base)}
    return hashlib.sha256(json.dumps(plan.settings() | played | fitted, sort_keys=True).encode()).hexdigest()


def _log_plan(stream: Stream, plan: BacktestPlan) -> None:
    fitted = {**plan.retrain.params, "max_epochs": plan.retrain.max_epochs, "seed": plan.retrain.seed}
    mlflow_store.log_params({"data": Path(stream.source).name, "data_sha256": stream.sha256, "rows": len(stream), **plan.settings(), **fitted})


def _needed(policies: Sequence[Policy], scene: Scene) -> set[int]:
    """The rows at which fits end. A triggered policy is compared with random retrains, so it needs a fit at every block."""
    if any(policy.kind in ("triggered", "control") or policy.every == 1 for policy in policies):
        return scene.stops()
    periods = [policy.every for policy in policies if policy.every]
    blocks = list(enumerate(scene.cut))[scene.delay : -1]
    return {scene.known_until(at) for at, block in blocks if any((block.index + 1) % every == 0 for every in periods)}


def _constant(scene: Scene) -> int | float:
    """The best constant prediction of the rows before the first block."""
    return task.of(scene.stream.task).constant(scene.stream.labels[: scene.cut[0].start])


def _baselines(learner: Learner, scene: Scene) -> dict[str, float]:
    """KPI of the baselines on the scored rows; the learner's own are fitted once, on the rows before them."""
    stream, first = scene.stream, scene.cut[0].start
    rivals = {name: rival(stream.rows[:first], stream.labels[:first])(stream.rows[first:]) for name, rival in learner.rivals.items()}
    free: dict[str, float] = figures(scene, scene.base.on(first, len(stream)), constant=_constant(scene), rivals=rivals)["baselines"]
    return free


def _each(
    store: mlflow_store.Store, learner: Learner, plan: BacktestPlan, scene: Scene, *, changes: Sequence[Change] | None, finished: dict[str, PolicyResult]
) -> tuple[PolicyResult, ...]:
    """The results in the order of the plan; random is last, as it uses the rate of a triggered policy."""
    done = dict(finished)
    times_ms = [int(scene.stream.times[block.start].astype("datetime64[ms]").astype(int)) for block in scene.cut]
    for policy in sorted(plan.policies, key=lambda one: one.kind == "control"):
        if policy.name in done:
            continue
        with mlflow_store.run(store, policy.name, role="policy") as run_id:
            played = _play(policy, learner, plan, scene, rate=_budget(list(done.values()), scene))
            result = measure(policy, played, scene, threshold=plan.watching.goal.threshold, constant=_constant(scene), changes=changes)
            runs.log_policy(store, run_id, result, times_ms=times_ms)
        done[policy.name] = result
    return tuple(done[policy.name] for policy in plan.policies)


def _play(policy: Policy, learner: Learner, plan: BacktestPlan, scene: Scene, *, rate: float) -> Played:
    if policy.kind != "continuous":
        return play(rule(policy, plan.watching, rate=rate), scene, blind=policy.kind != "triggered")
    if policy.name == CONTINUOUS:
        return _play_updated(learner, plan, scene)
    stream, rows = scene.stream, online_learner.numeric(scene.stream, scene.cut[0].start)
    other = online_learner.of_stream(stream, rows, scene.cut[0].start, block_rows=scene.block_rows)
    return play_continuous(other, replace(scene, stream=replace(stream, rows=rows)))


def _play_updated(learner: Learner, plan: BacktestPlan, scene: Scene) -> Played:
    """The base model, fitted again with its network: the cache keeps outputs only."""
    recipe, first = plan.base, plan.first_row
    fitted = fitting.fit(learner, scene.stream, recipe.params, train=(0, first), max_epochs=recipe.max_epochs, seed=recipe.seed)
    known = KnownModel(fitted.model.eval(), fitted.params, fitted.trained, 0, {}, run_id="", uri="")
    made = updater(learner, scene.stream, known, block_rows=scene.block_rows, seed=recipe.seed, labelled=scene.labelled)
    return play_updated(made, known.model, scene)


def _budget(done: Sequence[PolicyResult], scene: Scene) -> float:
    """Probability per block with which random makes, on average, as many retrains as a triggered policy.

    The policy is the lifecycle's, or else the first that retrained.
    """
    triggered = sorted((result for result in done if result.kind == "triggered" and result.retrains), key=lambda one: one.name != PROBATION)
    usable = len(scene.cut) - 1 - scene.delay
    return triggered[0].retrains / usable if triggered and usable else 0.0


def _recommended(results: Sequence[PolicyResult], rows: np.ndarray, free: Mapping[str, float], *, unit: str = "") -> tuple[str, str, str]:
    """The policy to choose, the same without the continuous one ("" when there is no other), and why."""
    write = Figures(KPIS[results[0].kpi_name].task, unit, results[0].kpi_name)
    refits = [policy for policy in results if policy.kind in ("fixed", "triggered")]
    choice, refit = recommend(results, rows), recommend(refits, rows) if refits else None
    worse = "worse than" if write.plain else "under"
    words = f"{_case(choice, write)} The rule: of the policies whose {write.name} is not significantly {worse} that of the best, the one that retrains least."
    if refit and choice.chosen.kind == "continuous":
        other = " It is a different model from the one that the others refit." if choice.chosen.name == ONLINE else " It is updated, never refitted."
        words += f"{other} Of those: {_case(refit, write)}"
    words += " It was selected on the same blocks that it is measured on: expect slightly less on later ones."
    return choice.chosen.name, refit.chosen.name if refit else "", words + _cheaper(choice.chosen, free, write)


def _case(choice: Choice, write: Figures) -> str:
    """The chosen policy, compared with the best one."""
    chosen, best, behind = choice.chosen, choice.best, choice.behind
    what, best_of_all = "update" if chosen.kind == "continuous" else "retrain", "the best" if write.plain else "the most accurate"
    words = f"{chosen.name}, {_named(chosen, write)} with {wording.count(chosen.retrains, what)}"
    if chosen.name == best.name:
        return f"{words}; it is {best_of_all}, and {'all that retrain less are significantly worse' if chosen.retrains else 'none retrains less'}."
    mean, low, high = (write.gain(ahead, 0) if write.of_kpi.higher else write.gain(0, ahead) for ahead in (behind.mean, behind.lower, behind.upper))
    return (
        f"{words}; {best_of_all} is {best.name}, {write.with_unit(best.kpi)} with {best.retrains:,}, "
        f"ahead by {mean} {write.step} ({low} to {high}, 95 %, paired by block)."
    )


def _named(policy: PolicyResult, write: Figures) -> str:
    return f"{write.name} {write.with_unit(policy.kpi)}" if write.plain else write.with_unit(policy.kpi)


def _cheaper(chosen: PolicyResult, free: Mapping[str, float], write: Figures) -> str:
    """The trivial baselines that are as good, if any; no change is not comparable."""
    ahead = {name: kpi - chosen.kpi if chosen.higher else chosen.kpi - kpi for name, kpi in free.items() if name != "no_change"}
    as_good = [f"{wording.baseline(name)} ({write.with_unit(free[name])})" for name, lead in ahead.items() if lead >= 0]
    return f" But a trivial baseline is as good: {', '.join(as_good)}." if as_good else ""
