"""What a board is made of."""

from __future__ import annotations

from dataclasses import dataclass

from ops.panels import Panel


@dataclass(frozen=True)
class Row:
    """Panels under a title, from the left to the right; the widths of each line add up to 24."""

    title: str
    panels: tuple[Panel, ...]
    each_stream: bool = False  # repeated for each stream: its queries see one stream at a time


@dataclass(frozen=True)
class Choice:
    """A variable: its values are those that the label of the same name takes in a metric."""

    name: str
    label: str
    metric: str


@dataclass(frozen=True)
class Board:
    """One page; its `uid` is its address and the name of its file."""

    uid: str
    title: str
    description: str
    choices: tuple[Choice, ...]
    rows: tuple[Row, ...]
