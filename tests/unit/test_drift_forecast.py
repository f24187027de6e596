"""Forecasts: what covers, what is refused, and when nothing can be told."""

import math

import numpy as np
import pytest

from driftloop.drift.forecast import error_scores, survival
from driftloop.drift.forecast.crossing import MIN_BLOCKS, MIN_VERSIONS, CrossingWords, Forecast, Lifetime, crossing, due, from_survival, lifetime, predict

FALLING = [0.9 - 0.005 * block for block in range(20)]  # block 31 is the first under 0.75
ROWS = [336] * 20


def simulated(seed: int) -> tuple[np.ndarray, int]:
    """Block KPIs of a straight decline from 0.85 under 0.75, up to a random block before it crosses, and the blocks until then."""
    rng = np.random.default_rng(seed)
    crossed = int(rng.integers(12, 80))
    now = int(rng.integers(8, crossed))
    level = 0.85 - 0.1 * np.arange(1, now + 1) / crossed
    return rng.binomial(96, level) / 96, crossed + 1 - now


def lived(*blocks: int) -> list[Lifetime]:
    return [Lifetime(number, True) for number in blocks]


def test_a_clear_decline_is_forecast_on_both_sides_of_its_crossing():
    told = crossing(FALLING, ROWS, threshold=0.75)
    assert told.source == "trend"
    assert 3 < told.early < 11 < told.late < 40
    assert told.early <= told.middle <= told.late


def test_most_simulated_crossings_lie_in_the_interval():
    inside = 0
    for seed in range(60):
        accuracies, blocks = simulated(seed)
        told = crossing(accuracies, [96] * len(accuracies), threshold=0.75)
        inside += told.early <= blocks <= told.late
    assert 40 <= inside <= 56


def test_the_same_figures_give_the_same_forecast():
    assert crossing(FALLING, ROWS, threshold=0.75) == crossing(FALLING, ROWS, threshold=0.75)


def test_higher_confidence_is_a_wider_interval():
    narrow, wide = (crossing(FALLING, ROWS, threshold=0.75, confidence=confidence) for confidence in (0.5, 0.95))
    assert wide.early < narrow.early < narrow.late < wide.late


def test_a_steady_accuracy_far_above_is_forecast_later_than_a_falling_one():
    steady = crossing([0.9] * 20, ROWS, threshold=0.75)
    falling = crossing(FALLING, ROWS, threshold=0.75)
    assert steady.early > falling.middle
    assert steady.late > falling.late


def test_what_cannot_happen_within_the_horizon_is_infinite_and_said_so():
    told = crossing([0.99] * 40, [336] * 40, threshold=0.5, horizon=5)
    assert told.early == told.late == math.inf
    assert "later than the horizon, if at all" in told.message
    assert not due(told, 100)


def test_an_accuracy_far_under_the_threshold_is_told_as_crossed_already():
    told = crossing([0.6] * 20, ROWS, threshold=0.75)
    assert (told.early, told.late) == (0, 0)
    assert "already" in told.message
    assert due(told, 0)


def test_the_measured_crossing_of_small_blocks_comes_sooner_than_the_true_one():
    rows, accuracies = [20] * 20, [0.85, 0.9] * 10
    assert crossing(accuracies, rows, threshold=0.75, measured=True).middle < crossing(accuracies, rows, threshold=0.75).middle


def test_earlier_versions_that_declined_alike_narrow_the_interval():
    rng = np.random.default_rng(1)
    earlier = [(rng.binomial(96, 0.9 - 0.005 * np.arange(31)) / 96, [96] * 31) for _ in range(8)]
    young = rng.binomial(96, 0.9 - 0.005 * np.arange(8)) / 96  # 23 blocks before it crosses
    alone = crossing(young, [96] * 8, threshold=0.75)
    joined = crossing(young, [96] * 8, threshold=0.75, earlier=earlier)
    assert joined.early < 24 < joined.late
    assert joined.late - joined.early < (alone.late - alone.early) / 2


