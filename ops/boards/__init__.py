"""The five boards, one module each, and what a board is made of; `ops.dashboards` writes them as Grafana reads them."""

from __future__ import annotations

from dataclasses import dataclass

from ops.panels import Panel


@dataclass(frozen=True)
class Row:
    """Panels under a title, from left to right; the widths of each line add up to 24."""

    title: str
    panels: tuple[Panel, ...]
    each_stream: bool = False  # repeated for each stream: its queries see one stream at a time


@dataclass(frozen=True)
class Choice:
    """A variable; its values are those of the label of the same name in a metric."""

    name: str
    label: str
    metric: str


@dataclass(frozen=True)
class Board:
    """One page; its `uid` is its address and the name of its file. Above its own rows is the overview, repeated for each stream, if it has one."""

    uid: str
    title: str
    description: str
    choices: tuple[Choice, ...]
    rows: tuple[Row, ...]
    overview: bool = True
