"""A back-test's parts: the fits, the play, the score, the choice, the words and the picture."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from driftloop import settings
from driftloop.backtest import outcome, plot, policies, run, score, text
from driftloop.backtest.fits import Fit, Fits, Recipe, fingerprint
from driftloop.backtest.online_learner import OnlineLearner
from driftloop.backtest.outcome import BacktestResult, Difference, PolicyResult, difference, front, recommend
from driftloop.backtest.play import Alarm, At, Played, Scene, at_random, evenly, play, play_continuous, play_updated
from driftloop.backtest.policies import ByCost
from driftloop.data import blocks, synthetic
from driftloop.data.streams import Stream
from driftloop.data.synthetic import Change
from driftloop.drift.regret import Price
from driftloop.drift.rules.rule import Rule
from driftloop.drift.verdict import Verdict
from driftloop.metrics import promotion
from driftloop.metrics.block_kpis import AveragePrecisionKpi, F1Kpi, RocAucKpi
from driftloop.metrics.goal import Goal
from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.row_kpis import BalancedAccuracyKpi, BrierKpi, CostKpi, LogLossKpi, RmseKpi
from driftloop.metrics.task import CLASSIFICATION, REGRESSION, Task
from driftloop.training import fitting, trained_model
from driftloop.training.online.updating import updater
from learner import ELEC

ROWS, FIRST, BLOCK, WINDOW = 1200, 900, 50, 120
BASE = Recipe({**settings.DEFAULT_PARAMS}, 2, 7)
SHARES = np.array([0.5, 0.5])
RETRAIN = Recipe({**settings.RETRAIN_PARAMS, "window": WINDOW}, 2, 7)


@pytest.fixture(scope="module")
def stream() -> Stream:
    return synthetic.make("stagger", rows=ROWS, seed=3, drift="abrupt", at=FIRST + 60).stream


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fits")


@pytest.fixture(scope="module")
def scene(stream: Stream, folder: Path) -> Scene:
    base = Fits(ELEC, stream, BASE, folder=folder).at(FIRST)
    return Scene(stream, tuple(blocks.cut(FIRST, ROWS, block_size=BLOCK)), base, Fits(ELEC, stream, RETRAIN, folder=folder))


def by_hand(stream: Stream, stop: int, recipe: Recipe) -> np.ndarray:
    """What a model fitted on rows up to `stop` answers to the rest, without any of what is tested here."""
    fitted = fitting.fit(ELEC, stream, recipe.params, train=(0, stop), max_epochs=recipe.max_epochs, seed=recipe.seed)
    return trained_model.predict(fitted.model, stream, stop, len(stream))


# Fits


def test_a_kept_fit_predicts_what_the_model_predicts(stream: Stream, folder: Path) -> None:
    fit = Fits(ELEC, stream, RETRAIN, folder=folder).at(1000)
    assert np.array_equal(fit.on(1000, ROWS), by_hand(stream, 1000, RETRAIN))
    assert (fit.start, fit.stop, fit.failure) == (1000 - WINDOW, 1000, "")
    assert fit.seconds > 0


def test_a_fit_is_made_once_and_its_seconds_stay(stream: Stream, folder: Path) -> None:
    first = Fits(ELEC, stream, RETRAIN, folder=folder).at(1000)
    again = Fits(ELEC, stream, RETRAIN, folder=folder)
    before = {path: path.stat().st_mtime_ns for path in again.place.iterdir()}
    assert again.at(1000).seconds == first.seconds
    assert {path: path.stat().st_mtime_ns for path in again.place.iterdir()} == before


def test_whatever_a_fit_depends_on_is_in_its_place(stream: Stream) -> None:
    rows, labels = stream.rows.copy(), stream.labels.copy()
    rows[5, 0] += 1
    labels[5] = 1 - labels[5]
    others = [
        (dataclasses.replace(stream, rows=rows), RETRAIN),
        (dataclasses.replace(stream, labels=labels), RETRAIN),
        (dataclasses.replace(stream, label_names=("a", "b", "c")), RETRAIN),
        (stream, dataclasses.replace(RETRAIN, seed=8)),
        (stream, dataclasses.replace(RETRAIN, max_epochs=3)),
        (stream, dataclasses.replace(RETRAIN, params={**RETRAIN.params, "lr": 0.02})),
        (stream, BASE),
        (stream, RETRAIN),
    ]
    assert len({fingerprint(ELEC, *other) for other in others}) == len(others)


def test_a_damaged_entry_is_fitted_anew(stream: Stream, tmp_path: Path) -> None:
    fits = Fits(ELEC, stream, RETRAIN, folder=tmp_path)
    sound = fits.at(300).outputs
    (entry,) = fits.place.iterdir()
    entry.write_bytes(entry.read_bytes()[:100])
    assert np.array_equal(Fits(ELEC, stream, RETRAIN, folder=tmp_path).at(300).outputs, sound)


def test_more_processes_give_the_same_fits(stream: Stream, folder: Path, tmp_path: Path) -> None:
    stops, told = [950, 1000, 1050], []
    alone, together = Fits(ELEC, stream, RETRAIN, folder=folder), Fits(ELEC, stream, RETRAIN, folder=tmp_path)
    alone.prepare(stops, jobs=1)
    together.prepare(stops, jobs=2, progress=told.append)
    assert sum(told) == len(stops) == len(list(together.place.iterdir()))
    for stop in stops:
        assert np.array_equal(alone.at(stop).outputs, together.at(stop).outputs)


def test_a_model_is_not_measured_on_rows_that_it_was_fitted_on(scene: Scene) -> None:
    with pytest.raises(ValueError, match=f"fitted on rows up to {FIRST}"):
        scene.base.on(FIRST - 1, FIRST + 10)


# Play


def test_never_is_the_base_model_and_always_a_model_from_each_block(scene: Scene) -> None:
    never, always = play(At(()), scene), play(At(range(len(scene.cut))), scene)
    assert np.array_equal(never.outputs, by_hand(scene.stream, FIRST, BASE))
    parts = [scene.base.on(FIRST, FIRST + BLOCK), *(scene.fits.at(block.start).on(block.start, block.stop) for block in scene.cut[1:])]
    assert np.array_equal(always.outputs, np.concatenate(parts))
    assert (never.retrains, never.alarms, never.seconds) == ((), (), 0.0)


def test_the_alarm_of_the_last_block_leads_to_no_retrain(scene: Scene) -> None:
    last = len(scene.cut) - 1
    played = play(At(range(last + 1)), scene)
    assert played.alarms[-1].block == last
    assert played.retrains == tuple(range(last))


def test_each_policy_is_charged_the_fits_that_it_uses(scene: Scene) -> None:
    played = play(At((1, 3)), scene)
    assert played.seconds == pytest.approx(sum(scene.fits.at(scene.cut[block].stop).seconds for block in (1, 3)))


def test_a_judge_lets_only_better_models_into_service(scene: Scene) -> None:
    judged = dataclasses.replace(scene, judge_rows=BLOCK)
    played = play(At(range(len(scene.cut))), judged)
    assert len(played.retrains) == len(scene.cut) - 1
    assert 0 < len(played.promoted) < len(played.retrains)
    first = scene.cut[played.promoted[0]]
    labels = scene.stream.labels[first.start : first.stop]
    champion, challenger = (fit.on(first.start, first.stop).argmax(axis=1) != labels for fit in (scene.base, scene.fits.at(first.start)))
    verdict = promotion.judge(CLASSIFICATION, champion, challenger, start=first.start, alpha=judged.judge_alpha)
    assert verdict.better
    assert scene.stops() <= judged.stops()


def test_a_retrain_that_fails_leaves_the_model_in_service(stream: Stream, folder: Path) -> None:
    labels = stream.labels.copy()
    labels[FIRST - 200 :] = 0
    one_sided = dataclasses.replace(stream, labels=labels)
    base = Fits(ELEC, one_sided, BASE, folder=folder).at(FIRST)
    scene = Scene(one_sided, tuple(blocks.cut(FIRST, ROWS, block_size=BLOCK)), base, Fits(ELEC, one_sided, RETRAIN, folder=folder))
    played = play(At((0,)), scene)
    assert (played.retrains, played.promoted) == ((0,), ())
    assert np.array_equal(played.outputs, base.on(FIRST, ROWS))
    assert "one label only" in scene.fits.at(scene.cut[0].stop).failure


def test_continuous_predicts_a_block_before_it_learns_it(scene: Scene) -> None:
    def fresh() -> OnlineLearner:
        return OnlineLearner(features=len(scene.stream.features), classes=2, period=scene.stream.period)

    whole = play_continuous(fresh(), scene)
    labels = scene.stream.labels.copy()
    labels[scene.cut[2].start :] = 1 - labels[scene.cut[2].start :]
    turned = play_continuous(fresh(), dataclasses.replace(scene, stream=dataclasses.replace(scene.stream, labels=labels)))
    known = scene.cut[2].stop - FIRST  # the labels of block 2 come after it is predicted
    assert np.array_equal(whole.outputs[:known], turned.outputs[:known])
    assert not np.array_equal(whole.outputs[known:], turned.outputs[known:])
    assert len(whole.retrains) == len(scene.cut) - 1


# Score


def test_without_a_change_every_alarm_is_false() -> None:
    cut = list(blocks.cut(100, 200, block_size=10))
    assert score.detection([Alarm(0, 0), Alarm(3, 50)], cut, []) == score.Detection(2, (), 0)


def test_changes_are_detected_in_time_late_or_not_at_all() -> None:
    cut = list(blocks.cut(100, 200, block_size=10))
    changes = [Change(50, 50, "concept"), Change(125, 135, "concept"), Change(160, 160, "data"), Change(185, 185, "data")]
    found = score.detection([Alarm(2, 80), Alarm(3, 80), Alarm(8, 110)], cut, changes)
    assert found == score.Detection(0, (0, 0), 1)  # the alarm of block 3 is no second detection; nothing follows row 160 before row 185


def test_an_alarm_is_true_as_long_as_the_model_learned_old_rows() -> None:
    cut = list(blocks.cut(100, 200, block_size=10))
    change = Change(135, 135, "concept")
    assert score.detection([Alarm(7, 130)], cut, [change]).false_alarms == 0
    assert score.detection([Alarm(7, 136)], cut, [change]).false_alarms == 1


@pytest.mark.parametrize(("retrains", "total"), [(0, 2), (1, 2), (3, 9), (40, 284), (283, 284)])
def test_as_many_retrains_are_planned_as_asked_for_each_with_a_block_to_follow(retrains: int, total: int) -> None:
    for chosen in (*(evenly(retrains, total, phase=phase) for phase in (0, 0.5, 0.99)), at_random(retrains, total, seed=1)):
        assert len(set(chosen)) == retrains
        assert list(chosen) == sorted(chosen)
        assert all(0 <= block < total - 1 for block in chosen)


def test_a_policy_is_held_against_as_many_retrains(scene: Scene) -> None:
    played = play(At((1, 2, 4)), scene)
    measured = score.measure(policies.Policy("significant", "triggered"), played, scene, threshold=0.7, constant=0, changes=None)
    compared = score.compare(measured, scene, seeds=5)
    assert compared.retrains == measured.retrains == 3
    assert compared.random_lowest <= compared.random <= compared.random_highest
    assert compared.periodic_lowest <= compared.periodic <= compared.periodic_highest
    assert compared.against_periodic.mean == pytest.approx(measured.kpi - compared.periodic)
    assert compared.against_random.mean == pytest.approx(measured.kpi - compared.random)
    assert math.isnan(measured.false_alarms) and math.isnan(measured.delay)


def test_the_figures_are_those_of_the_predictions(scene: Scene) -> None:
    predicted = scene.labels.copy()
    predicted[:30] = 1 - predicted[:30]
    measured = score.measure(policies.Policy("never", "fixed"), Played(np.eye(2)[predicted], (), (), (), 0.0), scene, threshold=0.7, constant=0, changes=[])
    assert measured.kpi == pytest.approx(1 - 30 / len(predicted))
    assert measured.worst_block == pytest.approx(1 - 30 / BLOCK)
    assert (measured.blocks_under_threshold, measured.false_alarms, measured.missed) == (1, 0, 0)
    assert sum(measured.by_block) == len(predicted) - 30


MEASURES = [
    *(CLASSIFICATION, BrierKpi(SHARES), LogLossKpi(SHARES), CostKpi(SHARES, np.array([[0, 1], [5, 0]])), BalancedAccuracyKpi(SHARES)),
    *(F1Kpi(SHARES), RocAucKpi(SHARES), AveragePrecisionKpi(SHARES), REGRESSION, RmseKpi(0.0)),
]


def answered(doing: Task, rows: int, *, noise: float, seed: int = 1) -> np.ndarray:
    """What a KPI takes of a model's answers; the more noise, the worse the model."""
    random = np.random.default_rng(5)
    true, values = random.integers(2, size=rows), random.normal(size=rows)
    spread = noise * np.random.default_rng(seed).normal(size=rows)
    if doing.name == "regression":
        return doing.losses_of(values, values + spread)
    likely = 1 / (1 + np.exp(-(2 * true - 1) - spread))
    return doing.losses_of(true, np.column_stack([1 - likely, likely]))


