"""What to know of the figures of a judged table, in sentences."""

from __future__ import annotations

from typing import Final

from driftloop.metrics.goal import Goal
from driftloop.metrics.results import ReferencePeriod
from driftloop.predictions.later.label_delay import EARLY, LabelDelay
from driftloop.report import wording
from driftloop.report.kpi_words import Figures

FEW: Final = 15  # blocks of a reference period
MANY: Final = 5.0  # rows that count as one


def of(
    words: Figures,
    goal: Goal,
    period: ReferencePeriod,
    *,
    blocks: int,
    rows_in_one: float,
    drifting: bool,
    unlabelled: int,
    waiting: int,
    early: int,
    delay: LabelDelay,
) -> list[str]:
    """The notes.

    Args:
        words: of the KPI.
        goal: its threshold and alpha.
        period: the reference period.
        blocks: of that.
        rows_in_one: rows with the information of one, for the rule.
        drifting: whether that drifts itself.
        unlabelled: rows without a label in judged blocks.
        waiting: blocks that wait for labels.
        early: labels that these have already.
        delay: after which they are mature.
    """
    notes, alpha = [], goal.alpha
    if period.bounds:
        notes.append(
            f"No threshold was given: drift is a KPI worse than that of the reference period by more than noise, that of its {period.rows:,} rows included. "
            f"Plot, margins and forecast use {words.with_unit(goal.threshold)}, the worst {words.name} that the reference period leaves possible at "
            f"{100 * (1 - alpha):g} % confidence; the rule does not wait for it."
        )
    if period.bounds and rows_in_one > MANY and blocks < FEW:
        notes.append(
            f"The reference period has {wording.count(blocks, 'block')}: too few to see whether the {words.name} wanders from one to the next, so "
            f"{rows_in_one:.0f} rows count as one. Smaller blocks, or a longer reference period, show a fall sooner."
        )
    if drifting:
        how = "differs by more than noise: choose a steady one, or give --threshold"
        notes.append(f"The reference period is drifting itself: the {words.name} of its first and second half {how}.")
    if unlabelled:
        notes.append(f"{unlabelled:,} rows have no label: they are not judged, only estimated.")
    if waiting:
        told = f"; {early:,} labels that came before are not judged: {EARLY}" * (early > 0)
        notes.append(f"{wording.count(waiting, 'block')} waiting for labels, which are mature {delay.words} after a block's last row{told}.")
    return notes
