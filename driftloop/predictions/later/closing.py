"""Closes blocks: takes of a judgement what a later one needs to continue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftloop.data import blocks
from driftloop.data.blocks import Block
from driftloop.drift.rules.rule import Rule
from driftloop.drift.verdict import Verdict
from driftloop.metrics.results import BlockScore
from driftloop.predictions import predicted_table
from driftloop.predictions.later import rule_state
from driftloop.predictions.later.closed import Closed, FromReference, Past, newest_scores, shortened, thinned
from driftloop.predictions.predicted_table import PredictedTable


@dataclass(frozen=True, eq=False)
class Judged:
    """A judgement after its last closed block."""

    rule: Rule
    verdicts: Sequence[Verdict]
    scores: Sequence[BlockScore]
    kind: Verdict | None
    alarm: int
    losses: np.ndarray  # of all labelled rows of the table; nan where the KPI is no mean of losses


def close(table: PredictedTable, done: Sequence[Block], judged: Judged, *, first: FromReference, before: Closed | None, block_by: str) -> Closed:
    """The state after the closed blocks.

    Args:
        table: that was judged: the rows that `before` kept, and those after them.
        done: its closed blocks.
        judged: the judgement.
        first: what the reference period decided.
        before: the state after the judgement before.
        block_by: as in `TablePlan`.
    """
    stop, past = done[-1].stop, before.past if before else Past()
    rows = predicted_table.as_rows(table).of(slice(0, stop))
    which, kept, reference = thinned(rows, done, table.reference)
    dropped = ~which
    dropped[: table.reference] = False
    gone = dropped[rows.labelled]
    old = len(before.seen) if before else 0
    return Closed(
        first=first,
        rule=rule_state.taken(judged.rule),
        verdicts=shortened(judged.verdicts),
        scores=newest_scores(judged.scores),
        kept=rows.of(which),
        seen=np.r_[before.seen if before else rows.labels[:0], rows.labels[old:]][which],
        kept_blocks=tuple(kept),
        kept_reference=reference,
        rows=(before.rows - old if before else 0) + stop,
        past=Past(
            past.labelled + int(gone.sum()),
            past.losses + float(judged.losses[: len(gone)][gone].sum()),
            past.unlabelled + int(dropped.sum() - gone.sum()),
        ),
        kind=judged.kind,
        alarm=judged.alarm,
        edge=_edge(table, stop, block_by=block_by),
    )


def _edge(table: PredictedTable, stop: int, *, block_by: str) -> np.datetime64:
    """Rows before this time belong to closed blocks."""
    last = table.stream.times[stop - 1]
    if stop == table.reference:
        return last if table.ends is None else max(last, table.ends)
    return last if block_by == "rows" else blocks.period_end(last, by=block_by)
