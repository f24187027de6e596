"""How far labels have come: the newest time of a labelled row, whatever a stray row says."""

from __future__ import annotations

import numpy as np
import pytest

from monitoring.online.label_progress import ROWS, STRAYS, Reached

BEGIN = np.datetime64("2020-01-13T08:00", "ms")  # a Monday
MAY = "2020-05-01T10:00:00.000Z"


def at(hours: float) -> str:
    return f"{BEGIN + np.timedelta64(round(60 * hours), 'm')}Z"


def after(*times: str) -> str:
    reached = Reached()
    for time in times:
        reached.add(time)
    return reached.newest


def test_rows_in_the_order_of_time_reach_the_newest() -> None:
    assert after() == ""
    for rows in (1, 5, STRAYS, 200):
        assert after(*(at(hour) for hour in range(rows))) == at(rows - 1)


@pytest.mark.parametrize("strays", [1, ROWS // STRAYS])
@pytest.mark.parametrize("where", [20, 199])
def test_a_few_rows_sent_by_hand_with_a_time_of_months_ahead_open_nothing(strays: int, where: int) -> None:
    times = [at(hour / 2) for hour in range(200)]
    if where == 20:
        strays = 1  # of the first twenty rows two may be strays
    times[where:where] = [MAY] * strays
    assert after(*times) == at(199 / 2)


def test_more_than_a_few_are_the_stream_itself_gone_on() -> None:
    assert after(*(at(hour) for hour in range(100)), *[MAY] * (ROWS // STRAYS + 1)) == MAY


def test_before_there_are_enough_rows_to_tell_a_stray_the_newest_counts() -> None:
    assert after(*(at(hour) for hour in range(5)), MAY) == MAY
    assert after(*(at(hour) for hour in range(5)), MAY, *(at(hour) for hour in range(5, 20))) == at(19)


def test_after_a_weekend_the_stream_is_followed_again_within_a_few_rows() -> None:
    friday, monday = [at(96 + hour / 10) for hour in range(80)], [at(168 + hour / 10) for hour in range(ROWS // STRAYS + 1)]
    assert after(*friday, monday[0]) == friday[-1]
    assert after(*friday, *monday) == monday[-1]


def test_labels_of_older_rows_take_nothing_back() -> None:
    assert after(*(at(hour) for hour in range(100)), *(at(hour) for hour in range(60))) == at(99)
