"""What each policy is: names, rules, and what a list of them may hold."""

from __future__ import annotations

import re

import numpy as np
import pytest

from benchmarks import policies as benchmark
from benchmarks import script
from driftloop.backtest import policies
from driftloop.backtest.policies import Proactive, Watching
from driftloop.drift.rules.rule_names import DETECTORS
from driftloop.errors import SettingsError
from driftloop.metrics.block_kpis import RocAucKpi
from driftloop.metrics.goal import Goal
from driftloop.metrics.row_kpis import BrierKpi
from driftloop.metrics.task import CLASSIFICATION, REGRESSION, Task

WATCHING = Watching(Goal(CLASSIFICATION, 0.7, 0.05), seed=7, lead_blocks=2)
RIGHT, WRONG = np.zeros(48, bool), np.ones(48, bool)


def alarms(name: str, blocks: list[np.ndarray], *, rate: float = 0.0) -> list[int]:
    """The blocks after which a policy's rule alarms; after each it starts again."""
    (policy,) = [one for one in policies.parse(f"{name},significant") if one.name == name]
    rule = policies.rule(policy, WATCHING, rate=rate)
    found = []
    for at, errors in enumerate(blocks):
        if rule.update(errors).drift:
            found.append(at)
            rule.reset()
    return found


def test_all_holds_every_policy_of_the_documents_once() -> None:
    names = [policy.name for policy in policies.parse("all")]
    assert len(set(names)) == len(names)
    assert {"never", "always", "random", "threshold", "significant", "proactive", "continuous", *DETECTORS} < set(names)
    assert sum(name.startswith("periodic-") for name in names) >= 3


def test_a_list_keeps_its_order_and_takes_each_policy_once() -> None:
    names = [policy.name for policy in policies.parse(" adwin,NEVER,adwin, periodic-7,,periodic")]
    assert names == ["adwin", "never", "periodic-7", "periodic-2", "periodic-28"]


@pytest.mark.parametrize(
    "text", ["", " , ", "sometimes", "periodic-0", "periodic--1", "periodic-", "never;always", "periodic-9999999", "random", "never,random"]
)
def test_a_list_that_makes_no_sense_is_one_line(text: str) -> None:
    with pytest.raises(SettingsError, match="--policies") as told:
        policies.parse(text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("name", "expected"), [("never", []), ("always", [0, 1, 2, 3, 4, 5]), ("periodic-2", [1, 3, 5]), ("periodic-7", [])])
def test_a_fixed_policy_does_not_look_at_the_errors(name: str, expected: list[int]) -> None:
    assert alarms(name, [RIGHT] * 6) == alarms(name, [WRONG] * 6) == expected


def test_random_retrains_at_its_rate() -> None:
    assert alarms("random", [WRONG] * 50, rate=0.0) == []
    assert len(alarms("random", [RIGHT] * 2000, rate=0.2)) == pytest.approx(400, abs=80)


@pytest.mark.parametrize("name", policies.TRIGGERED)
def test_a_triggered_policy_alarms_when_a_good_model_turns_bad(name: str) -> None:
    random = np.random.default_rng(1)
    good = [random.random(48) < 0.05 for _ in range(60)]
    bad = [random.random(48) < 0.6 for _ in range(30)]
    found = alarms(name, good + bad)
    assert [at for at in found if at >= 60]
    if name in ("threshold", "significant"):  # some of river's detectors alarm before, at their defaults
        assert min(found) >= 60


def test_a_policy_without_a_rule_says_so_by_its_kind() -> None:
    (policy,) = policies.parse("continuous")
    assert policy.kind == "continuous"


def test_proactive_alarms_on_a_decline_before_the_threshold_is_crossed() -> None:
    random = np.random.default_rng(2)
    shares = np.linspace(0.95, 0.60, 60)
    errors = [random.random(336) > share for share in shares]
    crossed = int(np.argmax(shares < WATCHING.goal.threshold))
    first = alarms("proactive", errors)[0]
    assert first < crossed
    assert first < min(alarms("significant", errors), default=len(errors))