@pytest.mark.parametrize("doing", MEASURES, ids=lambda doing: doing.kpi)
def test_what_the_blocks_add_comes_to_the_kpi_of_all_rows(doing: Task) -> None:
    cut, losses = list(blocks.cut(100, 850, block_size=50)), answered(doing, 750, noise=1.5)
    added = score.by_block(doing, losses, cut)
    assert added.sum() / 750 == pytest.approx(doing.value(losses))
    without = doing.value(losses[50:])  # the first block's part is what the KPI lacks without it
    assert (added.sum() - added[0]) / 700 == pytest.approx(without, rel=0.02)


@pytest.mark.parametrize("doing", MEASURES, ids=lambda doing: doing.kpi)
def test_a_better_model_is_ahead_whichever_way_its_kpi_goes(doing: Task) -> None:
    cut = list(blocks.cut(0, 1500, block_size=50))
    good, bad = (answered(doing, 1500, noise=noise) for noise in (0.3, 3.0))
    lead = difference(score.by_block(doing, good, cut), score.by_block(doing, bad, cut), [50] * 30, higher=doing.higher)
    assert lead.verdict == "better"
    assert lead.mean == pytest.approx(doing.ahead(doing.value(good), doing.value(bad)))


def test_the_interval_of_a_lead_in_auc_covers_none_as_often_as_it_says() -> None:
    doing, cut = RocAucKpi(SHARES), list(blocks.cut(0, 600, block_size=30))
    covered = 0
    for seed in range(100):  # two models with the same noise, drawn twice: neither is better
        one, other = (score.by_block(doing, answered(doing, 600, noise=2.0, seed=2 * seed + which), cut) for which in (0, 1))
        lead = difference(one, other, [30] * 20)
        covered += lead.lower <= 0 <= lead.upper
    assert covered >= 85


