"""The figures of a block as the columns of a table: for the table itself, and for what is told of a block when it is pointed at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from driftloop.metrics.results import BlockScore, WatchResult
from driftloop.report import kpi_words, wording


@dataclass(frozen=True)
class BlockColumn:
    """A column: its head, and the cell of a block."""

    title: str
    cell: Callable[[BlockScore], str]
    style: str = "n"  # class of its cells: n numbers, t text on one line, "" text


def columns(result: WatchResult) -> tuple[BlockColumn, ...]:
    """All columns of a result's blocks, accuracies in percent, MAEs in the label's unit."""
    write = kpi_words.of(result)
    first = (
        BlockColumn("block", lambda one: str(one.block)),
        BlockColumn("time", lambda one: wording.moment(one.timestamp), "t"),
        BlockColumn("rows", lambda one: f"{one.rows}{'*' * one.short}"),
        BlockColumn("version", lambda one: one.version, ""),
        BlockColumn(write.name, lambda one: write.value(one.kpi)),
        BlockColumn("lower", lambda one: write.value(one.lower)),
        BlockColumn("upper", lambda one: write.value(one.upper)),
    )
    return (*first, *(_of_values if write.regression else _of_shares)(result), BlockColumn("drift", _drift, ""))


def _of_shares(_: WatchResult) -> tuple[BlockColumn, ...]:
    return (
        BlockColumn("κ", lambda one: wording.number(one.kappa)),
        BlockColumn("κ-temporal", lambda one: wording.number(one.kappa_temporal)),
        BlockColumn("unretrained", lambda one: wording.percent(one.kpi_unretrained)),
        BlockColumn("no change", lambda one: wording.percent(one.no_change)),
        BlockColumn("yesterday", lambda one: wording.percent(one.same_time_yesterday)),
        BlockColumn("majority", lambda one: wording.percent(one.majority)),
        BlockColumn("threshold", lambda one: wording.percent(one.threshold)),
    )


def _of_values(result: WatchResult) -> tuple[BlockColumn, ...]:
    rivals = result.scores[0].rivals if result.scores else ()
    return (
        BlockColumn("bias", lambda one: wording.signed(one.bias)),
        BlockColumn("unretrained", lambda one: wording.number(one.kpi_unretrained)),
        *map(_of_rival, rivals),
        BlockColumn("threshold", lambda one: wording.number(one.threshold)),
        BlockColumn("set aside", lambda one: f"{one.set_aside}{', impossible values' * ('impossible values' in one.quality)}"),
    )


def _of_rival(name: str) -> BlockColumn:
    return BlockColumn(name, lambda one: wording.number(one.rivals.get(name, math.nan)))


def _drift(one: BlockScore) -> str:
    return f"{wording.drifted(one)}{f', {one.kind}' * one.drift}"
