"""What to know of the figures of a judged table, in sentences."""

from __future__ import annotations

from driftloop.metrics.goal import Goal
from driftloop.metrics.results import ReferencePeriod
from driftloop.predictions.later.label_delay import EARLY, LabelDelay
from driftloop.report import wording
from driftloop.report.kpi_words import Figures


def of(words: Figures, goal: Goal, period: ReferencePeriod, *, drifting: bool, unlabelled: int, waiting: int, early: int, delay: LabelDelay) -> list[str]:
    """The notes.

    Args:
        words: of the KPI.
        goal: its threshold and alpha.
        period: the reference period.
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
    if drifting:
        how = "differs by more than noise: choose a steady one, or give --threshold"
        notes.append(f"The reference period is drifting itself: the {words.name} of its first and second half {how}.")
    if unlabelled:
        notes.append(f"{unlabelled:,} rows have no label: they are not judged, only estimated.")
    if waiting:
        told = f"; {early:,} labels that came before are not judged: {EARLY}" * (early > 0)
        notes.append(f"{wording.count(waiting, 'block')} waiting for labels, which are mature {delay.words} after a block's last row{told}.")
    return notes