def test_with_earlier_versions_one_block_is_enough_for_a_trend():
    earlier = [(FALLING, ROWS)] * MIN_VERSIONS
    assert crossing([0.9], [336], threshold=0.75, earlier=earlier[1:]).source == "none"
    told = predict([0.9], [336], threshold=0.75, earlier=earlier, measured=True)
    assert told.source == "trend"
    assert told.early < 30 <= told.late


@pytest.mark.parametrize("blocks", [([], []), ([math.nan], [48]), ([0.9], [0]), ([0.9, 0.8], [48, 48])])
def test_earlier_versions_with_hardly_a_block_do_no_harm(blocks):
    told = crossing(FALLING, ROWS, threshold=0.75, earlier=[blocks] * 6)
    assert told.early < 11 < told.late


def test_blocks_without_labels_are_left_out_and_still_count_as_time():
    gap = [*FALLING[:10], *[math.nan] * 10, *FALLING[10:]]
    told = crossing(gap, [336] * 30, threshold=0.75)
    assert told.source == "trend"
    empty = crossing(gap, [336] * 10 + [0] * 10 + [336] * 10, threshold=0.75)
    assert empty == told


@pytest.mark.parametrize("accuracies", [[], [0.8], [0.8] * (MIN_BLOCKS - 1), [0.8, *[math.nan] * 10]])
def test_too_few_blocks_cannot_tell(accuracies):
    told = crossing(accuracies, [48] * len(accuracies), threshold=0.7)
    assert told.source == "none"
    assert "cannot tell" in told.message
    assert f"at least {MIN_BLOCKS}" in told.message
    assert math.isnan(told.early)
    assert not due(told, 1000)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("rows", [1, 48])
def test_constant_extremes_give_a_defined_forecast(value, rows):
    told = crossing([value] * 10, [rows] * 10, threshold=0.7)
    assert told.early <= told.middle <= told.late


def test_more_blocks_than_are_fitted_are_no_burden():
    assert crossing([0.9] * 700, [48] * 700, threshold=0.7).source == "trend"


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"threshold": math.nan},
        {"confidence": 0.0},
        {"confidence": 1.0},
        {"horizon": 0},
        {"rows": [336] * 3},
        {"rows": [-1] * 20},
        {"accuracies": [1.1] * 20},
    ],
)
def test_arguments_outside_their_range_are_refused(wrong):
    arguments = {"accuracies": FALLING, "rows": ROWS, "threshold": 0.75} | wrong
    with pytest.raises(ValueError, match="must"):
        crossing(arguments.pop("accuracies"), arguments.pop("rows"), **arguments)


def test_survival_without_censoring_gives_each_version_the_same_share():
    times, chance = survival.crossed_by(np.array([4, 1, 3, 2]), np.zeros(4, bool), age=0)
    assert times.tolist() == [0, 1, 2, 3, 4]
    assert chance == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


def test_a_version_replaced_before_it_crossed_makes_survival_longer():
    lives = np.array([2, 3, 4, 5, 6, 7])
    _, all_crossed = survival.crossed_by(lives, np.zeros(6, bool), age=0)
    _, some_replaced = survival.crossed_by(lives, lives == 4, age=0)
    assert some_replaced[-1] < all_crossed[-1]


def test_survival_is_that_of_the_versions_which_reached_this_age():
    young, old = (from_survival(lived(1, 1, 1, 1, 10, 11, 12, 13, 14), age=age) for age in (0, 5))
    assert young.early <= 1
    assert 2 < old.early < old.middle < old.late


def test_survival_covers_the_next_version_as_often_as_it_says():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        lives = rng.geometric(0.05, size=16)
        told = from_survival(lived(*lives[:15]), age=0)
        inside += told.early <= lives[15] <= told.late
    assert 0.74 < inside / 400 < 0.86


@pytest.mark.parametrize(("lives", "age"), [([], 0), (lived(5, 5, 5), 0), ([Lifetime(5, False)] * 9, 0), (lived(*[5] * 9), 5), ([Lifetime(0, False)] * 9, 0)])
def test_too_few_versions_cannot_tell(lives, age):
    told = from_survival(lives, age=age)
    assert told.source == "none"
    assert f"at least {MIN_VERSIONS}" in told.message


