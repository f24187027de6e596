"""The result of judging a table of predictions: a watch without versions and retrains, with a reference period."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from driftloop.drift.estimate.confidence import Estimate
from driftloop.drift.forecast.crossing import Forecast
from driftloop.drift.kind.attribution import Attribution
from driftloop.drift.verdict import Verdict
from driftloop.metrics.results import BlockScore, ReferencePeriod, SegmentResult, WatchResult

PERIODS: Final = ("reference", "judged")  # of a block, as its `version`
_OF_A_SERVED_MODEL: Final = ("retrains", "rollbacks", "versions", "served_version", "period")


@dataclass(frozen=True, kw_only=True)
class TableScore(BlockScore):
    """A block whose rows need not all have labels."""

    labelled: float  # share of the rows that have theirs
    effective_rows: float = math.nan  # of the labelled rows, as independent ones; nan where the block was not judged, or the KPI is no mean of losses

    @property
    def labelled_share(self) -> float:
        """See `BlockScore.labelled_share`."""
        return self.labelled


@dataclass(frozen=True, kw_only=True)
class TableResult(WatchResult):
    """What `watch_table.py --json` prints and the report draws; `scores` are of all blocks, those of the reference period first."""

    period: ReferencePeriod
    verdict: Verdict
    kind: str  # a key of `drift.answer.KINDS`
    forecast: Forecast
    estimate: Estimate
    segments: SegmentResult | None = None
    why: Attribution | None = None  # of a proven fall

    @property
    def reference(self) -> ReferencePeriod:
        """See `WatchResult.reference`."""
        return self.period

    @property
    def by_segment(self) -> SegmentResult | None:
        """See `WatchResult.by_segment`."""
        return self.segments

    @property
    def explained(self) -> Attribution | None:
        """See `WatchResult.explained`."""
        return self.why

    @property
    def judged(self) -> tuple[BlockScore, ...]:
        """See `WatchResult.judged`."""
        return tuple(score for score in self.scores if score.version != PERIODS[0])

    def as_json(self) -> dict[str, Any]:
        """See `WatchResult.as_json`; `blocks` counts those that are judged."""
        body = super().as_json()
        left = {name: value for name, value in body.items() if name not in _OF_A_SERVED_MODEL and not name.endswith("_without_retraining")}
        answers = {name: asdict(getattr(self, name)) for name in ("verdict", "forecast", "estimate")}
        explained = {"segments": self.segments.as_json() if self.segments else None, "why": asdict(self.why) if self.why else None}
        return {**left, **answers, **explained, "reference": asdict(self.period), "blocks": len(self.judged)}
