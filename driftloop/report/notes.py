"""Notes on a watch's figures for its reader."""

from __future__ import annotations

from typing import Final

from driftloop.data import elec
from driftloop.data.streams import Stream
from driftloop.metrics.kpi_names import KPIS, OWN
from driftloop.metrics.results import REGRESSION, WatchResult

PRICE_HISTORY: Final = 0.92  # no published result on ELEC without price history is above this


def of_limits(result: WatchResult, max_retrains: int) -> tuple[str, ...]:
    """Note unanswered drift after the last allowed retrain, and a KPI under the threshold without proven drift."""
    notes = []
    if 0 < max_retrains <= len(result.retrains):
        late = sum(score.drift and score.block > result.retrains[-1].block for score in result.scores)
        if late:
            notes.append(f"--max_retrains {max_retrains} was reached: {late} drifted blocks after the last retrain were scored without a retrain.")
    kpi = KPIS[result.kpi_name or OWN[result.task]]
    if result.rule != "never" and not result.drift and (result.kpi < result.threshold if kpi.higher else result.kpi > result.threshold):
        notes.append(
            f"Over the whole watch the {kpi.words} is worse than the threshold {result.threshold:g}, but drift is not proven: {_why_not_proven(result.rule)}"
        )
    return tuple(notes)


def of_rollbacks(result: WatchResult) -> tuple[str, ...]:
    """Note the swaps that were undone."""
    return tuple(
        f"After block {one.block} version {one.from_version} was undone and version {one.version} serves again: {one.decision}." for one in result.rollbacks
    )


def _why_not_proven(rule: str) -> str:
    if rule == "significant":
        return "autocorrelated errors carry little evidence, and few large blocks do not show its range. Smaller blocks or more rows may help."
    return f"the rule {rule} watches for a rise of the errors, not for the threshold. --drift_rule significant tests the threshold."


def of_history(result: WatchResult, stream: Stream) -> tuple[str, ...]:
    """Note figures that use history, and why they are so high."""
    seeing = [record for record in result.versions if record.params["history"] > 0 and record.rows]
    notes = [
        f"Version {record.version} reads the {record.params['history']} rows before each row it predicts (features only, never labels); "
        f"its {record.kpi:.4f} is not comparable with models that see one row."
        for record in seeing
    ]
    if stream.features == elec.FEATURES and result.task != REGRESSION and not result.kpi_name and any(record.kpi > PRICE_HISTORY for record in seeing):
        notes.append(
            "ELEC's label is defined by its own past: UP means that the price is above its mean over the 48 half-hours before (data/README.md). "
            "A model that sees a day of prices can compute the label, so it is nearly 100 % right and needs no retraining; "
            "a model that sees one row drifts because that mean moves."
        )
    return tuple(notes)
