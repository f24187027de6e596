"""Blocks cover a stretch of rows exactly."""

import numpy as np
import pytest

from driftloop.data.blocks import CALENDAR, Block, cut, cut_calendar
from driftloop.errors import SettingsError


@pytest.mark.parametrize("start", [0, 7])
@pytest.mark.parametrize(("rows", "block_size"), [(1, 1), (19, 1), (19, 19), (20, 19), (21, 3), (100, 7)])
def test_blocks_joined_give_back_the_stretch(start: int, rows: int, block_size: int) -> None:
    blocks = list(cut(start, start + rows, block_size=block_size))
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(start, start + rows))
    assert [block.index for block in blocks] == list(range(len(blocks)))


def test_only_a_left_over_block_is_short() -> None:
    blocks = list(cut(0, 50, block_size=20))
    assert [(block.rows, block.short) for block in blocks] == [(20, False), (20, False), (10, True)]
    assert not any(block.short for block in cut(0, 40, block_size=20))


def test_a_block_as_long_as_the_stretch_is_whole() -> None:
    assert list(cut(5, 25, block_size=20)) == [Block(0, 5, 25, short=False)]


@pytest.mark.parametrize("block_size", [0, -1, 21])
def test_a_block_size_that_cannot_be_is_refused_at_the_call(block_size: int) -> None:
    with pytest.raises(SettingsError, match="--block_size"):
        cut(0, 20, block_size=block_size)


HOURS = np.datetime64("2019-12-25T05", "ns") + np.arange(900) * np.timedelta64(1, "h")  # to the last day of January


@pytest.mark.parametrize("by", CALENDAR)
@pytest.mark.parametrize(("start", "stop"), [(0, 900), (30, 31), (24, 700)])
def test_calendar_blocks_joined_give_back_the_stretch(by: str, start: int, stop: int) -> None:
    blocks = list(cut_calendar(HOURS, start, stop, by=by))
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(start, stop))
    assert [block.index for block in blocks] == list(range(len(blocks)))


@pytest.mark.parametrize(("by", "firsts"), [("week", ["2019-12-30", "2020-01-06", "2020-01-13", "2020-01-20", "2020-01-27"]), ("month", ["2020-01-01"])])
def test_a_week_begins_on_monday_and_a_month_on_its_first(by: str, firsts: list[str]) -> None:
    _, *later = cut_calendar(HOURS, 0, 900, by=by)
    assert [str(HOURS[block.start].astype("datetime64[h]")) for block in later] == [f"{first}T00" for first in firsts]
    assert str(HOURS[later[0].start - 1].astype("datetime64[h]"))[-2:] == "23"


def test_a_day_without_rows_is_no_block_and_only_ends_can_be_short() -> None:
    gap = np.delete(HOURS, np.r_[19:43, 95:110])
    blocks = list(cut_calendar(gap, 0, len(gap), by="day"))
    assert len(blocks) == 37
    assert min(block.rows for block in blocks) < 12
    assert [block.index for block in blocks if block.short] == []
    assert [block.index for block in cut_calendar(HOURS, 15, 800, by="day") if block.short] == [0]


@pytest.mark.parametrize("by", CALENDAR)
def test_no_rows_cannot_be_cut_by_the_calendar(by: str) -> None:
    with pytest.raises(SettingsError, match=f"no rows to cut by the {by}"):
        cut_calendar(HOURS, 5, 5, by=by)
