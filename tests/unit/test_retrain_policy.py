"""When a watch retrains: on an alarm, by the calendar, or when what was lost exceeds the price."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from driftloop.cli.flag_types import period, retrain_cost
from driftloop.data.blocks import Block, cut, cut_calendar
from driftloop.drift.regret import Price, Regret, point, price
from driftloop.errors import SettingsError
from driftloop.metrics.goal import Goal
from driftloop.metrics.results import RetrainRecord
from driftloop.metrics.task import CLASSIFICATION, REGRESSION
from driftloop.watch.policies.policy import RetrainPolicy, Schedule, chosen

GOAL = Goal(CLASSIFICATION, threshold=0.8)
HOURS = np.datetime64("2024-01-30T00:00", "ns") + np.arange(24 * 70) * np.timedelta64(1, "h")


def stream(times: np.ndarray = HOURS) -> Any:
    class Times:
        def __len__(self) -> int:
            return len(times)

    made = Times()
    made.times = times  # type: ignore[attr-defined]
    return made


def record(*, promoted: bool = True, seconds: float = 2.0) -> RetrainRecord:
    return cast(RetrainRecord, SimpleNamespace(promoted=promoted, seconds=seconds))


def flags(**given: Any) -> Any:
    return SimpleNamespace(
        **{"policy": "triggered", "every": "", "retrain_cost": "", "proactive": False, "max_retrains": 5, "promote": "judge", "go_back": False} | given
    )


def retrained(policy: RetrainPolicy, blocks: list[Block], kpi: float = 0.7, **done: Any) -> list[int]:
    """The blocks after which a watch retrains."""
    schedule, found = Schedule(policy, GOAL, stream(), start=0), []
    for block in blocks:
        if schedule.due(block, kpi):
            schedule.restart(block)
            schedule.decided(record(**done))
            found.append(block.index)
    return found


@pytest.mark.parametrize(("every", "expected"), [("1", [0, 1, 2, 3, 4]), ("2", [1, 3]), ("5", [4]), ("6", [])])
def test_a_periodic_watch_retrains_every_so_many_blocks(every: str, expected: list[int]) -> None:
    assert retrained(RetrainPolicy("periodic", every), list(cut(0, 100, block_size=20))) == expected


def test_a_calendar_period_ends_where_the_next_row_is_in_another_one() -> None:
    days = list(cut_calendar(HOURS, 0, len(HOURS), by="day"))  # the first is Tuesday the 30th of January
    weekly, monthly = (retrained(RetrainPolicy("periodic", every), days) for every in ("week", "month"))
    assert weekly == [5 + 7 * week for week in range(10)][: len(weekly)] and len(weekly) >= 9
    assert monthly == [1, 30, 61]


def test_a_calendar_period_holds_for_blocks_that_do_not_fit_it() -> None:
    found = retrained(RetrainPolicy("periodic", "day"), list(cut(0, 240, block_size=40)))
    assert found == [0, 1, 2, 3, 4, 5]  # each ends in another day
    assert retrained(RetrainPolicy("periodic", "day"), list(cut(0, 96, block_size=8))) == [2, 5, 8, 11]


def test_what_is_due_stays_due_until_it_is_done() -> None:
    schedule = Schedule(RetrainPolicy("periodic", "2"), GOAL, stream(), start=0)
    assert [bool(schedule.due(block, 0.9)) for block in cut(0, 80, block_size=20)] == [False, True, True, True]


def test_a_reason_names_the_period() -> None:
    schedule = Schedule(RetrainPolicy("periodic", "1"), GOAL, stream(), start=0)
    assert schedule.due(Block(0, 0, 20), 0.9) == "planned: every block"


def test_a_good_model_is_never_retrained_for_its_cost() -> None:
    assert retrained(RetrainPolicy("cost", cost=Price(fixed=5)), list(cut(0, 400, block_size=20)), kpi=0.8) == []


def test_the_dearer_a_retrain_the_rarer_it_is() -> None:
    blocks = list(cut(0, 1000, block_size=20))
    numbers = [len(retrained(RetrainPolicy("cost", cost=Price(fixed=cost)), blocks, promoted=False)) for cost in (0, 10, 30, 100, 10_000)]
    assert numbers == [50, 50, 16, 5, 0]


def test_a_good_block_earns_no_credit_for_later_ones() -> None:
    regret = Regret(GOAL, Price(fixed=10))
    for _ in range(100):
        assert not regret.due_after(1.0)
    assert regret.due_after(0.7)


def test_losses_of_noise_cancel_out() -> None:
    regret, noise = Regret(GOAL, Price(fixed=100)), np.random.default_rng(0).normal(0.85, 0.06, 1000)
    assert not any(regret.due_after(kpi) for kpi in noise)


def test_what_retrained_models_reach_is_expected_of_the_next() -> None:
    regret = Regret(GOAL, Price(fixed=20))
    for _ in range(10):
        regret.retrained(1.0, promoted=True)
        regret.due_after(0.6)
    assert regret.expected == pytest.approx(0.6)
    assert not any(regret.due_after(0.6) for _ in range(100))  # no better can be had
    regret.retrained(1.0, promoted=False)
    assert regret.expected == pytest.approx(0.6)  # a refused model tells nothing


def test_what_is_spent_never_exceeds_what_was_lost_where_no_retrain_helps() -> None:
    regret, spent, lost = Regret(GOAL, Price(fixed=35)), 0, 0.0
    for _ in range(500):
        lost += 20
        if regret.due_after(0.6):
            regret.retrained(1.0, promoted=False)
            spent += 35
    assert 0 < spent <= lost


def test_the_measured_seconds_are_the_price() -> None:
    regret = Regret(GOAL, Price(per_second=5))
    assert regret.due_after(0.79)  # nothing is known of the time yet
    regret.retrained(4.0, promoted=False)
    assert regret.price == 20.0
    assert [regret.due_after(0.7) for _ in range(2)] == [False, True]
    regret.retrained(float("nan"), promoted=False)  # its training failed
    assert regret.price == 20.0


def test_of_a_loss_lower_is_better_and_a_point_is_a_hundredth_of_its_threshold() -> None:
    goal = Goal(REGRESSION, threshold=5.0)
    assert (point(goal), point(GOAL)) == (0.05, 0.01)
    assert Regret(goal, Price(fixed=20)).due_after(6.0) and not Regret(goal, Price(fixed=20)).due_after(4.0)


def test_a_block_without_a_kpi_costs_nothing() -> None:
    assert not Regret(GOAL, Price()).due_after(float("nan"))


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "x", "5/m", "/s", "1 2"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="such as 20"):
        retrain_cost(text)


def test_a_price_reads_as_it_is_written() -> None:
    assert [price(text).text for text in ("", "20", "2.5/s", "0", "0/s")] == ["1/s", "20", "2.5/s", "0", "0"]


@pytest.mark.parametrize("text", ["0", "-3", "1.5", "year", "100001", "٣"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="day, week or month"):
        period(text)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"policy": "periodic", "proactive": True}, "--proactive and --policy periodic"),
        ({"policy": "continuous", "promote": "shadow"}, "--promote shadow and --policy continuous are given"),
        ({"policy": "continuous", "go_back": True}, "--go_back and --policy continuous are given"),
        ({"every": "3"}, "--every 3 is given, but --policy is triggered"),
        ({"every": "week", "policy": "cost"}, "--every week"),
        ({"every": "3", "proactive": True}, "--policy is proactive"),
        ({"retrain_cost": "5", "policy": "periodic"}, "--retrain_cost 5"),
        ({"policy": "continuous", "max_retrains": 0}, "--max_retrains 0"),
    ],
)
def test_flags_that_contradict_each_other_are_one_line(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as told:
        chosen(flags(**given))
    assert "\n" not in str(told.value)


def test_the_old_flag_is_a_spelling_of_the_policy() -> None:
    assert chosen(flags(proactive=True)) == chosen(flags(policy="proactive")) == chosen(flags(policy="proactive", proactive=True))
    assert chosen(flags()) == RetrainPolicy(cost=price("")) and chosen(flags(policy="periodic")).every == "7"
    assert [chosen(flags(policy=name)).by_alarm for name in ("triggered", "proactive", "periodic", "continuous", "cost")] == [True, True, False, False, False]