def test_the_short_last_block_is_never_the_worst(scene: Scene) -> None:
    cut = tuple(blocks.cut(FIRST, ROWS, block_size=55))
    assert cut[-1].short
    predicted = scene.labels.copy()
    predicted[-cut[-1].rows :] = 1 - predicted[-cut[-1].rows :]
    played = Played(np.eye(2)[predicted], (), (), (), 0.0)
    measured = score.measure(policies.Policy("never", "fixed"), played, dataclasses.replace(scene, cut=cut), threshold=0.7, constant=0, changes=None)
    assert measured.worst_block == 1


# Choice


def made(name: str, correct: list[int], retrains: int, kind: str = "fixed") -> PolicyResult:
    """A result with these rows right in blocks of 100."""
    share = sum(correct) / (100 * len(correct))
    nan = math.nan
    return PolicyResult(
        **{"name": name, "kind": kind, "kpi": share, "lower": share - 0.02, "upper": share + 0.02, "kappa": nan, "kappa_temporal": nan},
        **{"worst_block": min(correct) / 100, "blocks_under_threshold": 0, "retrains": retrains, "promoted": retrains, "seconds": 1.0},
        **{"false_alarms": nan, "detected": nan, "missed": nan, "delay": nan, "by_block": tuple(correct), "retrained_after": ()},
    )