def test_of_a_regression_proactive_alarms_on_rising_errors_before_the_threshold_is_crossed() -> None:
    random = np.random.default_rng(2)
    watching = Watching(Goal(REGRESSION, 2.0, 0.05), seed=7, lead_blocks=2)
    levels = np.linspace(0.5, 4, 60)
    blocks = [random.exponential(level, 336) for level in levels]
    (proactive,) = policies.parse("proactive")
    rule = policies.rule(proactive, watching, rate=0)
    first = next(at for at, losses in enumerate(blocks) if rule.update(losses).drift)
    assert 0 < first < int(np.argmax(levels > 2))


@pytest.mark.parametrize("name", ["never", "always", "periodic-2", "random", "threshold", "significant", "probation", "adwin", "kswin", "page_hinkley"])
@pytest.mark.parametrize("doing", [REGRESSION, BrierKpi(np.array([0.5, 0.5])), RocAucKpi(np.array([0.5, 0.5]))], ids=lambda doing: doing.kpi)
def test_a_policy_plays_any_kpi_at_the_rate_that_it_is_given(name: str, doing: Task) -> None:
    (policy,) = [one for one in policies.parse(f"{name},significant") if one.name == name]
    rule = policies.rule(policy, Watching(Goal(doing, 0.4, 0.05), seed=7, lead_blocks=2), rate=1.0)
    labels = np.arange(40) % 2
    outputs = labels.astype(float) if doing is REGRESSION else np.eye(2)[labels]
    found = [rule.update(doing.losses_of(labels, outputs)).drift for _ in range(4)]
    assert found == {"always": [True] * 4, "random": [True] * 4, "periodic-2": [False, True, False, True]}.get(name, [False] * 4)


def test_a_policy_that_cannot_play_a_kpi_is_left_out_with_the_reason() -> None:
    played, out = policies.playable(policies.parse("all"), BrierKpi(np.array([0.5, 0.5])))
    assert set(out) == {"ddm", "eddm", "hddm_a", "hddm_w", "proactive"}
    assert {policy.name for policy in played}.isdisjoint(out) and len(played) + len(out) == len(policies.parse("all"))
    assert policies.playable(policies.parse("all"), CLASSIFICATION)[1] == {}


def test_proactive_cannot_tell_from_an_empty_block() -> None:
    rule = Proactive(WATCHING)
    for _ in range(6):
        assert not rule.update(np.array([], bool)).drift
    rule.reset()
    assert rule.update(RIGHT).kind == "none"


def test_probation_is_strict_only_after_a_proven_drift() -> None:
    random = np.random.default_rng(3)
    good = [random.random(48) < 0.2 for _ in range(40)]
    unlucky = [*good, np.arange(48) < 20]  # 58 % right
    assert alarms("probation", unlucky) == alarms("significant", unlucky) == []
    bad = [random.random(48) < 0.6 for _ in range(30)]
    assert len(alarms("probation", bad)) > len(alarms("significant", bad)) > 0


def test_the_page_of_the_benchmark_holds_every_policy_in_each_of_its_tables() -> None:
    day_blocks, trigger, updated, prices, beside, protocol = script.page_of(benchmark.__file__).read_text(encoding="utf-8").split("\n## ")[1:]
    for policy in policies.parse("all"):
        assert f"\n| {policy.name} |" in day_blocks
        assert f"\n| {policy.name}" in protocol
    assert all(name in policies.TRIGGERED for name in re.findall(r"^\| ([a-z_]+) \|", trigger, flags=re.MULTILINE) if name != "policy")
    assert f"`python backtest.py {' '.join(benchmark.PROTOCOL)}`" in protocol
    assert "ARFClassifier" in beside and "served" in updated and "cheapest" in prices
