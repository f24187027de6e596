"""Accuracy without labels: near the truth where it may be, not trusted where it is not."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from driftloop.data import streams, synthetic
from driftloop.drift.estimate.confidence import MIN_BLOCKS, MIN_ROWS, Estimate, LabelFree

ROWS = 200


def watched(stream, model, *, first: int, rows: int) -> tuple[LabelFree, list[Estimate], np.ndarray]:
    """A model fitted on the first rows and watched on the others: the estimates of all blocks and their accuracies."""
    model.fit(stream.rows[:first], stream.labels[:first])
    probabilities = model.predict_proba(stream.rows)
    label_free, estimates, accuracies = LabelFree(), [], []
    for start in range(first, len(stream) - rows + 1, rows):
        block, labels = probabilities[start : start + rows], stream.labels[start : start + rows]
        estimates.append(label_free.estimate(block))
        accuracies.append(np.mean(block.argmax(axis=1) == labels))
        label_free.learn(block, labels)
    return label_free, estimates, np.array(accuracies)


def surely(confidence: float, rows: int = ROWS) -> np.ndarray:
    return np.tile([confidence, 1 - confidence], (rows, 1))


def right(share: float, rows: int = ROWS) -> np.ndarray:
    """Labels with which predicting class 0 is right in this share of the rows."""
    return (np.arange(rows) >= share * rows).astype(int)


def test_under_pure_data_drift_the_estimate_is_near_the_truth_and_trusted():
    true = synthetic.make("agrawal", rows=16_000, seed=1, drift="data", at=range(4000, 16_000, 2000))
    label_free, estimates, accuracies = watched(true.stream, GaussianNB(), first=2000, rows=ROWS)
    assert accuracies[20:].std() > 0.03  # there is something to follow
    assert estimates[-1].trustworthy
    later = np.array([estimate.value for estimate in estimates])[20:]
    assert np.abs(later - accuracies[20:]).mean() < 0.03
    assert label_free.quality().correlation > 0.6
    assert abs(label_free.quality().bias) < 0.02


@pytest.mark.parametrize("rows", [48, 336])
def test_on_elec_the_estimate_is_not_trusted(rows):
    label_free, estimates, _ = watched(streams.load(), make_pipeline(StandardScaler(), LogisticRegression()), first=31_718, rows=rows)
    assert "not trustworthy here" in estimates[-1].message
    assert np.mean([estimate.trustworthy for estimate in estimates]) < 0.05
    assert label_free.quality().error > 0.05


def test_under_concept_drift_trust_is_lost():
    label_free = LabelFree()
    for _ in range(15):
        for sure in (0.6, 0.9):
            label_free.learn(surely(sure), right(sure))
    assert label_free.estimate(surely(0.9)).trustworthy
    for _ in range(15):
        for sure in (0.6, 0.9):
            label_free.learn(surely(sure), right(1.5 - sure))  # the surer, the more often wrong
    assert not label_free.estimate(surely(0.9)).trustworthy


def test_overconfidence_is_calibrated_away():
    label_free = LabelFree()
    label_free.learn(surely(0.99), right(0.7))
    assert label_free.estimate(surely(0.99)).value == pytest.approx(0.7)


def test_an_estimate_is_measured_before_its_own_labels_are_learned():
    label_free = LabelFree()
    label_free.learn(surely(0.8), right(0.5))
    label_free.learn(surely(0.8), right(0.9))
    quality = label_free.quality()
    assert (quality.blocks, quality.error, quality.bias) == (1, pytest.approx(0.4), pytest.approx(-0.4))


def test_too_few_labelled_rows_or_blocks_are_said():
    label_free = LabelFree()
    told = label_free.estimate(surely(0.8))
    assert math.isnan(told.value)
    assert f"at least {MIN_ROWS}" in told.message
    label_free.learn(surely(0.8), right(0.8))
    told = label_free.estimate(surely(0.8))
    assert told.value == pytest.approx(0.8)
    assert not told.trustworthy
    assert f"at least {MIN_BLOCKS}" in told.message


@pytest.mark.parametrize("labels", [np.zeros(ROWS, int), np.ones(ROWS, int), right(0.5)])
def test_constant_probabilities_and_one_class_only_give_the_past_mean(labels):
    label_free = LabelFree()
    for _ in range(MIN_BLOCKS + 2):
        label_free.learn(surely(0.7), labels)
    told = label_free.estimate(surely(0.7))
    assert told.value == pytest.approx(np.mean(labels == 0))
    assert not told.trustworthy
    assert math.isnan(label_free.quality().correlation)


def test_rows_without_labels_are_left_out():
    label_free, missing = LabelFree(), right(0.8).astype(float)
    missing[::4], missing[1::4] = math.nan, -1
    label_free.learn(surely(0.8), missing)
    assert label_free.estimate(surely(0.8)).value == pytest.approx(0.8)
    label_free.learn(surely(0.8), np.full(ROWS, math.nan))
    assert label_free.quality().blocks == 0


def test_an_empty_block_has_no_accuracy():
    label_free = LabelFree()
    label_free.learn(surely(0.8), right(0.8))
    label_free.learn(np.empty((0, 2)), np.empty(0))
    told = label_free.estimate(np.empty((0, 2)))
    assert math.isnan(told.value)
    assert told.message == "cannot tell: no rows"


@pytest.mark.parametrize(
    "probabilities",
    [np.array([0.5, 0.5]), np.array([[0.5, 0.4]]), np.array([[1.5, -0.5]]), np.array([[math.nan, 1.0]]), np.array([[math.inf, 0.0]]), np.empty((3, 0))],
)
def test_what_are_no_probabilities_is_refused(probabilities):
    with pytest.raises(ValueError, match="probabilities"):
        LabelFree().estimate(probabilities)


@pytest.mark.parametrize("labels", [np.zeros(3), np.full(ROWS, 2), np.full(ROWS, 0.5)])
def test_what_are_no_labels_is_refused(labels):
    with pytest.raises(ValueError, match="labels"):
        LabelFree().learn(surely(0.8), labels)
