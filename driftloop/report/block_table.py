"""The figures of a block as table columns: for the table, and for the hover text of the plot."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from driftloop.metrics.results import BlockScore, WatchResult
from driftloop.report import kpi_words, wording


@dataclass(frozen=True)
class Column:
    """A column: its header, and a block's cell."""

    title: str
    cell: Callable[[BlockScore], str]
    style: str = "n"  # class of its cells: n numbers, t text on one line, "" text


def columns(result: WatchResult) -> tuple[Column, ...]:
    """All columns of a result's blocks, accuracies in percent, MAEs in the label's unit."""
    write = kpi_words.of(result)
    first = (
        Column("block", lambda one: str(one.block)),
        Column("time", lambda one: wording.moment(one.timestamp), "t"),
        Column("rows", lambda one: f"{one.rows}{'*' * one.short}"),
        Column("version", lambda one: one.version, ""),
        Column(write.name, lambda one: write.value(one.kpi)),
        Column("lower", lambda one: write.value(one.lower)),
        Column("upper", lambda one: write.value(one.upper)),
    )
    return (*first, *(_of_values if write.regression else _of_shares)(result), Column("drift", _drift, ""))


def _of_shares(_: WatchResult) -> tuple[Column, ...]:
    return (
        Column("κ", lambda one: wording.number(one.kappa)),
        Column("κ-temporal", lambda one: wording.number(one.kappa_temporal)),
        Column("unretrained", lambda one: wording.percent(one.kpi_unretrained)),
        _baseline("no change", "no_change", wording.percent),
        _baseline("yesterday", "same_time_yesterday", wording.percent),
        _baseline("majority", "majority", wording.percent),
        Column("threshold", lambda one: wording.percent(one.threshold)),
    )


def _of_values(result: WatchResult) -> tuple[Column, ...]:
    return (
        Column("bias", lambda one: wording.signed(one.bias)),
        Column("unretrained", lambda one: wording.number(one.kpi_unretrained)),
        *(_baseline(name, name, wording.number) for score in result.scores[:1] for name in score.baselines),
        Column("threshold", lambda one: wording.number(one.threshold)),
        Column("set aside", lambda one: f"{one.set_aside}{', impossible values' * ('impossible values' in one.quality)}"),
    )


def _baseline(title: str, name: str, write: Callable[[float], str]) -> Column:
    return Column(title, lambda one: write(one.baselines.get(name, math.nan)))


def _drift(one: BlockScore) -> str:
    return f"{wording.drifted(one)}{f', {one.kind}' * one.drift}"
