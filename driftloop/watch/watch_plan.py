"""The settings of a watch: its rows and blocks, the goal, the drift rule, and when to retrain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from driftloop.data import blocks
from driftloop.data.streams import Stream
from driftloop.drift.rules.rule import Rule
from driftloop.drift.verdict import Verdict
from driftloop.metrics import cost_table
from driftloop.metrics.goal import Goal
from driftloop.metrics.results import BlockScore
from driftloop.metrics.row_kpis import CostKpi
from driftloop.report import wording
from driftloop.training.retrain import RetrainPlan
from driftloop.watch.policies.policy import PROACTIVE, RetrainPolicy
from driftloop.watch.promoting.promotion_plan import BY_JUDGE, PromotionPlan


@dataclass(frozen=True)
class WatchPlan:
    """The settings of a watch.

    `rule` decides which blocks have drifted, `policy` when to retrain. By an alarm: `on_drift` is called once per drifted block and decides whether
    to retrain now; a proactive watch also when the early end of the forecast is at most `lead_blocks` away; with `follow_up` such a retrain is
    followed by others. After `max_retrains` the watch only scores.
    """

    start: int
    stop: int
    block_size: int
    goal: Goal
    rule: Rule
    lead_blocks: int
    on_drift: Callable[[BlockScore, Verdict], bool]
    max_retrains: int
    retrain: RetrainPlan
    block_by: str = "rows"  # or one of blocks.CALENDAR: a block is a day, week or month with any number of rows
    follow_up: bool = False
    promotion: PromotionPlan = BY_JUDGE
    policy: RetrainPolicy = field(default_factory=RetrainPolicy)

    @property
    def proactive(self) -> bool:
        """Whether a forecast drift is an alarm."""
        return self.policy.name == PROACTIVE

    def cut(self, stream: Stream) -> list[blocks.Block]:
        """The blocks of the watch.

        Raises:
            SettingsError: see `blocks.cut`.
        """
        if self.block_by == "rows":
            return list(blocks.cut(self.start, self.stop, block_size=self.block_size))
        return list(blocks.cut_calendar(stream.times, self.start, self.stop, by=self.block_by))

    def name(self, stream: Stream) -> str:
        """The name of the deployment's run."""
        first, last = (wording.moment(str(stream.times[row]))[:10] for row in (self.start, self.stop - 1))
        return f"deployment {first}" if first == last else f"deployment {first} to {last}"

    def judged_by(self, stream: Stream) -> dict[str, Any]:
        """The goal as parameters of a run."""
        found: dict[str, Any] = {"threshold": self.goal.threshold, "alpha": self.goal.alpha}
        if self.goal.task.chosen:
            found["kpi"] = self.goal.task.kpi
        if isinstance(self.goal.task, CostKpi):
            found["cost"] = cost_table.written(self.goal.task.costs, stream.label_names)
        return found

    def check(self, stream: Stream) -> None:
        """Check early that the blocks can be cut and retrains are possible.

        Raises:
            SettingsError: see `cut` and `RetrainPlan.check`.
        """
        self.cut(stream)
        if self.max_retrains:
            self.retrain.check()
