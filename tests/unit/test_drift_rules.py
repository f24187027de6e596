"""Every rule by its name: one contract, and settings that are refused by flag."""

import math

import numpy as np
import pytest

from driftloop.drift.rules import catalogue
from driftloop.drift.rules.rule import Rule
from driftloop.drift.rules.rule_names import NAMES
from driftloop.drift.rules.threshold import ThresholdRule, threshold_rule
from driftloop.errors import SettingsError


def make(name: str) -> Rule:
    return catalogue.make(name, threshold=0.7)


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_keeps_the_contract(name: str) -> None:
    rule = make(name)
    assert rule.name == name
    verdict = rule.update(np.array([0, 1, 0, 0]))
    assert verdict.rule == name
    assert verdict.message
    empty = rule.update(np.array([]))
    assert (empty.drift, empty.kind) == (False, "cannot tell")
    with pytest.raises(ValueError, match="errors"):
        rule.update(np.array([0, math.nan]))
    rule.reset()
    assert rule.update(np.array([False, True])).rule == name


def test_the_names_are_those_of_the_flag() -> None:
    named = ("threshold", "significant", "adwin", "ddm", "eddm", "hddm_a", "hddm_w", "kswin", "page_hinkley", "never", "every", "random")
    assert named == NAMES


def test_an_unknown_rule_is_refused_with_the_names() -> None:
    with pytest.raises(SettingsError, match=r"--drift_rule is 'cusum'.*threshold, significant"):
        make("cusum")


@pytest.mark.parametrize(
    ("name", "settings", "flag"),
    [
        ("significant", {"alpha": 0}, "--alpha"),
        ("significant", {"alpha": 1}, "--alpha"),
        ("significant", {"threshold": 0}, "--threshold_accuracy"),
        ("threshold", {"threshold": 1.2}, "--threshold_accuracy"),
        ("threshold", {"threshold": math.nan}, "--threshold_accuracy"),
        ("every", {"every": 0}, "--every"),
        ("random", {"rate": 1.5}, "--rate"),
    ],
)
def test_settings_outside_their_range_are_refused_by_flag(name: str, settings: dict, flag: str) -> None:
    with pytest.raises(SettingsError, match=flag):
        catalogue.make(name, **({"threshold": 0.7} | settings))


def test_every_n_blocks_counts_from_the_version_in_service() -> None:
    rule = catalogue.make("every", threshold=0.7, every=3)
    alarms = [rule.update(np.zeros(5)).drift for _ in range(4)]
    rule.reset()
    assert alarms + [rule.update(np.zeros(5)).drift for _ in range(3)] == [False, False, True, False, False, False, True]


def test_every_n_blocks_does_not_count_an_empty_block() -> None:
    rule = catalogue.make("every", threshold=0.7, every=2)
    assert [rule.update(errors).drift for errors in (np.zeros(3), np.array([]), np.zeros(3))] == [False, False, True]


def test_random_alarms_come_at_the_rate_and_again_with_the_seed() -> None:
    draws = [
        [rule.update(np.zeros(2)).drift for _ in range(2000)] for rule in (catalogue.make("random", threshold=0.7, rate=0.2, seed=seed) for seed in (1, 1, 2))
    ]
    assert np.mean(draws[0]) == pytest.approx(0.2, abs=0.03)
    assert draws[0] == draws[1] != draws[2]


def test_a_random_rule_does_not_repeat_itself_after_a_reset() -> None:
    rule = catalogue.make("random", threshold=0.7, rate=0.5)
    first = [rule.update(np.zeros(2)).drift for _ in range(50)]
    rule.reset()
    assert [rule.update(np.zeros(2)).drift for _ in range(50)] != first


def test_the_threshold_rule_takes_the_accuracy_of_blocks_without_drift_for_its_chance() -> None:
    rule = ThresholdRule(0.6)
    good, bad = np.array([0] * 9 + [1]), np.array([0] * 3 + [1] * 7)
    assert rule.update(good) == threshold_rule(9, 10, threshold=0.6)
    assert rule.update(bad) == threshold_rule(3, 10, threshold=0.6, reference=0.9)
    assert rule.update(good) == threshold_rule(9, 10, threshold=0.6, reference=0.9)
    rule.reset()
    assert rule.update(bad) == threshold_rule(3, 10, threshold=0.6)
    assert rule.update(good) == threshold_rule(9, 10, threshold=0.6)


@pytest.mark.parametrize("threshold", [0, 1])
def test_the_plain_rule_takes_the_ends_of_its_range(threshold: float) -> None:
    assert ThresholdRule(threshold).update(np.array([1, 1])).drift == (threshold == 1)