NOISE = np.random.default_rng(0).integers(-5, 6, size=60)
GOOD = (80 + NOISE).tolist()
SLIGHTLY_WORSE = (80 + np.roll(NOISE, 7)).tolist()
SLIGHTLY_WORSE[0] -= 1
BAD = (60 + NOISE).tolist()
HUNDREDS = [100] * 60


def test_a_difference_is_antisymmetric_and_certain_where_nothing_varies() -> None:
    one, other = difference(GOOD, BAD, HUNDREDS), difference(BAD, GOOD, HUNDREDS)
    assert (one.mean, one.lower, one.upper) == pytest.approx((-other.mean, -other.upper, -other.lower))
    assert difference(GOOD, GOOD, HUNDREDS) == Difference(0, 0, 0)
    assert one.verdict == "better" and other.verdict == "worse"


def test_the_interval_of_a_difference_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(200):  # neighbouring blocks resemble each other, the true difference is 2 points
        steps = random.normal(size=150)
        gained = 2 + 4 * np.convolve(steps, [0.6, 0.6, 0.5], mode="valid")
        found = difference(gained, np.zeros(148), np.full(148, 100))
        covered += found.lower <= 0.02 <= found.upper
    assert 0.87 <= covered / 200 <= 0.99


def test_the_front_holds_what_nothing_beats_with_as_few_retrains() -> None:
    some = [made("always", GOOD, 59), made("never", BAD, 0), made("dear", BAD, 20), made("cheap", SLIGHTLY_WORSE, 5)]
    assert front(some) == ["never", "cheap", "always"]


