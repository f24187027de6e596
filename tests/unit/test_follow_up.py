"""After a drift a watch retrains again, each time the rows since have doubled."""

from __future__ import annotations

from driftloop.data.blocks import Block
from driftloop.watch.follow_up import FollowUp


def block(index: int, *, rows: int = 100) -> Block:
    return Block(index, rows * index, rows * index + rows)


def asked(follow_up: FollowUp, blocks: range) -> list[int]:
    return [index for index in blocks if follow_up.due(block(index))]


def test_nothing_is_due_before_a_drift_was_answered() -> None:
    assert asked(FollowUp(), range(50)) == []


def test_each_retrain_has_at_least_twice_the_rows_of_the_one_before() -> None:
    follow_up = FollowUp()
    follow_up.begin(block(10))
    assert asked(follow_up, range(11, 139)) == [11, 13, 17, 25, 41, 73, 137]


def test_blocks_of_many_rows_are_counted_by_their_rows() -> None:
    follow_up = FollowUp()
    follow_up.begin(Block(3, 1000, 1100))
    assert not follow_up.due(Block(4, 1100, 1150))
    assert follow_up.due(Block(5, 1150, 4000)) == "follow-up of the drift in block 3: 3,000 rows since it began, 100 at the last retrain"
    assert not follow_up.due(Block(6, 4000, 6999))
    assert follow_up.due(Block(7, 6999, 7000))


def test_a_new_drift_begins_anew() -> None:
    follow_up = FollowUp()
    follow_up.begin(block(0))
    assert asked(follow_up, range(1, 9)) == [1, 3, 7]
    follow_up.begin(block(9))
    assert asked(follow_up, range(10, 14)) == [10, 12]
