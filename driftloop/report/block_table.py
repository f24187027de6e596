"""The figures of a block as table columns: for the table, and for the hover text of the plot."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from driftloop.metrics.results import BlockScore, WatchResult
from driftloop.report import kpi_words, wording


@dataclass(frozen=True)
class BlockColumn:
    """A column: its header, and a block's cell."""

    title: str
    cell: Callable[[BlockScore], str]
    style: str = "n"  # class of its cells: n numbers, t text on one line, "" text


_SET_ASIDE: Final = BlockColumn("set aside", lambda one: f"{one.set_aside}{', impossible values' * ('impossible values' in one.quality)}")


def columns(result: WatchResult) -> tuple[BlockColumn, ...]:
    """All columns of a result's blocks, accuracies in percent, MAEs in the label's unit."""
    write = kpi_words.of(result)
    first = (
        BlockColumn("block", lambda one: str(one.block)),
        BlockColumn("time", lambda one: wording.moment(one.timestamp), "t"),
        BlockColumn("rows", lambda one: f"{one.rows}{'*' * one.short}"),
        *([BlockColumn("labelled", lambda one: wording.with_sign(one.labelled_share, digits=1))] if _lacks_labels(result) else []),
        BlockColumn("period" if result.reference else "version", lambda one: one.version, ""),
        BlockColumn(write.name, lambda one: write.value(one.kpi)),
        BlockColumn("lower", lambda one: write.value(one.lower)),
        BlockColumn("upper", lambda one: write.value(one.upper)),
    )
    others = (_of_numbers if write.kpi else _of_values if write.plain else _of_shares)(result)
    served = {"unretrained", "set aside"} if result.reference else set()  # columns of a model that we serve
    return (*first, *(one for one in others if one.title not in served), BlockColumn("drift", _drift, ""))


def _lacks_labels(result: WatchResult) -> bool:
    return any(one.labelled_share < 1 for one in result.scores)


def _of_shares(_: WatchResult) -> tuple[BlockColumn, ...]:
    return (
        BlockColumn("κ", lambda one: wording.number(one.kappa)),
        BlockColumn("κ-temporal", lambda one: wording.number(one.kappa_temporal)),
        BlockColumn("unretrained", lambda one: wording.percent(one.kpi_unretrained)),
        _baseline("no change", "no_change", wording.percent),
        _baseline("yesterday", "same_time_yesterday", wording.percent),
        _baseline("majority", "majority", wording.percent),
        BlockColumn("threshold", lambda one: wording.percent(one.threshold)),
    )


def _of_values(result: WatchResult) -> tuple[BlockColumn, ...]:
    return (
        BlockColumn("bias", lambda one: wording.signed(one.bias)),
        BlockColumn("unretrained", lambda one: wording.number(one.kpi_unretrained)),
        *(_baseline(name, name, wording.number) for score in result.scores[:1] for name in score.baselines),
        BlockColumn("threshold", lambda one: wording.number(one.threshold)),
        _SET_ASIDE,
    )


def _of_numbers(result: WatchResult) -> tuple[BlockColumn, ...]:
    write, own = kpi_words.of(result), kpi_words.Figures(result.task, result.unit)
    return (
        BlockColumn(own.title, lambda one: own.value(one.task_kpi)),
        *([BlockColumn("bias", lambda one: wording.signed(one.bias))] if result.task == "regression" else []),
        BlockColumn("unretrained", lambda one: write.value(one.kpi_unretrained)),
        *(_baseline(wording.baseline(name), name, write.value) for score in result.scores[:1] for name in score.baselines),
        BlockColumn("threshold", lambda one: write.value(one.threshold)),
        _SET_ASIDE,
    )


def _baseline(title: str, name: str, write: Callable[[float], str]) -> BlockColumn:
    return BlockColumn(title, lambda one: write(one.baselines.get(name, math.nan)))


def _drift(one: BlockScore) -> str:
    return f"{wording.drifted(one)}{f', {one.kind}' * one.drift}"