def test_the_choice_retrains_least_among_those_not_significantly_worse() -> None:
    some = [made("always", GOOD, 59), made("never", BAD, 0), made("adwin", SLIGHTLY_WORSE, 5, "triggered")]
    choice = recommend(some, HUNDREDS)
    assert (choice.chosen.name, choice.best.name) == ("adwin", "always")
    assert recommend(some[:2], HUNDREDS).chosen.name == "always"


def test_never_is_not_praised_over_those_that_retrain_less() -> None:
    free = {"no_change": 0.1, "same_time_yesterday": math.nan, "majority": 0.1}
    least, most = [made("never", GOOD, 0), made("always", BAD, 59)], [made("never", BAD, 0), made("always", GOOD, 59)]
    assert "it is the most accurate, and none retrains less." in run._recommended(least, np.asarray(HUNDREDS), free)[2]
    assert "all that retrain less are significantly worse." in run._recommended(most, np.asarray(HUNDREDS), free)[2]


def mae(name: str, errors: list[int], retrains: int, kind: str = "fixed") -> PolicyResult:
    """The same figures as of `made`, as sums of absolute errors."""
    return dataclasses.replace(made(name, errors, retrains, kind), kpi_name="mae", worst_block=max(errors) / 100)


def test_of_errors_the_smallest_are_chosen_and_on_the_front() -> None:
    some = [mae("always", BAD, 59), mae("never", GOOD, 0), mae("dear", GOOD, 20), mae("cheap", SLIGHTLY_WORSE, 5)]
    assert front(some) == ["never", "cheap", "always"]
    assert recommend(some, HUNDREDS).chosen.name == "always"
    reason = run._recommended(some, np.asarray(HUNDREDS), {"no_change": 0.1, "median of the training rows": 0.5}, unit="minutes")[2]
    assert "always, MAE 0.60 minutes with 59 retrains; it is the best, and all that retrain less are significantly worse." in reason
    assert "But a trivial baseline is as good: median of the training rows (0.50 minutes)." in reason
    cheap = run._recommended([mae("a", GOOD, 0), mae("b", SLIGHTLY_WORSE, 3)], np.asarray(HUNDREDS), {"median of the training rows": 3.0}, unit="minutes")[2]
    assert cheap.startswith("a, MAE 0.80 minutes with 0 retrains; the best is b, 0.80 minutes with 3, ahead by ±0.00 minutes (−0.02 to +0.02, 95 %")


def test_figures_are_under_the_name_of_their_kpi() -> None:
    plain, chosen = made("never", GOOD, 0).figures(), dataclasses.replace(made("never", GOOD, 0), kpi_name="brier", task_kpi=0.9).figures()
    assert "accuracy" in plain and not {"kpi", "kpi_name", "mae"} & set(plain)
    assert (chosen["brier"], chosen["accuracy"]) == (pytest.approx(0.8, abs=0.02), 0.9)


def test_random_is_never_the_choice() -> None:
    some = [made("random", GOOD, 1, "control"), made("significant", BAD, 30, "triggered")]
    assert recommend(some, HUNDREDS).chosen.name == "significant"


def made_result(some: list[PolicyResult], comparisons: tuple[outcome.Comparison, ...] = ()) -> BacktestResult:
    free = {"no_change": 0.7, "same_time_yesterday": math.nan, "majority": 0.55}
    return BacktestResult(
        **{"stream": "a $name^ with signs", "first_row": 100, "rows": 6000, "blocks": 60, "block_size": 100, "threshold": 0.7, "judge_rows": 0},
        **{"truth_known": False, "baselines": free, "base_seconds": 1.0, "policies": tuple(some), "comparisons": comparisons, "random_seeds": 20},
        **{"recommended": some[0].name, "recommended_refit": some[0].name, "reason": "because", "seconds": 3.0},
    )


def crowded() -> BacktestResult:
    """Every policy, most of them nearly the same."""
    random = np.random.default_rng(4)
    some = [made(one.name, (78 + random.integers(-3, 4, size=60)).tolist(), int(random.integers(0, 60)), one.kind) for one in policies.parse("all")]
    rest = [one for one in some if one.name not in ("proactive", "continuous")]
    return made_result([*rest, made("proactive", GOOD, 12, "triggered"), made("continuous", GOOD, 59, "continuous")])


# Words and picture


