"""Blocks cover a stretch of rows exactly."""

import pytest

from driftloop.blocks import Block, cut
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
