"""What a watch says beyond the accuracy: kind of drift, forecast, estimate, for the version in service."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftloop import blocks, synthetic
from driftloop.diagnosis import Diagnosis
from driftloop.drift.verdict import Verdict
from driftloop.streams import Stream

ROWS, BLOCK = 4000, 100


def watched(stream: Stream, *, stop: int = ROWS, threshold: float = 0.8) -> Diagnosis:
    """A watch of a fixed rule: the label that the concept of the first rows gives (two features whose sum is large enough)."""
    diagnosis = Diagnosis(stream, threshold=threshold, alpha=0.05)
    old = stream.rows[: ROWS // 2], stream.labels[: ROWS // 2]
    edge = max(np.quantile(old[0][:, :2].sum(axis=1), np.linspace(0, 1, 101)), key=lambda at: float(np.mean((old[0][:, :2].sum(axis=1) > at) == old[1])))
    for block in blocks.cut(0, stop, block_size=BLOCK):
        above = stream.rows[block.start : block.stop, :2].sum(axis=1) > edge
        probabilities = np.where(above, 0.9, 0.1)[:, None] * [-1, 1] + [1, 0]
        diagnosis.estimate(probabilities)
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


def test_with_too_few_rows_before_the_drift_the_kind_is_performance_and_the_words_say_why(drifting: Stream) -> None:
    diagnosis = watched(drifting, stop=BLOCK)
    assert diagnosis.kind().kind == "performance"
    (told,) = [words for words in diagnosis.findings("threshold", None, []) if words.startswith("Kind")]
    assert "annot tell" in told


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
