"""How long labels take: which blocks are still waiting for theirs, and which are closed, that is judged for good.

The labels that arrive first are seldom like the others: a customer who leaves is known to have left before one who stays is known to have
stayed. So with a delay a block is judged once, when its labels are mature, whatever labels there were before. Without one a block is judged with
the labels that it has, again at each update, until all its rows have theirs or newer blocks close it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from driftloop.errors import SettingsError

if TYPE_CHECKING:
    from driftloop.data.blocks import Block

OPEN_BLOCKS: Final = 50  # newest complete blocks that stay open while rows of theirs have no label, where no delay is given
OPEN_ROWS: Final = 100_000  # in which there are at most as many rows, or one block
_WRITTEN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)", re.IGNORECASE)
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
HOW_TIME: Final = "give a time such as 12h, 7d or 2w"
HOW: Final = f"{HOW_TIME}, or a number of blocks"
EARLY: Final = "early labels are seldom like the others"  # why those that came before the delay are not judged


@dataclass(frozen=True)
class LabelDelay:
    """After a block's last row: a time, or a number of later complete blocks; 0: none."""

    seconds: float = 0.0
    blocks: int = 0

    def __bool__(self) -> bool:
        return bool(self.seconds or self.blocks)

    @property
    def words(self) -> str:
        """As in "labels are mature after …"."""
        if self.blocks:
            return f"{self.blocks} block{'s' * (self.blocks > 1)}"
        unit = next(unit for unit in ("d", "h", "min", "s") if self.seconds % _UNITS[unit] == 0 or unit == "s")
        return f"{self.seconds / _UNITS[unit]:g} {'days' if unit == 'd' and self.seconds != _UNITS['d'] else 'day' if unit == 'd' else unit}"


NO_DELAY: Final = LabelDelay()


def read(given: str | int | timedelta | None) -> LabelDelay:
    """A delay as people write it.

    >>> read("7d"), read(3), read("3"), read(None)
    (LabelDelay(seconds=604800.0, blocks=0), LabelDelay(seconds=0.0, blocks=3), LabelDelay(seconds=0.0, blocks=3), LabelDelay(seconds=0.0, blocks=0))

    Raises:
        SettingsError: it is none.
    """
    if given is None or given == "":
        return NO_DELAY
    if isinstance(given, timedelta | np.timedelta64):
        seconds = given / (timedelta(seconds=1) if isinstance(given, timedelta) else np.timedelta64(1, "s"))
    elif isinstance(given, Integral) or (isinstance(given, str) and given.strip().isdecimal()):
        if isinstance(given, bool) or int(given) < 0:
            raise SettingsError(f"label_delay is {given!r}: {HOW}")
        return LabelDelay(blocks=int(given))
    else:
        found = _WRITTEN.fullmatch(given.strip()) if isinstance(given, str) else None
        if not found:
            raise SettingsError(f"label_delay is {given!r}: {HOW}")
        seconds = float(found[1]) * _UNITS[found[2].lower()]
    if not 0 <= seconds < 3e9:
        raise SettingsError(f"label_delay is {given!r}: {HOW}")
    return LabelDelay(seconds=seconds)


def read_time(given: Any) -> timedelta:
    """A delay that must be a time, as a stream's settings have it; 0: none.

    >>> read_time("7d"), read_time(None)
    (datetime.timedelta(days=7), datetime.timedelta(0))

    Raises:
        SettingsError: it is none.
    """
    try:
        found = read(given)
    except SettingsError:
        found = LabelDelay(blocks=1)
    if found.blocks:
        raise SettingsError(f"label_delay is {given!a:.60}: {HOW_TIME}")
    return timedelta(seconds=found.seconds)


def standing(judged: Sequence[Block], complete: Sequence[bool], unlabelled: Sequence[int], times: np.ndarray, delay: LabelDelay) -> tuple[int, int]:
    """How many of the oldest blocks are judged, and how many of these are closed.

    Args:
        judged: the open blocks after the reference period, oldest first.
        complete: whether each can get no more rows.
        unlabelled: rows of each without a label.
        times: (N,) of all rows, the newest last.
        delay: of the labels.
    """
    after = np.r_[np.cumsum(np.asarray(complete, int)[::-1])[::-1][1:], 0] if judged else np.empty(0, int)  # complete blocks after each
    if delay:
        if delay.blocks:
            mature = [whole and later >= delay.blocks for whole, later in zip(complete, after, strict=True)]
        else:
            newest, span = times[-1], np.timedelta64(round(delay.seconds * 1e9), "ns")
            mature = [whole and times[block.stop - 1] + span <= newest for whole, block in zip(complete, judged, strict=True)]
        count = next((at for at, ripe in enumerate(mature) if not ripe), len(mature))
        return count, count
    stop = judged[-1].stop if judged else 0
    closed = 0
    for block, whole, lacking, later in zip(judged, complete, unlabelled, after, strict=True):
        if not whole or (lacking and later < OPEN_BLOCKS and stop - block.start <= OPEN_ROWS):
            break
        closed += 1
    return len(judged), closed
