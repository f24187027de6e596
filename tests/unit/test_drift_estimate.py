"""The KPI without labels beyond plain confidence: re-weighted to the rows' values, and a model of a regression's loss."""

import math

import numpy as np
import pytest

from benchmarks.kpi_streams import KPIS as WATCHED
from driftloop.drift.estimate import row_kpi
from driftloop.drift.estimate.confidence import LabelFree
from driftloop.drift.estimate.methods import MIN_REWEIGHTED, PLAIN, REWEIGHTED, Described, Methods
from driftloop.drift.estimate.quality import MIN_BLOCKS
from driftloop.drift.estimate.row_kpi import ACCURACY, MAE, RowKpi
from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.row_kpis import RmseKpi
from driftloop.metrics.task import Task

ROWS = 4000


def two_groups(rng: np.random.Generator, rows: int, hard: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A model as sure (0.8) in both groups, right in 95 % of the easy one and in 65 % of the hard one: features, outputs, labels."""
    group = (rng.random(rows) < hard).astype(float)
    predicted = rng.integers(0, 2, rows)
    labels = np.where(rng.random(rows) < np.where(group == 1, 0.65, 0.95), predicted, 1 - predicted)
    return np.column_stack([group, rng.normal(size=rows)]), 0.2 + 0.6 * np.eye(2)[predicted], labels


def by_row(name: str) -> RowKpi:
    """The KPI that is chosen by this name, as the watch estimates it."""
    kpi = row_kpi.of_task(WATCHED[name])
    assert kpi is not None
    return kpi


def learned(rng: np.random.Generator, *, kpi: RowKpi = ACCURACY, hard: float = 0.2, blocks: int = 1) -> LabelFree:
    label_free = LabelFree(kpi, coded=(True, False))
    for _ in range(blocks):
        features, outputs, labels = two_groups(rng, ROWS // blocks, hard)
        label_free.learn(outputs, labels, features)
    return label_free


def test_where_the_inputs_shift_reweighting_is_near_the_truth_that_confidence_alone_misses() -> None:
    rng = np.random.default_rng(1)
    label_free = learned(rng)
    features, outputs, _ = two_groups(rng, 2000, hard=0.8)
    assert label_free.estimate(outputs, features).value == pytest.approx(0.71, abs=0.02)  # 0.2 * 0.95 + 0.8 * 0.65
    alone = LabelFree()
    old = two_groups(np.random.default_rng(1), ROWS, hard=0.2)
    alone.learn(old[1], old[2])
    assert alone.estimate(outputs).value == pytest.approx(0.89, abs=0.02)  # 0.8 * 0.95 + 0.2 * 0.65


@pytest.mark.parametrize("name", [name for name in WATCHED if KPIS[name].per_row])
def test_every_kpi_of_losses_per_row_is_reweighted_likewise(name: str) -> None:
    rng = np.random.default_rng(2)
    label_free = learned(rng, kpi=by_row(name))
    features, outputs, labels = two_groups(rng, 4000, hard=0.8)
    truth = WATCHED[name].value(WATCHED[name].losses_of(labels, outputs))
    assert label_free.estimate(outputs, features).value == pytest.approx(truth, rel=0.06)


@pytest.mark.parametrize("task", [*(kpi for name, kpi in WATCHED.items() if not KPIS[name].per_row), RmseKpi(0.0)], ids=lambda task: task.kpi)
def test_kpis_of_whole_blocks_and_of_squared_errors_are_not_estimated(task: Task) -> None:
    assert row_kpi.of_task(task) is None


@pytest.mark.parametrize("often", [1.0, 3.7], ids=["flag", "mostly zero"])
def test_a_rare_value_of_a_number_is_seen(often: float) -> None:
    """A flag that is true in 5 % of the rows learned from and in half of the new ones, and that decides how often the model is right."""
    rng, label_free = np.random.default_rng(4), LabelFree(coded=(False,))
    for rare, learns in ((0.05, True), (0.5, False)):
        flag = (rng.random(20_000) < rare) * (often if often == 1 else rng.uniform(1, often, 20_000))
        right = rng.random(20_000) < np.where(flag > 0, 0.3, 0.95)
        outputs = np.tile([0.9, 0.1], (20_000, 1))
        if learns:
            label_free.learn(outputs, (~right).astype(int), flag[:, None])
    assert label_free.estimate(outputs, flag[:, None]).value == pytest.approx(0.625, abs=0.02)


def test_a_kpi_is_written_as_people_write_it() -> None:
    assert by_row("log_loss").words("0.49") == "log loss 0.49" and MAE.words("2") == "MAE 2"


def test_without_a_shift_reweighting_does_not_hurt() -> None:
    off: dict[str, list[float]] = {PLAIN: [], REWEIGHTED: []}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        old, new = two_groups(rng, ROWS, hard=0.3), two_groups(rng, 300, hard=0.3)
        old_rows, new_rows = (Described(np.column_stack([side[0], 1 - side[1].max(axis=1)]), 1 - side[1].max(axis=1)) for side in (old, new))
        methods = Methods(old_rows, ACCURACY.losses(old[1], old[2]), (True, False))
        for name in methods.names(new_rows):
            off[name].append(abs(methods.mean_loss(name, new_rows) - ACCURACY.losses(new[1], new[2]).mean()))
    assert np.mean(off[REWEIGHTED]) < 1.02 * np.mean(off[PLAIN])


def test_under_concept_drift_the_estimate_is_not_trusted() -> None:
    rng = np.random.default_rng(3)
    label_free = learned(rng, hard=0.2, blocks=10)
    for step in range(30):
        features, outputs, labels = two_groups(rng, 400, hard=0.2)
        wrong = rng.random(400) < 0.02 * step  # P(Y|X) moves, the inputs stay
        told = label_free.estimate(outputs, features)
        assert not told.trustworthy
        label_free.learn(outputs, np.where(wrong, 1 - labels, labels), features)
    assert "not trustworthy here" in told.message


def test_under_shifts_of_the_inputs_the_estimate_is_trusted_and_its_error_is_that_of_the_estimates_that_were_shown() -> None:
    rng = np.random.default_rng(4)
    label_free, off = learned(rng), []
    for step in range(30):
        features, outputs, labels = two_groups(rng, 400, hard=(0.1, 0.9)[step % 2])
        off.append(abs(label_free.estimate(outputs, features).value - float(np.mean(outputs.argmax(axis=1) == labels))))
        label_free.learn(outputs, labels, features)
    quality = label_free.quality()
    assert (quality.blocks, quality.trustworthy) == (30, True)
    assert quality.error == pytest.approx(np.mean(off))


def test_learning_at_once_or_block_by_block_measures_the_same() -> None:
    rng = np.random.default_rng(5)
    blocks = [two_groups(rng, 150, hard=rng.random()) for _ in range(100)]
    at_once, one_by_one = LabelFree(coded=(True, False)), LabelFree(coded=(True, False))
    for features, outputs, labels in blocks:
        at_once.learn(outputs, labels, features)
        one_by_one.learn(outputs, labels, features)
        one_by_one.quality()
    assert at_once.quality() == one_by_one.quality()


def test_weights_that_measured_clearly_worse_are_given_up() -> None:
    """The feature decided on the loss once, the other way round: weights by it mislead, the confidence does not."""
    rng = np.random.default_rng(6)
    label_free = learned(rng, hard=0.3)
    for step in range(MIN_BLOCKS + 20):
        group = np.full(400, float(step % 2))
        predicted = rng.integers(0, 2, 400)
        labels = np.where(rng.random(400) < 0.86, predicted, 1 - predicted)
        features, outputs = np.column_stack([group, rng.normal(size=400)]), 0.2 + 0.6 * np.eye(2)[predicted]
        first = label_free.estimate(outputs, features).value if step == 1 else math.nan
        assert not abs(first - 0.86) < 0.1
        label_free.learn(outputs, labels, features)
    assert label_free.estimate(outputs, features).value == pytest.approx(0.86, abs=0.03)


@pytest.mark.parametrize("rows", [1, 2, MIN_REWEIGHTED - 1])
def test_a_tiny_block_is_estimated_by_confidence_alone(rows: int) -> None:
    rng = np.random.default_rng(7)
    label_free = learned(rng)
    features, outputs, _ = two_groups(rng, rows, hard=1.0)
    assert label_free.estimate(outputs, features).value == pytest.approx(0.89, abs=0.02)


@pytest.mark.parametrize("kind", ["missing", "constant", "infinite", "new category", "10,000 categories", "now missing"])
def test_any_column_is_taken_as_it_is(kind: str) -> None:
    rng = np.random.default_rng(8)
    old, new = two_groups(rng, ROWS, hard=0.2), two_groups(rng, 2000, hard=0.8)
    columns = {
        "missing": (np.full(ROWS, math.nan), np.full(2000, math.nan)),
        "constant": (np.full(ROWS, 3.0), np.full(2000, 3.0)),
        "infinite": (np.where(rng.random(ROWS) < 0.5, math.inf, 1.0), np.full(2000, 1.0)),
        "new category": (np.zeros(ROWS), np.full(2000, 7.0)),
        "10,000 categories": (rng.integers(0, 10_000, ROWS).astype(float), rng.integers(0, 20_000, 2000).astype(float)),
        "now missing": (rng.normal(size=ROWS), np.full(2000, math.nan)),
    }[kind]
    label_free = LabelFree(coded=(True, False, "categor" in kind))
    label_free.learn(old[1], old[2], np.column_stack([old[0], columns[0]]))
    assert label_free.estimate(new[1], np.column_stack([new[0], columns[1]])).value == pytest.approx(0.71, abs=0.03)


def test_one_class_predicted_and_always_right_gives_an_accuracy_of_one() -> None:
    rng = np.random.default_rng(9)
    label_free, features = LabelFree(), rng.normal(size=(500, 2))
    label_free.learn(np.tile([0.9, 0.1], (500, 1)), np.zeros(500), features)
    assert label_free.estimate(np.tile([0.9, 0.1], (500, 1)), features + 1).value == 1.0


def test_three_hundred_columns_share_the_bins_and_spoil_no_estimate() -> None:
    rng = np.random.default_rng(10)
    label_free = LabelFree()
    label_free.learn(np.tile([0.8, 0.2], (2000, 1)), (rng.random(2000) > 0.8).astype(int), rng.normal(size=(2000, 300)))
    assert label_free.estimate(np.tile([0.8, 0.2], (500, 1)), rng.normal(size=(500, 300))).value == pytest.approx(0.8, abs=0.05)


def noisy(rng: np.random.Generator, rows: int, *, most: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A regression whose error grows with x and doubles in group 1: features, predictions, labels; the MAE is 0.798 times the mean scale."""
    x, group = most * rng.random(rows), rng.integers(0, 2, rows).astype(float)
    return np.column_stack([x, group]), 10 * x, 10 * x + x * (1 + group) * rng.normal(size=rows)


def test_the_mae_of_a_regression_follows_where_its_noise_is_larger() -> None:
    rng = np.random.default_rng(11)
    label_free = LabelFree(MAE, coded=(False, True))
    features, predictions, labels = noisy(rng, 10_000, most=10.0)
    label_free.learn(predictions, labels, features)
    for low, high, group in ((0.0, 2.0, 0.0), (8.0, 10.0, 1.0), (4.0, 6.0, 1.0)):
        some = (features[:, 0] >= low) & (features[:, 0] < high) & (features[:, 1] == group)
        truth = float(np.mean(features[some, 0]) * (1 + group) * math.sqrt(2 / math.pi))
        assert label_free.estimate(predictions[some], features[some]).value == pytest.approx(truth, rel=0.1, abs=0.3)


def test_the_estimate_of_a_regression_is_measured_trusted_and_spelt_with_its_unit() -> None:
    rng = np.random.default_rng(12)
    label_free = LabelFree(RowKpi("mae", MAE.losses, probabilities=False, unit="minutes"), coded=(False, True))
    for step in range(30):
        features, predictions, labels = noisy(rng, 300, most=(2.0, 10.0)[step % 2])
        told = label_free.estimate(predictions, features)
        label_free.learn(predictions, labels, features)
    assert told.trustworthy
    assert told.message.startswith("estimated MAE ")
    assert " minutes without labels; mean absolute error " in told.message


def test_a_regression_without_features_is_estimated_from_its_predictions() -> None:
    rng = np.random.default_rng(13)
    label_free = LabelFree(MAE)
    _, predictions, labels = noisy(rng, 10_000, most=10.0)
    label_free.learn(predictions, labels)
    assert label_free.estimate(np.full(10, 90.0)).value > 3 * label_free.estimate(np.full(10, 20.0)).value


def test_rows_of_a_regression_without_a_label_or_a_prediction_are_left_out() -> None:
    label_free = LabelFree(MAE)
    predictions, labels = np.zeros(300), np.full(300, -2.0)
    predictions[:50], labels[50:100] = math.nan, math.nan
    label_free.learn(predictions, labels)
    assert label_free.estimate(np.zeros(5)).value == pytest.approx(2.0)


@pytest.mark.parametrize("rows", [np.zeros(5), np.zeros((4, 2)), np.zeros((5, 3))])
def test_rows_that_do_not_fit_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match="rows have shape"):
        LabelFree(coded=(True, False)).estimate(np.tile([0.5, 0.5], (5, 1)), rows)


def test_predictions_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="predictions have shape"):
        LabelFree(MAE).estimate(np.zeros((3, 2)))
