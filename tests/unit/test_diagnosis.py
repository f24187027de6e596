"""What a watch says beyond the accuracy: kind of drift, forecast, estimate, for the version in service."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from driftloop.data import blocks, synthetic
from driftloop.data.streams import Stream
from driftloop.drift.diagnosis import Diagnosis
from driftloop.drift.verdict import Verdict
from driftloop.metrics import task
from driftloop.metrics.goal import Goal

ROWS, BLOCK = 4000, 100


def watched(stream: Stream, *, stop: int = ROWS, threshold: float = 0.8) -> Diagnosis:
    """A watch of a fixed rule: the label that the concept of the first rows gives (two features whose sum is large enough)."""
    diagnosis = Diagnosis(stream, Goal(task.of(stream.task), threshold))
    old = stream.rows[: ROWS // 2], stream.labels[: ROWS // 2]
    edge = max(np.quantile(old[0][:, :2].sum(axis=1), np.linspace(0, 1, 101)), key=lambda at: float(np.mean((old[0][:, :2].sum(axis=1) > at) == old[1])))
    for block in blocks.cut(0, stop, block_size=BLOCK):
        above = stream.rows[block.start : block.stop, :2].sum(axis=1) > edge
        probabilities = np.where(above, 0.9, 0.1)[:, None] * [-1, 1] + [1, 0]
        diagnosis.estimate(block, probabilities)
        diagnosis.learn(block, probabilities)
    return diagnosis


@pytest.fixture(scope="module")
def drifting() -> Stream:
    return synthetic.make("sea", rows=ROWS, seed=3, drift="abrupt", at=ROWS - 400).stream


def test_a_concept_drift_is_told_and_looked_into_once(drifting: Stream) -> None:
    diagnosis = watched(drifting)
    told = diagnosis.kind()
    assert (told.kind, told.drift) == ("concept", True)
    assert diagnosis.kind() is told


def test_with_too_few_rows_before_the_drift_the_kind_cannot_be_told_and_the_words_say_why(drifting: Stream) -> None:
    diagnosis = watched(drifting, stop=BLOCK)
    assert diagnosis.kind().kind == "cannot tell"
    (told,) = [words for words in diagnosis.findings("threshold", None, []) if words.startswith("Kind")]
    assert "annot tell" in told


def flipped(rows: int, *, at: int) -> Diagnosis:
    """A watch of a model that is right on every row but one in fifty up to `at`, and wrong on nearly all from there on."""
    rng = np.random.default_rng(5)
    values = rng.random((rows, 2))
    labels = (values[:, 0] > 0.5).astype(np.int64)
    labels[at:] = 1 - labels[at:]
    stray = np.arange(7, rows, 50)
    labels[stray] = 1 - labels[stray]
    stream = replace(synthetic.make("sea", rows=rows, seed=1).stream, rows=values, labels=labels, features=("load", "heat"))
    diagnosis = Diagnosis(stream, Goal(task.of(stream.task), 0.8))
    for block in blocks.cut(0, rows, block_size=50):
        above = values[block.start : block.stop, 0] > 0.5
        diagnosis.learn(block, np.where(above, 0.9, 0.1)[:, None] * [-1, 1] + [1, 0])
        if block.index == at // 50 + 1:
            diagnosis.kind()  # the alarm
    return diagnosis


@pytest.mark.parametrize("at", [150, 200, 350, 700])
def test_labels_that_flip_are_a_concept_drift_although_the_newest_half_holds_rows_of_before(at: int) -> None:
    told = flipped(at + 100, at=at).kind()
    assert told.kind == "concept"
    assert told.message.startswith("Concept drift: the KPI went from 0.9")


def test_a_fall_that_cannot_be_told_at_the_alarm_is_told_at_the_end_of_the_watch() -> None:
    early = flipped(100, at=75).kind()
    assert early.kind == "cannot tell"
    assert "rows on each side would settle it" in early.message
    (told,) = [words for words in flipped(500, at=75).findings("significant", None, []) if words.startswith("Kind")]
    assert "Concept drift" in told


def test_no_kind_of_a_proven_fall_is_told_as_no_drift() -> None:
    for at in (50, 100, 150):
        for rows in (at + 100, at + 150):
            (told,) = [words for words in flipped(rows, at=at).findings("significant", None, []) if words.startswith("Kind")]
            assert "o drift" not in told.replace("Concept drift", "")
            assert "within noise" not in told


def test_the_findings_are_sentences_with_the_rule_the_forecast_and_the_estimate(drifting: Stream) -> None:
    verdict = Verdict(drift=False, kind="none", rule="threshold", message="accuracy 0.9 on 100 rows")
    told = watched(drifting).findings("threshold", verdict, [])
    assert [words.split(":")[0] for words in told] == ["Drift rule threshold, newest block", "Forecast", "Without labels, newest block"]
    assert all(words.endswith(".") and not words.endswith("..") for words in told)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_no_accuracy_can_cross_a_threshold_of_0_or_1(drifting: Stream, threshold: float) -> None:
    ahead = watched(drifting, stop=1000, threshold=threshold).forecast()
    assert ahead.source == "none" and math.isnan(ahead.early)


def test_a_new_version_begins_anew_with_the_lives_of_those_before(drifting: Stream) -> None:
    diagnosis = watched(drifting, stop=1000)
    assert diagnosis.forecast().source == "trend"
    diagnosis.replaced()
    assert "0 blocks" in diagnosis.forecast().message
