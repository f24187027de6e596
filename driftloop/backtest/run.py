"""Runs a whole back-test: fits the models, plays the policies one after another, compares, recommends, logs."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from driftloop.backtest import fits
from driftloop.backtest import logged as runs
from driftloop.backtest.fits import Fit, Fits
from driftloop.backtest.from_flags import BacktestPlan, Means
from driftloop.backtest.online_learner import OnlineLearner
from driftloop.backtest.outcome import BacktestResult, Choice, PolicyResult, recommend
from driftloop.backtest.play import Played, Scene, play, play_continuous
from driftloop.backtest.policies import PROBATION, Policy, rule
from driftloop.backtest.score import compare, measure, rows_by_block
from driftloop.data import blocks
from driftloop.data.streams import Stream
from driftloop.data.synthetic import Change
from driftloop.errors import SettingsError
from driftloop.metrics import baselines, scoring
from driftloop.report import wording
from driftloop.tracking import mlflow_store
from driftloop.training.fitting import Learner


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
    cut = tuple(blocks.cut(plan.first_row, len(stream), block_size=plan.block_size))
    base, retrains = (Fits(learner, stream, recipe, folder=means.cache) for recipe in (plan.base, plan.retrain))
    with runs.parent_run(store, fingerprint=fingerprint(learner, stream, plan), resume=means.resume) as (run_id, finished):
        _log_plan(stream, plan)
        scene = Scene(stream, cut, _base(base, plan), retrains, judge_rows=plan.judge_rows, judge_alpha=plan.judge_alpha)
        _prepare(scene, plan, means)
        results = _each(store, plan, scene, changes=changes, finished=finished)
        comparisons = tuple(compare(one, scene, seeds=plan.random_seeds) for one in results if one.kind == "triggered" and one.retrains)
        free = scoring.baseline_accuracies(stream, plan.first_row, len(stream), majority=_majority(stream, plan))
        recommended, refit, reason = _recommended(results, rows_by_block(scene), free)
        result = BacktestResult(
            stream=stream.name,
            first_row=plan.first_row,
            rows=len(stream) - plan.first_row,
            blocks=len(scene.cut),
            block_size=plan.block_size,
            threshold=plan.watching.threshold,
            judge_rows=plan.judge_rows,
            truth_known=changes is not None,
            baselines=free,
            base_seconds=scene.base.seconds,
            policies=results,
            comparisons=comparisons,
            random_seeds=plan.random_seeds,
            recommended=recommended,
            recommended_refit=refit,
            reason=reason,
            seconds=time.monotonic() - started,
            run_id=run_id,
        )
        runs.log_result(result, plot=means.plot)
    return result


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
    settings = {**asdict(plan), "retrain": fits.fingerprint(learner, stream, plan.retrain), "base": fits.fingerprint(learner, stream, plan.base)}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _log_plan(stream: Stream, plan: BacktestPlan) -> None:
    watching = {name: value for name, value in asdict(plan.watching).items() if name != "seed"}
    fitted = {**plan.retrain.params, "max_epochs": plan.retrain.max_epochs, "seed": plan.retrain.seed}
    shown = {name: getattr(plan, name) for name in ("first_row", "block_size", "judge_rows", "judge_alpha", "random_seeds")}
    mlflow_store.log_params({"data": Path(stream.source).name, "data_sha256": stream.sha256, "rows": len(stream), **shown, **watching, **fitted})


def _needed(policies: Sequence[Policy], scene: Scene) -> set[int]:
    """The rows at which fits end. A triggered policy is compared with random retrains, so it needs a fit at every block."""
    if any(policy.kind in ("triggered", "control") or policy.every == 1 for policy in policies):
        return scene.stops()
    periods = [policy.every for policy in policies if policy.every]
    return {block.stop for block in scene.cut[:-1] if any((block.index + 1) % every == 0 for every in periods)}


def _majority(stream: Stream, plan: BacktestPlan) -> int:
    return baselines.majority_class(stream.labels[: plan.first_row])


def _each(
    store: mlflow_store.Store, plan: BacktestPlan, scene: Scene, *, changes: Sequence[Change] | None, finished: dict[str, PolicyResult]
) -> tuple[PolicyResult, ...]:
    """The results in the order of the plan; random is last, as it uses the rate of a triggered policy."""
    done = dict(finished)
    times_ms = [int(scene.stream.times[block.start].astype("datetime64[ms]").astype(int)) for block in scene.cut]
    for policy in sorted(plan.policies, key=lambda one: one.kind == "control"):
        if policy.name in done:
            continue
        with mlflow_store.run(store, policy.name, role="policy") as run_id:
            played = _play(policy, plan, scene, rate=_budget(list(done.values()), scene))
            result = measure(policy, played, scene, threshold=plan.watching.threshold, majority=_majority(scene.stream, plan), changes=changes)
            runs.log_policy(store, run_id, result, rows=rows_by_block(scene).tolist(), times_ms=times_ms)
        done[policy.name] = result
    return tuple(done[policy.name] for policy in plan.policies)


def _play(policy: Policy, plan: BacktestPlan, scene: Scene, *, rate: float) -> Played:
    if policy.kind != "continuous":
        return play(rule(policy, plan.watching, rate=rate), scene)
    stream = scene.stream
    return play_continuous(OnlineLearner(features=len(stream.features), classes=len(stream.label_names), period=stream.period), scene)


def _budget(done: Sequence[PolicyResult], scene: Scene) -> float:
    """Probability per block with which random makes, on average, as many retrains as a triggered policy.

    The policy is the lifecycle's, or else the first that retrained.
    """
    triggered = sorted((result for result in done if result.kind == "triggered" and result.retrains), key=lambda one: one.name != PROBATION)
    usable = len(scene.cut) - 1
    return triggered[0].retrains / usable if triggered and usable else 0.0


def _recommended(results: Sequence[PolicyResult], rows: np.ndarray, free: Mapping[str, float]) -> tuple[str, str, str]:
    """The policy to choose, the same without the continuous one ("" when there is no other), and why."""
    refits = [policy for policy in results if policy.kind in ("fixed", "triggered")]
    choice, refit = recommend(results, rows), recommend(refits, rows) if refits else None
    words = f"{_case(choice)} The rule: of the policies whose accuracy is not significantly under that of the best, the one that retrains least."
    if refit and choice.chosen.kind == "continuous":
        words += f" It is a different model from the one that the others refit. Of those: {_case(refit)}"
    words += " It was selected on the same blocks that it is measured on: expect slightly less on later ones."
    return choice.chosen.name, refit.chosen.name if refit else "", words + _cheaper(choice.chosen, free)


def _case(choice: Choice) -> str:
    """The chosen policy, compared with the best one."""
    chosen, best, behind = choice.chosen, choice.best, choice.behind
    what = "update" if chosen.kind == "continuous" else "retrain"
    words = f"{chosen.name}, {wording.with_sign(chosen.accuracy)} with {wording.count(chosen.retrains, what)}"
    if chosen.name == best.name:
        return f"{words}; it is the most accurate, and {'all that retrain less are significantly worse' if chosen.retrains else 'none retrains less'}."
    low, high = wording.points(behind.lower), wording.points(behind.upper)
    return (
        f"{words}; the most accurate is {best.name}, {wording.with_sign(best.accuracy)} with {best.retrains:,}, "
        f"ahead by {wording.points(behind.mean)} points ({low} to {high}, 95 %, paired by block)."
    )


def _cheaper(chosen: PolicyResult, free: Mapping[str, float]) -> str:
    """The trivial baselines that are as good, if any; no change is not comparable."""
    rivals = {name: free[key] for key, name in wording.BASELINE_NAMES.items() if key != "no_change"}
    as_good = [f"{name} ({wording.with_sign(share)})" for name, share in rivals.items() if share >= chosen.accuracy]
    return f" But a trivial baseline is as good: {', '.join(as_good)}." if as_good else ""
