"""Data drift and concept drift told apart, on streams whose drift is known."""

import dataclasses
import math

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from driftloop.data import synthetic
from driftloop.drift.kind.decomposition import Decomposition, decompose
from driftloop.drift.kind.kinds import tell
from driftloop.drift.verdict import Verdict

ROWS = 600
Sides = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def sides(generator: str, drift: str, *, seed: int = 1, autocorrelation: float = 0.0) -> Sides:
    """Reference and current rows of a stream with their hits, of a model fitted on the rows before; the drift is between the two."""
    at = None if drift == "none" else 2 * ROWS
    stream = synthetic.make(generator, rows=3 * ROWS, seed=seed, drift=drift, at=at, autocorrelation=autocorrelation).stream
    model = HistGradientBoostingClassifier(max_iter=30, early_stopping=False).fit(stream.rows[:ROWS], stream.labels[:ROWS])
    correct = model.predict(stream.rows) == stream.labels
    return stream.rows[ROWS : 2 * ROWS], correct[ROWS : 2 * ROWS], stream.rows[2 * ROWS :], correct[2 * ROWS :]


def told(rows: Sides, **settings: float) -> Verdict:
    return tell(*rows, names=[f"x{i}" for i in range(rows[0].shape[1])], **settings)  # type: ignore[arg-type]