@pytest.mark.parametrize("wrong", [{"lifetimes": lived(-1)}, {"age": -1}, {"confidence": 1.5}, {"confidence": math.nan}])
def test_survival_refuses_what_makes_no_sense(wrong):
    arguments = {"lifetimes": lived(5, 5, 5, 5), "age": 0} | wrong
    with pytest.raises(ValueError, match="must"):
        from_survival(arguments.pop("lifetimes"), **arguments)


def test_a_fresh_version_is_forecast_from_earlier_ones_and_an_older_one_from_its_trend():
    lives = lived(3, 5, 8, 9, 12)
    assert predict(FALLING[:2], ROWS[:2], threshold=0.75, lifetimes=lives).source == "survival"
    assert predict(FALLING, ROWS, threshold=0.75, lifetimes=lives).source == "trend"
    none = predict(FALLING[:2], ROWS[:2], threshold=0.75)
    assert none.source == "none"
    assert "2 blocks, needs at least" in none.message


def test_a_lifetime_ends_with_the_first_block_under_the_threshold():
    assert lifetime([0.9, math.nan, 0.6, 0.5], threshold=0.7) == Lifetime(3, True)
    assert lifetime([], threshold=0.7) == Lifetime(0, False)


def test_due_compares_the_early_end_with_the_lead():
    told = Forecast(early=3, middle=5, late=9, confidence=0.8, source="trend", message="")
    assert [due(told, lead) for lead in (2, 3, 4)] == [False, True, True]


@pytest.mark.parametrize(("accuracy", "blocks", "guess"), [(0.9875, 5, True), (0.9875, 9, True), (0.9875, 10, False), (0.5, 5, True)])
def test_a_forecast_from_few_blocks_says_that_it_is_a_guess(accuracy: float, blocks: int, guess: bool) -> None:
    told = crossing([accuracy] * blocks, [80] * blocks, threshold=0.8)
    assert told.source == "trend"
    assert told.message.endswith(f"; a rough guess, from {blocks} blocks of this version") == guess


def test_the_interval_of_a_regression_holds_as_many_crossings_as_it_says():
    """Errors that are gamma or lognormal around a mean that rises to the threshold, 100 declines of any shape."""
    rng, threshold, inside = np.random.default_rng(5), 10.0, []
    for _ in range(100):
        shape, life, start = rng.choice([1, 1.5, 2]), int(rng.integers(20, 120)), rng.uniform(0.5, 0.85)
        seen, rows = max(6, int(life * rng.uniform(0.3, 0.9))), int(rng.choice([48, 200, 1000]))
        means = threshold * (start + (1 - start) * (np.arange(1, seen + 1) / life) ** shape)
        drawn = [rng.gamma(2, mean / 2, rows) if shape != 1 else rng.lognormal(np.log(mean) - 0.5, 1, rows) for mean in means]
        values, sizes = error_scores.scores(drawn, threshold=threshold)
        found = crossing(values, sizes, threshold=error_scores.LEVEL)
        inside.append(found.early <= life - seen + 1 <= found.late + 1)
    assert 0.68 <= np.mean(inside) <= 0.92  # 80 % is stated: three standard errors


def test_one_extreme_error_does_not_widen_the_forecast():
    rng = np.random.default_rng(8)
    drawn = [rng.gamma(2, (1 + 0.03 * block) / 2, 48) for block in range(30)]
    plain = error_scores.scores(drawn, threshold=2.0)[1]
    drawn[10][0] = 500.0
    assert min(error_scores.scores(drawn, threshold=2.0)[1][11:]) > 0.7 * min(plain[11:])


def test_the_forecast_of_an_error_names_it():
    values, sizes = error_scores.scores([np.full(100, 2.0 + 0.1 * block) + np.tile([0.5, -0.5], 50) for block in range(12)], threshold=3.5)
    words = CrossingWords.of_error("MAE", 3.5, "minutes")
    told = predict(values, sizes, threshold=error_scores.LEVEL, words=words).message
    assert told.startswith("the true MAE rises above 3.5 minutes in ")
