"""Names to codes and back: classes of any kind, missing and foreign ones, and the numbers of a regression."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftloop.data.labels import Labels


@pytest.mark.parametrize("names", [("DOWN", "UP"), (0, 1), (3, 1, 2), ("a", 1), (True, False)])
def test_decoding_gives_back_what_was_encoded(names: tuple[object, ...]) -> None:
    labels = Labels(names)
    again = labels.decode(labels.encode([*names, names[0]]))
    assert again == [*names, names[0]]
    assert [type(name) for name in again] == [type(name) for name in (*names, names[0])]


def test_a_missing_label_has_no_code_and_a_foreign_one_that_which_is_given() -> None:
    labels = Labels(("a", "b"))
    assert np.array_equal(labels.encode(["b", None, "c", 1]), [1, math.nan, math.nan, math.nan], equal_nan=True)
    assert np.array_equal(labels.encode(["b", None, "c"], foreign=2), [1, math.nan, 2], equal_nan=True)
    assert labels.encode([]).shape == (0,)


def test_the_labels_of_a_regression_are_their_own_codes() -> None:
    assert Labels().decode(Labels().encode([1, 2.5])) == [1.0, 2.5]
    assert np.isnan(Labels().encode([None])).all()