def plain(rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((rows, 2)), rng.random(rows) < 0.8


@pytest.mark.parametrize("generator", synthetic.GENERATORS)
@pytest.mark.parametrize(("drift", "kind"), [("data", "data"), ("abrupt", "concept"), ("none", "none")])
def test_the_kind_is_named_on_every_generator(generator: str, drift: str, kind: str) -> None:
    verdict = told(sides(generator, drift))
    assert (verdict.kind, verdict.drift, verdict.rule) == (kind, kind != "none", "kind")


def test_without_drift_it_seldom_alarms() -> None:
    assert sum(told(sides("sea", "none", seed=seed, autocorrelation=0.5)).drift for seed in range(6)) <= 1


def test_both_at_once_are_both() -> None:
    old_rows, old_correct, *_ = sides("sea", "none")
    new_rows, new_correct = sides("sea", "data", seed=2)[2:]
    turned = np.where(np.random.default_rng(0).random(ROWS) < 0.25, False, new_correct)
    assert told((old_rows, old_correct, new_rows, turned)).kind == "both"


def test_an_interval_far_from_zero_is_no_as_before_where_errors_come_in_long_runs() -> None:
    rng = np.random.default_rng(0)
    rows = rng.random((360, 1))
    correct = np.repeat(np.concatenate([np.ones(6), rng.permutation(np.repeat([1, 0], [8, 4]))]), 20)
    verdict = told((rows[:120], correct[:120], rows[120:], correct[120:]))
    assert verdict.upper < 0
    assert (verdict.drift, verdict.kind) == (False, "cannot tell")
    assert "Not proven whether the errors on equal inputs have changed (p" in verdict.message
    assert "rows on each side would settle it" in verdict.message


def test_the_features_that_moved_come_farthest_first() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.standard_normal((ROWS, 3)), rng.standard_normal((ROWS, 3)) + np.array([0.4, 0, 0.9])
    right = rng.random((2, ROWS)) < 0.8
    verdict = tell(old, right[0], new, right[1], names=("a", "b", "c"))
    assert verdict.features == ("c", "a")
    assert "the inputs have moved, c by KS" in verdict.message


def test_inputs_that_moved_jointly_only_are_data_drift_without_a_feature() -> None:
    rng = np.random.default_rng(0)
    old, new = (rng.multivariate_normal([0, 0], [[1, r], [r, 1]], ROWS) for r in (0.7, -0.3))
    right = rng.random((2, ROWS)) < 0.8
    verdict = told((old, right[0], new, right[1]))
    assert (verdict.kind, verdict.features) == ("data", ())
    assert "the joint distribution has" in verdict.message


def test_a_concept_that_raises_the_kpi_is_a_drift_too() -> None:
    rows, _ = plain(ROWS)
    rng = np.random.default_rng(1)
    verdict = told((rows, rng.random(ROWS) < 0.7, rng.random((ROWS, 2)), rng.random(ROWS) < 0.9))
    assert verdict.kind == "concept"
    assert verdict.lower > 0.1


def test_a_concept_that_leaves_the_kpi_as_it_is_is_found() -> None:
    rng = np.random.default_rng(2)
    old, new = rng.random((ROWS, 2)), rng.random((ROWS, 2))
    right = [rng.random(ROWS) < np.where((rows[:, 0] > 0.5) == first, 0.9, 0.6) for rows, first in ((old, True), (new, False))]
    verdict = told((old, right[0], new, right[1]))
    assert abs(right[0].mean() - right[1].mean()) < 0.05
    assert verdict.kind == "concept"


def test_the_parts_add_up_and_the_truth_lies_in_their_intervals() -> None:
    rng = np.random.default_rng(3)
    old, new = rng.standard_normal((4000, 2)), rng.standard_normal((4000, 2)) + np.array([0.7, 0])

    def chance(rows: np.ndarray) -> np.ndarray:
        return np.where(rows[:, 0] > 1, 0.5, 0.9)

    found = decompose(old, rng.random(4000) < chance(old), new, rng.random(4000) < chance(new) - 0.1)
    explained = chance(rng.standard_normal((200_000, 2)) + np.array([0.7, 0])).mean() - chance(rng.standard_normal((200_000, 2))).mean()
    assert found.data.change + found.concept.change == pytest.approx(found.total.change)
    assert found.data.lower < explained < found.data.upper
    assert found.concept.lower < -0.1 < found.concept.upper
    assert found.p_value < 1e-4


def test_a_message_says_all_of_it_in_figures() -> None:
    old, right, new, wrong = sides("sea", "abrupt")
    verdict = told((old, right, new, wrong))
    for part in ("Concept drift: the KPI went from", f"{right.mean():.3f} to {wrong.mean():.3f}", "the inputs explain", "the rest is", "p under 0.0001"):
        assert part in verdict.message
    assert "nan" not in verdict.message


def test_a_message_says_of_how_many_features_it_cannot_be_told() -> None:
    rng = np.random.default_rng(0)
    slow = np.cumsum(rng.standard_normal(600))  # neighbours are so alike that 300 rows of each are worth a few
    rows = np.column_stack([rng.random(600), slow, rng.random(600)])
    right = rng.random(600) < 0.8
    verdict = told((rows[:300], right[:300], rows[300:], right[300:]))
    assert "the inputs have not moved beyond noise, but 1 of 3 features had too little data (p" in verdict.message
    assert "too little data" not in told((rows[:300, ::2], right[:300], rows[300:, ::2], right[300:])).message


def test_inputs_without_overlap_have_moved_but_the_kind_cannot_be_told() -> None:
    rows, right = plain()
    verdict = told((rows, right, rows + 5, right))
    assert (verdict.kind, verdict.drift, len(verdict.features)) == ("cannot tell", True, 2)
    assert "hardly overlap" in verdict.message


def test_reference_equal_to_current_is_no_drift() -> None:
    rows, right = plain()
    assert told((rows, right, rows, right)).kind == "none"


@pytest.mark.parametrize(("old", "new", "kind"), [(1, 1, "none"), (0, 0, "none"), (0, 1, "concept"), (1, 0, "concept")])
def test_all_right_and_all_wrong_are_defined(old: int, new: int, kind: str) -> None:
    rows, _ = plain(600)
    assert told((rows[:300], np.full(300, old), rows[300:], np.full(300, new))).kind == kind


def test_constant_features_are_no_drift_until_they_differ() -> None:
    _, right = plain()
    constant = np.ones((300, 2))
    assert told((constant, right, constant, right)).kind == "none"
    moved = told((constant, right, 2 * constant, right))
    assert (moved.drift, moved.kind) == (True, "cannot tell")


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 300), (300, 0), (1, 1), (300, 20), (20, 300)])
def test_too_few_rows_cannot_be_told_and_the_least_is_named(old: int, new: int) -> None:
    rows, right = plain()
    verdict = told((rows[:old], right[:old], rows[:new], right[:new]))
    assert (verdict.kind, verdict.drift) == ("cannot tell", False)
    assert math.isnan(verdict.statistic)
    assert "needs at least 30 rows of each" in verdict.message
    assert "nan" not in verdict.message and ("went from" in verdict.message) == (min(old, new) > 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0.0}, "alpha is 0"),
        ({"alpha": 1.0}, "alpha is 1"),
        ({"current_correct": np.ones(3)}, r"current_correct has shape \(3,\)"),
        ({"current_correct": np.full(300, 2)}, "must hold 0 and 1 only"),
        ({"reference_correct": np.full(300, np.nan)}, "must hold 0 and 1 only"),
        ({"current_rows": np.full((300, 2), np.nan)}, "current row 0, column 0 is nan"),
        ({"current_rows": np.zeros((300, 3))}, "a column for each name"),
        ({"names": ()}, "at least one feature"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(change: dict[str, object], message: str) -> None:
    rows, right = plain()
    arguments = {"reference_rows": rows, "reference_correct": right, "current_rows": rows, "current_correct": right, "names": ("a", "b")} | change
    with pytest.raises(ValueError, match=message):
        tell(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_a_decomposition_needs_an_alpha_between_0_and_1(alpha: float) -> None:
    rows, right = plain()
    with pytest.raises(ValueError, match="alpha is"):
        decompose(rows, right, rows, right, alpha=alpha)


def test_whole_numbers_and_booleans_are_taken_as_they_are() -> None:
    rng = np.random.default_rng(0)
    old, new, right = rng.integers(0, 3, (300, 2)), rng.integers(0, 3, (300, 2)), rng.random(300) < 0.8
    assert told((old, right, new, right)) == told((old.astype(float), right.astype(int), new.astype(float), right.astype(float)))


def test_the_values_are_frozen() -> None:
    assert dataclasses.fields(Decomposition)
    rows, right = plain()
    with pytest.raises(dataclasses.FrozenInstanceError):
        decompose(rows, right, rows, right).p_value = 0.0  # type: ignore[misc]


def test_an_undecided_test_stays_undecided_however_many_edges_there_were() -> None:
    rng = np.random.default_rng(3)
    old, new = rng.random((20, 1)), rng.random((20, 1))
    found = tell(old, np.ones(20), new, np.zeros(20), names=("x",), fallen=True, edges=4)
    assert found.kind == "cannot tell"
    assert "nan" not in found.message
