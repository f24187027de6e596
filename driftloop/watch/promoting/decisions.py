"""What the promotion log says of a retrain."""

from __future__ import annotations

import math
from typing import Any

from driftloop.metrics.results import RetrainRecord
from driftloop.tracking.promotions import promotion_log
from driftloop.tracking.promotions.promotion_log import PROMOTED, REFUSED, ROLLED_BACK, Promotion
from driftloop.watch.promoting.shadow import Shadow


def of_going_back(behind: Shadow, *, script: str) -> Promotion:
    """The undoing of a swap by the version before, which has won in shadow."""
    assert behind.verdict is not None
    (now, before), verdict = behind.kpis, behind.verdict
    figures = {"e_value": verdict.e_value, "alpha": verdict.alpha, "kpi_before": now, "kpi_after": before}
    return promotion_log.made(ROLLED_BACK, why=behind.undone, script=script, run_id=behind.model.run_id, evidence=figures, rows=(behind.start, behind.stop))


def of_retrain(record: RetrainRecord, *, script: str, alpha: float, shadow: Shadow | None = None) -> Promotion:
    """A retrain's promotion or refusal, on the rows that judged it: those before it, or those of its shadow."""
    figures: dict[str, Any] = {"p_value": record.p_value, "alpha": alpha, "kpi_before": record.before, "kpi_after": record.after}
    rows = (record.row - record.judge_rows, record.row) if record.judge_rows else None
    if shadow is not None:
        rows = (shadow.start, shadow.stop) if shadow.verdict else None
        figures["e_value"] = shadow.verdict.e_value if shadow.verdict else math.nan
    return promotion_log.made(
        PROMOTED if record.promoted else REFUSED,
        why=record.decision,
        script=script,
        run_id=record.run_id,
        evidence={name: None if math.isnan(value) else value for name, value in figures.items()},
        rows=rows,
    )