def test_the_text_has_no_line_over_a_hundred_columns_and_no_nan() -> None:
    wide = Difference(-0.123, -0.1456, 0.1234)
    compared = tuple(outcome.Comparison(name, 1283, 0.7912, 0.7812, 0.77, 0.79, 0.7923, 0.7801, 0.8012, wide, wide) for name in policies.TRIGGERED)
    lines = text.backtest_text(dataclasses.replace(crowded(), comparisons=compared)).splitlines()
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if "nan" in line]
    assert all(any(line.startswith(one.name) for line in lines) for one in policies.parse("all"))


@pytest.mark.parametrize(("kpi", "unit"), [("mae", "minutes"), ("rmse", ""), ("brier", ""), ("balanced_accuracy", "")])
def test_the_text_of_any_kpi_names_it_and_has_no_line_over_a_hundred_columns(kpi: str, unit: str) -> None:
    size, task = (5000, "regression") if unit or kpi == "rmse" else (1, "classification")
    some = [
        dataclasses.replace(one, kpi_name=kpi, kpi=size * one.kpi, lower=size * one.lower, upper=size * one.upper, ahead_of_baseline=-size * 0.1)
        for one in crowded().policies
        if one.kind != "continuous"
    ]
    wide = Difference(-size * 0.123, -size * 0.1456, size * 0.1234)
    compared = tuple(outcome.Comparison(name, 1283, *(size * 0.7,) * 7, wide, wide, kpi) for name in policies.TRIGGERED)
    shown = dataclasses.replace(
        made_result(some, compared),
        task=task,
        unit=unit,
        kpi_name="" if kpi == "mae" else kpi,
        baselines={"best constant": size * 0.8},
        constant="best constant",
    )
    told = text.backtest_text(shown)
    assert max(map(len, told.splitlines())) <= 100 and "nan" not in told and "%" not in told.split("Recommended")[0].replace("95 %", "")
    words = KPIS[kpi].words
    assert f"{words[0].upper()}{words[1:]}: {'higher' if KPIS[kpi].higher else 'lower'} is better" in " ".join(told.split())
    (axes,) = plot.picture(shown).axes
    assert axes.get_ylabel() == f"{words}{f', {unit}' if unit else ''}; {'higher' if KPIS[kpi].higher else 'lower'} is better"


def compared(name: str, periodic: Difference, random: Difference) -> outcome.Comparison:
    return outcome.Comparison(name, 5, 0.8, 0.7, 0.6, 0.8, 0.7, 0.6, 0.8, periodic, random)


def test_a_trigger_that_beats_only_one_of_the_two_is_not_called_better() -> None:
    better, worse, unclear = Difference(0.02, 0.01, 0.03), Difference(-0.02, -0.03, -0.01), Difference(0.0, -0.01, 0.01)
    words = text.comparison_words([compared("one", better, better), compared("two", better, unclear), compared("three", better, worse)])
    assert "Better than both periodic and random with as many retrains: one." in words
    assert "Worse than one of them: three." in words
    assert "Not significantly different from at least one of them: two." in words
    assert "No triggered policy beats both" in text.comparison_words([compared("two", better, unclear)])


