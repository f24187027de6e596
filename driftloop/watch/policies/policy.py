"""When to retrain: the policy of a watch. An alarm informs people, a policy spends money; the two are set apart.

`triggered` and `proactive` retrain on an alarm of the drift rule, proactive on a forecast one as well. `periodic` and `cost` retrain by
themselves, `continuous` updates the model in service after every block: under these an alarm is only reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from driftloop.cli.script_flags import LoopFlags
from driftloop.data import blocks
from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.drift import regret
from driftloop.drift.regret import Regret
from driftloop.errors import SettingsError
from driftloop.metrics.goal import Goal
from driftloop.metrics.results import RetrainRecord
from driftloop.watch.promoting.promotion_plan import SHADOW

TRIGGERED, PERIODIC, CONTINUOUS, PROACTIVE, COST = "triggered", "periodic", "continuous", "proactive", "cost"
USUAL_PERIOD: Final = "7"  # blocks


@dataclass(frozen=True)
class RetrainPolicy:
    """A policy with its settings.

    `every` is a number of blocks, or one of `blocks.CALENDAR`; "" for policies without a period. `cost` is what a retrain costs.
    """

    name: str = TRIGGERED
    every: str = ""
    cost: regret.Price = field(default_factory=regret.Price)

    @property
    def params(self) -> dict[str, Any]:
        """The settings as parameters of a run."""
        price = {"retrain_cost": self.cost.text} if self.name == COST else {}
        return {"policy": self.name} | ({"every": self.every} if self.every else {}) | price

    @property
    def by_alarm(self) -> bool:
        """Whether an alarm is a reason to retrain."""
        return self.name in {TRIGGERED, PROACTIVE}


def chosen(args: LoopFlags) -> RetrainPolicy:
    """The policy from the flags.

    Raises:
        SettingsError: two flags contradict each other.
    """
    name = args.policy
    if args.proactive and name not in {TRIGGERED, PROACTIVE}:
        raise SettingsError(f"--proactive and --policy {name} are given: --proactive means --policy {PROACTIVE}: give one of them")
    name = PROACTIVE if args.proactive else name
    if args.every and name not in {PERIODIC, CONTINUOUS}:
        raise SettingsError(f"--every {args.every} is given, but --policy is {name}: give --policy {PERIODIC} or {CONTINUOUS}, or omit --every")
    if args.retrain_cost and name != COST:
        raise SettingsError(f"--retrain_cost {args.retrain_cost} is given, but --policy is {name}: give --policy {COST}, or omit --retrain_cost")
    if name == CONTINUOUS and not args.max_retrains:
        raise SettingsError(f"--policy {CONTINUOUS} and --max_retrains 0 are given: the second forbids what the first asks for: omit one")
    if name == CONTINUOUS and (args.promote == SHADOW or args.go_back):
        given = "--go_back" if args.go_back else f"--promote {SHADOW}"
        raise SettingsError(f"{given} and --policy {CONTINUOUS} are given: an update has no challenger and no version before it: omit one")
    return RetrainPolicy(name, args.every or (USUAL_PERIOD if name == PERIODIC else ""), regret.price(args.retrain_cost))


class Schedule:
    """Whether a retrain is due after a block without an alarm, and why.

    Args:
        policy: with its settings.
        goal: the KPI and its threshold.
        stream: with the times of its rows.
        start: first row of the watch.
    """

    def __init__(self, policy: RetrainPolicy, goal: Goal, stream: Stream, *, start: int) -> None:
        self.policy, self.stream = policy, stream
        self.regret = Regret(goal, policy.cost)
        self.passed = 0  # blocks since the last retrain
        self.since: np.datetime64 = stream.times[start]

    def due(self, block: Block, kpi: float) -> str:
        """The reason to retrain after a block with this KPI, in words, or ""; call it once for each block. It stays due until `restart`."""
        self.passed += 1
        name = self.policy.name
        if name == COST and self.regret.due_after(kpi):
            lost, price = self.regret.lost, self.regret.price
            return f"{lost:.1f} points × blocks of the KPI were lost since the last retrain, the next one is expected to cost {price:.1f}"
        if self.policy.every and self._elapsed(block):
            return f"planned: {'every' if self.policy.every.isdigit() else 'each'} {_period(self.policy.every)}"
        return ""

    def decided(self, record: RetrainRecord) -> None:
        """Note a retrain whose challenger is promoted or dropped."""
        self.regret.retrained(record.seconds, promoted=record.promoted)

    def restart(self, block: Block) -> None:
        """Begin the next period after a block, with a retrain or an update."""
        self.passed, self.since = 0, self.stream.times[min(block.stop, len(self.stream) - 1)]

    def _elapsed(self, block: Block) -> bool:
        if self.policy.every.isdigit():
            return self.passed >= int(self.policy.every)
        return block.stop < len(self.stream) and bool(self.stream.times[block.stop] >= blocks.period_end(self.since, by=self.policy.every))


def _period(every: str) -> str:
    return every if not every.isdigit() else "block" if every == "1" else f"{every} blocks"
