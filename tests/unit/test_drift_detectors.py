"""river's detectors as rules: what counts as an alarm, and defined answers to bad input."""

import math

import numpy as np
import pytest
from river import drift

from driftloop.drift.rules.detectors import Detector
from driftloop.drift.rules.rule_names import DETECTORS

SUDDEN = {"adwin": {}, "ddm": {}, "eddm": {}, "hddm_a": {}, "hddm_w": {}, "kswin": {}, "page_hinkley": {"threshold": 10}}


def blocks(seed: int, error: float, *, number: int) -> np.ndarray:
    """Independent errors, (number, 20)."""
    return np.random.default_rng(seed).random((number, 20)) < error


@pytest.mark.parametrize("name", DETECTORS)
def test_a_model_that_breaks_is_found(name: str) -> None:
    rule = Detector(name, seed=7, **SUDDEN[name])
    for block in blocks(1, 0.1, number=20):
        rule.update(block)
    verdicts = [rule.update(block) for block in blocks(2, 0.8, number=20)]
    alarm = next(verdict for verdict in verdicts if verdict.drift)
    assert (alarm.kind, alarm.rule) == ("performance", name)
    assert "flags a rise of the error rate at row" in alarm.message
    assert alarm.lower < alarm.statistic < alarm.upper


@pytest.mark.parametrize("name", DETECTORS)
def test_a_model_that_gets_better_raises_no_alarm(name: str) -> None:
    rule = Detector(name, seed=7)
    steady = [rule.update(np.tile([1, 1, 1, 1, 0], 4)) for _ in range(20)]
    better = [rule.update(np.zeros(20)) for _ in range(20)]
    assert not any(verdict.drift for verdict in steady + better)
    said = [verdict for verdict in better if "improvement" in verdict.message]
    assert bool(said) == (name in {"adwin", "kswin"})
    assert all(verdict.kind == "none" for verdict in said)


@pytest.mark.parametrize("name", DETECTORS)
def test_what_river_does_not_state_is_nan_and_the_message_says_so(name: str) -> None:
    verdict = Detector(name, seed=7).update(np.array([0, 1, 0, 0]))
    assert math.isnan(verdict.false_alarm_rate)
    assert math.isnan(verdict.threshold)
    assert math.isnan(verdict.p_value)
    assert verdict.message.endswith("it states no false-alarm rate")


@pytest.mark.parametrize("name", DETECTORS)
def test_an_empty_block_cannot_be_judged_and_changes_nothing(name: str) -> None:
    plain, broken = Detector(name, seed=7), Detector(name, seed=7)
    for block in np.concatenate([blocks(3, 0.1, number=15), blocks(4, 0.7, number=15)]):
        assert broken.update(np.array([])).kind == "cannot tell"
        assert plain.update(block) == broken.update(block)


@pytest.mark.parametrize("name", DETECTORS)
def test_reset_begins_anew(name: str) -> None:
    used, fresh = Detector(name, seed=7), Detector(name, seed=7)
    for block in blocks(5, 0.5, number=20):
        used.update(block)
    used.reset()
    for block in np.concatenate([blocks(6, 0.1, number=15), blocks(7, 0.7, number=15)]):
        assert used.update(block) == fresh.update(block)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("error", [0, 1])
def test_errors_all_alike_are_no_change(name: str, error: int) -> None:
    rule = Detector(name, seed=7)
    assert not any(rule.update(np.full(20, error)).drift for _ in range(20))


def test_a_block_alarms_wherever_in_it_river_flags() -> None:
    errors = np.concatenate([blocks(8, 0.1, number=50), blocks(9, 0.6, number=20)])
    river, rule = drift.ADWIN(), Detector("adwin", seed=7)
    flagged = []
    for block in errors:
        rows = []
        for error in block.tolist():
            river.update(error)
            rows.append(river.drift_detected)
        flagged.append(any(rows))
    assert [rule.update(block).drift for block in errors] == flagged
    assert any(flagged)


def test_settings_are_rivers() -> None:
    errors = np.concatenate([blocks(8, 0.1, number=30), blocks(9, 0.5, number=20)])
    first = []
    for delta in (0.05, 1e-8):
        rule = Detector("adwin", seed=7, delta=delta)
        first.append(next(index for index, block in enumerate(errors) if rule.update(block).drift))
    assert first[0] < first[1]
    with pytest.raises(TypeError, match="lambda"):
        Detector("adwin", seed=7, lambda_=1)


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(ValueError, match="adwin, ddm"):
        Detector("cusum", seed=7)


@pytest.mark.parametrize("errors", [np.array([0.0, np.nan]), np.array([0, 3]), np.zeros((2, 2))])
def test_what_is_no_error_flag_is_refused(errors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="errors"):
        Detector("ddm", seed=7).update(errors)
