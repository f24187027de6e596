"""Texts get the codes of the model that is compared, and each new one has its own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from coded_records import CARS, COLUMNS, FUELS, coded, reference, values

from driftloop.data.schema.schema import Column
from driftloop.errors import DataError
from monitoring.features import Feature
from monitoring.references import fitting, known_columns
from monitoring.vocabulary import Vocabulary


def test_rows_of_values_are_the_rows_of_a_training() -> None:
    given = [values(row) for row in range(200)]
    raw = [[math.nan if row[name] is None else row[name] for name in CARS.feature_names] for row in given]
    assert np.array_equal(Vocabulary(COLUMNS).rows(raw), coded(given), equal_nan=True)


def test_new_texts_have_codes_of_their_own_after_those_that_are_known() -> None:
    words = Vocabulary(COLUMNS)
    assert words.codes(1, ["coal", "diesel", None, "wood", "coal"]).tolist()[:2] == [3.0, 0.0]
    assert words.columns[1].categories == (*FUELS, "coal", "wood")
    assert (words.known, words.is_coded(0), words.is_coded(2)) == ((0, 3, 0, 2), False, False)


def test_the_codes_of_one_model_become_those_of_another_that_learned_other_texts_in_another_order() -> None:
    mine = Vocabulary([Column("fuel", "feature", "category", categories=FUELS)])
    rows = np.array([[0.0], [2.0], [np.nan], [3.0]])
    mine.codes(0, ["coal"])
    found, other = mine.translated(rows, [Column("fuel", "feature", "category", categories=("petrol", "coal"))])
    assert [other.columns[0].categories[int(code)] if code >= 0 else None for code in found.ravel()] == ["diesel", "petrol", None, "coal"]
    assert other.known == (2,)
    again, _ = mine.translated(rows, [Column("fuel", "feature", "category", categories=("petrol", "coal"))])
    assert np.array_equal(found, again, equal_nan=True)


def test_a_reference_keeps_the_codes_of_its_model_and_brings_its_features_in_the_order_of_the_stream() -> None:
    turned = reference(columns=COLUMNS[::-1])
    found = fitting(turned, CARS)
    assert found.about.columns == COLUMNS
    assert np.array_equal(found.rows, coded([values(row) for row in range(-len(found), 0)]), equal_nan=True)
    assert known_columns(found, CARS) == COLUMNS


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ((Feature("power", low=0, high=300), *CARS.features[1:]), ""),
        ((*CARS.features[:1], Feature("fuel", low=0, high=2, categorical=True), *CARS.features[2:]), "has texts in fuel, stream 'cars' has numbers"),
        ((*CARS.features[:2], Feature("automatic", low=0, high=1), CARS.features[3]), "has true and false in automatic, stream 'cars' has numbers"),
        ((Feature("power", texts=("a", "b")), *CARS.features[1:]), "has numbers in power, stream 'cars' has texts"),
    ],
)
def test_a_stream_of_other_kinds_than_its_model_is_told(features: tuple[Feature, ...], said: str) -> None:
    stream = replace(CARS, features=features)
    if not said:
        assert fitting(reference(), stream).about.columns == COLUMNS
        return
    with pytest.raises(DataError, match=f"the training reference of run run-1 {said}: correct the streams file"):
        fitting(reference(), stream)


def test_a_category_whose_values_the_stream_takes_as_numbers_is_these_numbers_and_compared_as_levels() -> None:
    zones = tuple(map(str, (161, 9, 263)))
    trained = reference(columns=(*COLUMNS[:1], Column("fuel", "feature", "category", low=9, high=263, categories=zones), *COLUMNS[2:]), fuels=zones)
    zone = Feature("fuel", low=1, high=263, categorical=True)
    found = fitting(trained, replace(CARS, features=(*CARS.features[:1], zone, *CARS.features[2:])))
    assert found.about.columns[1] == zone.column and found.about.columns[1].kind == "category"
    there = ~np.isnan(trained.rows[:, 1])
    assert found.rows[there, 1].tolist() == [float(zones[int(code)]) for code in trained.rows[there, 1]] and np.isnan(found.rows[~there, 1]).all()
    before, now = trained.spans, found.spans
    assert before and now and now.columns[1].category and now.columns[1].tops.tolist() == [9.0, 161.0, 263.0]
    assert np.array_equal(now.columns[1].counts, before.columns[1].counts[:, [1, 0, 2, 3]])
    assert np.array_equal(now.columns[1].counted(found.rows[:, 1]), now.columns[1].counts.sum(axis=0))


def test_a_number_outside_the_streams_range_is_missing_from_the_reference_of_a_category() -> None:
    trained = reference(columns=(*COLUMNS[:1], Column("fuel", "feature", "category", categories=("1", "2", "3")), *COLUMNS[2:]), fuels=("1", "2", "3"))
    found = fitting(trained, replace(CARS, features=(*CARS.features[:1], Feature("fuel", low=1, high=2, categorical=True), *CARS.features[2:])))
    assert np.unique(found.rows[~np.isnan(found.rows[:, 1]), 1]).tolist() == [1.0, 2.0]


def test_a_reference_without_columns_does_not_fit_a_stream_of_texts() -> None:
    early = reference()
    early = replace(early, about=replace(early.about, columns=()))
    with pytest.raises(DataError, match="takes numbers only, stream 'cars' has texts or booleans in fuel, automatic, checked"):
        fitting(early, CARS)