def test_the_names_in_the_picture_cover_neither_each_other_nor_a_point() -> None:
    drawn = crowded()
    figure = plot.picture(drawn)
    (axes,) = figure.axes
    renderer = figure.canvas.get_renderer()
    names = [one for one in axes.texts if one.get_text()]
    assert sorted(one.get_text() for one in names) == sorted(policy.name for policy in drawn.policies)
    boxes = [one.get_window_extent(renderer) for one in names]
    assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    points = [axes.transData.transform((policy.retrains, 100 * policy.kpi)) for policy in drawn.policies]
    assert not [point for point in points for box in boxes if box.contains(*point)]


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    plot.draw_picture(made_result([made("never", BAD, 0)]), tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_a_kpi_that_is_undefined_is_a_dash_and_no_point(tmp_path: Path) -> None:
    unknown = {"kpi": math.nan, "lower": math.nan, "upper": math.nan, "worst_block": math.nan, "by_block": (math.nan,) * 60, "kpi_name": "f1"}
    some = [dataclasses.replace(made(name, GOOD, retrains), **unknown) for name, retrains in (("never", 0), ("always", 59))]
    shown = dataclasses.replace(made_result(some), kpi_name="f1", baselines={"majority class": math.nan}, constant="majority class")
    plot.draw_picture(shown, tmp_path / "none.png")
    assert "nan" not in text.backtest_text(shown)
    assert run._recommended(some, np.asarray(HUNDREDS), shown.baselines)[0] == "never"


@pytest.mark.parametrize(
    ("late", "share", "words"),
    [
        (0, 1.0, "labels arrive when a block ends"),
        (7, 1.0, "labels arrive 7 blocks after their block has ended"),
        (1, 0.1, "labels of 10 % of the rows arrive 1 block after their block has ended"),
        (0, 0.125, "labels of 12.5 % of the rows arrive when a block ends"),
    ],
)
def test_text_picture_and_json_state_when_labels_arrive_and_of_how_many_rows(late: int, share: float, words: str) -> None:
    result = dataclasses.replace(crowded(), label_delay_blocks=late, label_share=share)
    told = " ".join(text.backtest_text(result).split())
    assert words in told
    assert (result.as_json()["label_delay_blocks"], result.as_json()["label_share"]) == (late, share)
    assert (words in plot.picture(result).axes[0].get_title(loc="left")) is bool(late or share < 1)


def test_an_undefined_share_is_a_dash() -> None:
    assert "–" in text.policies_table(crowded())


def test_a_fit_without_a_model_predicts_nothing() -> None:
    assert len(Fit(0, 10, np.empty(0, np.int8), 0.0, "failed").outputs) == 0


# Late and few labels


class Seen(Rule):
    """Notes what a rule gets to see, and alarms at given updates."""

    name = "seen"

    def __init__(self, *alarms: int) -> None:
        self.alarms, self.losses = alarms, list[np.ndarray]()

    def update(self, errors: np.ndarray) -> Verdict:
        self.losses.append(errors)
        return Verdict(drift=len(self.losses) - 1 in self.alarms, kind="performance", rule=self.name, message="")

    def reset(self) -> None:
        pass


def test_a_rule_sees_the_labels_of_a_block_when_they_come_and_never_those_that_an_earlier_model_answered(scene: Scene) -> None:
    rule, late = Seen(0), dataclasses.replace(scene, delay=2)
    played = play(rule, late)
    assert played.alarms[0].block == played.retrains[0] == 2  # the labels of block 0 come when block 2 ends
    assert np.array_equal(played.outputs[3 * BLOCK :], scene.fits.at(scene.cut[0].stop).on(FIRST + 3 * BLOCK, ROWS))  # fitted on what was known
    assert len(rule.losses) == 1 + len(scene.cut) - 2 - 3  # and then blocks 3.. of the new model
    assert np.array_equal(
        rule.losses[1], late.doing.losses_of(scene.stream.labels[FIRST + 3 * BLOCK : FIRST + 4 * BLOCK], played.outputs[3 * BLOCK : 4 * BLOCK])
    )


def test_a_policy_that_needs_no_labels_decides_at_each_block_and_learns_only_what_is_known(scene: Scene) -> None:
    late = dataclasses.replace(scene, delay=2)
    played = play(At(range(len(scene.cut))), late, blind=True)
    assert played.retrains == tuple(range(2, len(scene.cut) - 1))  # before, no label has come
    parts = [
        scene.base.on(FIRST, FIRST + 3 * BLOCK),
        *(scene.fits.at(scene.cut[at - 3].stop).on(scene.cut[at].start, scene.cut[at].stop) for at in range(3, 6)),
    ]
    assert np.array_equal(played.outputs, np.concatenate(parts))
    assert late.stops() == {block.stop for block in scene.cut[:3]}


def test_with_a_share_of_labels_rules_and_fits_see_only_those_rows(scene: Scene, folder: Path) -> None:
    labelled = np.random.default_rng(1).random(ROWS) < 0.5
    labelled[:FIRST] = True
    fits = Fits(ELEC, scene.stream, RETRAIN, folder=folder, labelled=labelled)
    few = dataclasses.replace(scene, labelled=labelled, fits=fits)
    rule = Seen(3)
    played = play(rule, few)
    assert [len(losses) for losses in rule.losses] == [int(labelled[block.start : block.stop].sum()) for block in scene.cut]
    known = np.flatnonzero(labelled)
    part = dataclasses.replace(scene.stream, rows=scene.stream.rows[known], labels=scene.stream.labels[known], times=scene.stream.times[known])
    rows = int((known < scene.cut[3].stop).sum())
    by_itself = fitting.fit(ELEC, part, RETRAIN.params, train=(0, rows), max_epochs=RETRAIN.max_epochs, seed=RETRAIN.seed)
    assert np.array_equal(played.outputs[4 * BLOCK :], trained_model.predict(by_itself.model, scene.stream, scene.cut[3].stop, ROWS))
    assert fits.at(scene.cut[3].stop).start == known[rows - WINDOW]
    assert fits.place != scene.fits.place


def test_without_delay_and_with_all_labels_nothing_changes(scene: Scene, folder: Path) -> None:
    every = dataclasses.replace(scene, labelled=np.ones(ROWS, bool), fits=Fits(ELEC, scene.stream, RETRAIN, folder=folder, labelled=np.ones(ROWS, bool)))
    one, other = (play(At((1, 3)), given) for given in (scene, every))
    assert np.array_equal(one.outputs, other.outputs)
    assert one.retrains == other.retrains


def test_continuous_learns_what_has_come(scene: Scene) -> None:
    late = dataclasses.replace(scene, delay=len(scene.cut) - 1)
    first = OnlineLearner(features=3, classes=2, period=None)
    played = play_continuous(first, late)
    assert played.retrains == ()
    before = OnlineLearner(features=3, classes=2, period=None)
    assert np.array_equal(played.outputs[:BLOCK], play_continuous(before, scene).outputs[:BLOCK])
    assert not np.array_equal(played.outputs[BLOCK:], play_continuous(OnlineLearner(features=3, classes=2, period=None), scene).outputs[BLOCK:])


# Updates, prices, training time


def updated(scene: Scene) -> Played:
    fitted = fitting.fit(ELEC, scene.stream, BASE.params, train=(0, FIRST), max_epochs=BASE.max_epochs, seed=BASE.seed)
    known = trained_model.KnownModel(fitted.model, fitted.params, fitted.trained, 0, {}, "", "")
    return play_updated(updater(ELEC, scene.stream, known, block_rows=BLOCK, seed=7, labelled=scene.labelled), fitted.model, scene)


def test_an_updated_network_predicts_a_block_before_it_learns_it(scene: Scene) -> None:
    whole = updated(scene)
    assert np.allclose(whole.outputs[:BLOCK], scene.base.on(FIRST, FIRST + BLOCK), atol=1e-6)  # the base model's, nothing is learned yet
    labels = scene.stream.labels.copy()
    labels[-BLOCK:] = 1 - labels[-BLOCK:]
    turned = updated(dataclasses.replace(scene, stream=dataclasses.replace(scene.stream, labels=labels)))
    assert np.array_equal(whole.outputs, turned.outputs)
    assert len(whole.retrains) == len(scene.cut) - 1


def test_an_updated_network_learns_only_labels_that_have_come(scene: Scene) -> None:
    late = updated(dataclasses.replace(scene, delay=2))
    whole = updated(scene)
    assert np.allclose(late.outputs[: 3 * BLOCK], scene.base.on(FIRST, FIRST + 3 * BLOCK), atol=1e-6)
    assert not np.allclose(late.outputs[3 * BLOCK :], whole.outputs[3 * BLOCK :], atol=1e-6)
    few = np.ones(ROWS, bool)
    few[FIRST:] = False
    blank = dataclasses.replace(scene, labelled=few)
    other = dataclasses.replace(scene.stream, labels=np.where(few, scene.stream.labels, 0))
    assert np.array_equal(updated(blank).outputs, updated(dataclasses.replace(blank, stream=other)).outputs)


def test_a_retrain_that_takes_blocks_answers_so_many_blocks_later_and_none_begins_meanwhile(scene: Scene) -> None:
    slow = play(At(range(6)), dataclasses.replace(scene, retrain_blocks=2), blind=True)
    assert slow.retrains == (0, 3)  # the third begins with block 5, the last, which nothing follows
    at_once = play(At([0]), scene, blind=True)
    assert np.array_equal(slow.outputs[: 3 * BLOCK], scene.base.on(FIRST, FIRST + 3 * BLOCK))
    assert np.array_equal(slow.outputs[3 * BLOCK : 5 * BLOCK], at_once.outputs[3 * BLOCK : 5 * BLOCK])


def test_a_dear_retrain_is_rarer_and_one_for_nothing_follows_each_loss(scene: Scene) -> None:
    goal = Goal(CLASSIFICATION, threshold=0.95)
    numbers = [len(play(ByCost(goal, Price(fixed=price)), scene).retrains) for price in (0, 60, 100_000)]
    assert numbers[0] >= numbers[1] >= numbers[2] == 0 and numbers[0] > 1
    measured = play(ByCost(goal, Price(per_second=1e9)), scene)
    assert len(measured.retrains) == 1  # the first tells what the next would cost
