"""Tests of categories, missing and unseen values: calibrated, named in their own words, and independent of the codes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from scipy.spatial.distance import jensenshannon

from benchmarks.categories import coded, repeats
from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import dependence, levels, shift_words
from driftloop.drift.inputs.distribution import FeatureTest, compare

FUELS = ("diesel", "electric", "petrol")
FUEL = Column("fuel", "feature", "category", categories=FUELS)
NUMBER = Column("load", "feature", "number")
SEEDS = 60


def answer(reference: Sequence[float], current: Sequence[float], column: Column = FUEL, **more: object) -> FeatureTest:
    sides = (np.asarray(side, np.float64)[:, None] for side in (reference, current))
    (test,) = compare(*sides, names=[column.name], columns=[column], **more)  # type: ignore[arg-type]
    return test


def fuels(seed: int, shares: Sequence[float], rows: int) -> np.ndarray:
    return np.random.default_rng(seed).choice(len(shares), size=rows, p=shares).astype(float)


def in_runs(rng: np.random.Generator, values: np.ndarray, repeated: float) -> np.ndarray:
    return values[repeats(rng, len(values), repeated)]


@pytest.mark.parametrize("repeated", [0.0, 0.5])
@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize(("count", "power", "rows"), [(2, 0.0, 20), (10, 0.0, 100), (200, 0.0, 100), (200, 1.5, 100), (200, 1.5, 600)])
def test_without_drift_alarms_stay_near_alpha(count: int, power: float, rows: int, missing: float, repeated: float) -> None:
    shares = np.arange(1.0, count + 1) ** -power
    alarms = 0
    for seed in range(1000, 1000 + SEEDS):
        rng = np.random.default_rng(seed)
        values = in_runs(rng, rng.choice(count, size=600 + rows, p=shares / shares.sum()).astype(float), repeated)
        values[in_runs(rng, rng.random(len(values)) < missing, repeated)] = np.nan
        codes, known = coded(values, 600)
        alarms += answer(codes[:600], codes[600:], replace(FUEL, categories=()), known=[known], permutations=199).moved
    assert alarms <= 8  # 5 % of 60 is 3; 9 or more have a chance of 0.3 %


def test_the_distance_is_the_total_variation_or_the_jensen_shannon_distance_of_the_shares() -> None:
    old, new = [0, 0, 0, 1, 2], [0, 1, 1, 1, 2]
    assert answer(old, new).distance == pytest.approx(0.4)
    assert answer(old, new).statistic == "tv"
    assert answer(old, new, statistic="js").distance == pytest.approx(jensenshannon([3, 1, 1], [1, 3, 1], base=2))


def test_a_moved_category_is_told_by_the_shares_of_its_values() -> None:
    test = answer(np.repeat([0.0, 1, 2], [200, 60, 240]), np.repeat([0.0, 1, 2], [110, 155, 235]), block_rows=1)
    assert test.moved
    assert test.words == "category fuel: electric 12 % → 31 %, diesel 40 % → 22 %"
    assert "tv 0.19 (electric 12 % → 31 %" in test.message


def test_a_missing_share_is_told_as_such_and_the_values_are_not() -> None:
    rng = np.random.default_rng(0)
    for column, values in ((FUEL, fuels(1, [0.4, 0.3, 0.3], 1000)), (NUMBER, rng.standard_normal(1000))):
        values[rng.permutation(500)[:10]] = np.nan
        values[500 + rng.permutation(500)[:70]] = np.nan
        test = answer(values[:500], values[500:], column)
        assert test.moved
        assert [aspect.name for aspect in test.aspects if aspect.moved] == ["missing"]
        assert test.words == f"{'category ' * (column is FUEL)}{column.name}: missing 2 % → 14 %"
        assert test.farthest == pytest.approx(0.12)


def test_values_that_are_new_to_the_model_are_named_the_most_frequent_first() -> None:
    partner = Column("partner", "feature", "category", categories=tuple(f"Partner{number}" for number in range(6)))
    old, new = fuels(0, [0.5, 0.5], 500), fuels(1, [0.5, 0.5], 500)
    new[::100], new[1::50] = 4, 3
    test = answer(old, new, partner, known=[2])
    assert [aspect.name for aspect in test.aspects if aspect.moved][-1] == "unseen"
    assert "3 % of values are new: Partner3, Partner4" in test.words


def test_a_share_of_new_values_that_grows_is_told_with_both_shares() -> None:
    old, new = fuels(0, [0.5, 0.48, 0.02], 1000), fuels(1, [0.45, 0.4, 0.15], 1000)
    assert "new values 1.7 % → 14.9 %: petrol" in answer(old, new, known=[2]).words or "new values" in answer(old, new, known=[2]).words
    assert not any(aspect.moved for aspect in answer(new, new, known=[2]).aspects)


def test_rare_categories_that_the_reference_happens_to_lack_are_no_drift_but_a_frequent_one_is() -> None:
    shares = np.arange(1.0, 401) ** -1.2
    values = np.random.default_rng(4).choice(400, size=1200, p=shares / shares.sum()).astype(float)
    codes, known = coded(values, 1000)
    column = replace(FUEL, categories=())
    calm = answer(codes[:1000], codes[1000:], column, known=[known])
    assert next(aspect for aspect in calm.aspects if aspect.name == "unseen").distance > 0.01
    assert not calm.moved
    codes[1000::10] = codes.max() + 1
    assert answer(codes[:1000], codes[1000:], column, known=[known]).moved


def test_two_levels_are_told_like_the_numbers_zero_and_one() -> None:
    rng = np.random.default_rng(0)
    old, new = in_runs(rng, rng.random(400) < 0.5, 0.5).astype(float), in_runs(rng, rng.random(300) < 0.7, 0.5).astype(float)
    number, boolean = answer(old, new, NUMBER), answer(old, new, Column("insured", "feature", "boolean"))
    assert boolean.p_value == number.p_value
    assert boolean.distance == pytest.approx(number.distance)
    assert boolean.words.startswith("boolean insured: true 47 %")


def test_numbers_without_missing_values_are_told_alike_with_and_without_columns() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.standard_normal((300, 3)), rng.standard_normal((200, 3)) + np.array([0, 0.3, 1])
    plain, described = compare(old, new, names="abc"), compare(old, new, names="abc", columns=[replace(NUMBER, name=name) for name in "abc"])
    assert [replace(test, aspects=()) for test in described] == list(plain)
    assert [test.words for test in plain] == [f"{test.feature} by KS {test.distance:.2f}" for test in described]


@hypothesis.settings(max_examples=40, deadline=None, derandomize=True, database=None)
@hypothesis.given(strategies.data())
def test_neither_the_codes_nor_their_order_matter(data: strategies.DataObject) -> None:
    count = data.draw(strategies.integers(1, 12))
    rows = strategies.lists(strategies.one_of(strategies.integers(0, count - 1).map(float), strategies.just(math.nan)), max_size=60)
    old, new = data.draw(rows), data.draw(rows)
    names = data.draw(strategies.permutations(range(count)))
    column = replace(FUEL, categories=tuple(f"level {code}" for code in range(count)))
    other = replace(FUEL, categories=tuple(f"level {names.index(code)}" for code in range(count)))
    renamed = [[math.nan if math.isnan(value) else float(names[int(value)]) for value in side] for side in (old, new)]
    one, two = answer(old, new, column, permutations=99), answer(*renamed, other, permutations=99)
    assert repr(one) == repr(two)


@hypothesis.settings(max_examples=60, deadline=None, derandomize=True, database=None)
@hypothesis.given(strategies.data())
def test_whatever_is_missing_every_answer_is_defined_and_silent(data: strategies.DataObject) -> None:
    kind = data.draw(strategies.sampled_from([FUEL, NUMBER, Column("b", "feature", "boolean")]))
    most = {"number": 5, "boolean": 1}.get(kind.kind, 4)  # codes of 3 up have no name
    rows = strategies.lists(strategies.one_of(strategies.integers(0, most).map(float), strategies.just(math.nan)), max_size=40)
    statistic = data.draw(strategies.sampled_from(["ks", "js", "psi", "wasserstein"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        test = answer(data.draw(rows), data.draw(rows), kind, permutations=99, statistic=statistic, known=[data.draw(strategies.integers(0, 3))])
    assert math.isnan(test.p_value) or 0 < test.p_value <= test.corrected <= 1
    assert not (test.moved and math.isnan(test.p_value))
    assert all(aspect.statistic != "ks" for aspect in test.aspects if kind is FUEL)
    assert "nan %" not in test.message


def test_too_few_rows_cannot_be_told_whatever_their_number_of_levels() -> None:
    for old in ([0.0, 1.0], [0.0, 1.0, 2.0]):
        test = answer(old, [1.0, 1.0])
        assert math.isnan(test.p_value)
        assert test.untold
        assert "cannot tell" in test.message


NOTHING = np.full(100, np.nan)


def test_a_column_that_is_missing_throughout_has_not_moved_and_one_that_vanishes_has() -> None:
    for column in (FUEL, NUMBER):
        still, gone = answer(NOTHING, NOTHING, column), answer(fuels(0, [0.5, 0.5], 100), NOTHING, column)
        assert (still.moved, still.p_value, still.untold) == (False, 1.0, False)
        assert gone.moved
        assert gone.words.endswith(f"{column.name}: missing 0 % → 100 %")


def test_one_level_has_not_moved() -> None:
    test = answer(np.zeros(50), np.zeros(50))
    assert (test.distance, test.p_value, test.moved) == (0.0, 1.0, False)
    assert "diesel 100 %" in test.message


def test_a_column_of_new_values_only_has_moved() -> None:
    test = answer(np.zeros(100), np.full(100, 2.0), known=[1])
    assert test.distance == 1.0
    assert "100 % of values are new: petrol" in test.words


def test_many_categories_hide_no_shift_of_one() -> None:
    values = fuels(0, [1 / 200] * 200, 1200)
    values[1000::10] = 7.0
    assert answer(values[:1000], values[1000:], replace(FUEL, categories=tuple(map(str, range(200))))).moved


def test_ten_thousand_categories_are_compared_in_bounded_memory() -> None:
    values = fuels(0, [1e-4] * 10_000, 12_000)
    test = answer(values[:10_000], values[10_000:], replace(FUEL, categories=()), permutations=99)
    assert not test.moved


def test_columns_must_be_as_many_as_names() -> None:
    with pytest.raises(ValueError, match="there are 1 columns and 2 names"):
        compare(np.zeros((5, 2)), np.zeros((5, 2)), names="ab", columns=[NUMBER])


def test_infinite_values_are_refused_where_missing_ones_are_not() -> None:
    with pytest.raises(ValueError, match="current row 1, column 0 is inf"):
        answer([0.0, 1.0], [math.nan, math.inf], NUMBER)


@pytest.mark.parametrize("repeated", [0.0, 0.5, 0.9])
def test_the_memory_of_two_levels_is_that_of_a_number(repeated: float) -> None:
    rng = np.random.default_rng(0)
    series = [in_runs(rng, rng.integers(0, 2, 2000), repeated) for _ in range(2)]
    assert levels.memory(series).length == dependence.memory(series).length


def test_the_more_levels_the_weaker_an_autocorrelation_that_is_seen() -> None:
    rng = np.random.default_rng(0)
    found = [levels.memory([in_runs(rng, rng.integers(0, count, 1000), 0.08)]).length for count in (2, 100)]
    assert found[0] == 1 < found[1]


@pytest.mark.parametrize(
    ("shares", "told"),
    [((0.4, 0.4), ["40 %", "40 %"]), ((0.123, 0.121), ["12.3 %", "12.1 %"]), ((0.0, 1e-6), ["0 %", "0.0001 %"]), ((0.10003, 0.1), ["10 %", "10 %"])],
)
def test_percentages_have_one_more_digit_where_it_tells_them_apart(shares: tuple[float, float], told: list[str]) -> None:
    assert shift_words.percent(*shares) == told
