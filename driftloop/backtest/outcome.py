"""The results of a back-test: figures per policy, comparisons at equal retrains, the Pareto front, the recommended policy.

Plain frozen values and arithmetic, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from driftloop.metrics.kpi_names import KPIS, OWN

RESAMPLES = 2000
CONFIDENCE = 0.95
BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class PolicyResult:
    """The figures of one policy.

    The KPI is in 0..1 or in the label's unit, see `KPIS`. nan where undefined: κ and κ-temporal of a regression, `false_alarms` and `delay` when
    the stream's changes are unknown or the policy has no alarms. `by_block` is what each block adds to the KPI times all rows: for the accuracy
    its rows predicted correctly, for a mean loss the sum of its losses, for another KPI see `score.by_block`.
    """

    name: str
    kind: str
    kpi: float
    lower: float  # 95 %, assuming independent rows
    upper: float
    kappa: float
    kappa_temporal: float
    worst_block: float  # worst KPI of a full block
    blocks_under_threshold: int  # with a KPI worse than the threshold
    retrains: int  # fits; for "continuous" updates
    promoted: int  # fits that went into service
    seconds: float  # of the fits; the base model's are not counted
    false_alarms: float  # share of alarms without a change since the oldest training row of the model in service
    detected: float  # changes followed by an alarm before the next change
    missed: float
    delay: float  # mean over the detected changes, in blocks; 0: at the end of the block in which the change began
    by_block: tuple[float, ...]
    retrained_after: tuple[int, ...]
    block_kpis: tuple[float, ...] = ()
    kpi_name: str = "accuracy"  # a key of `KPIS`
    task_kpi: float = math.nan  # the task's own KPI where `kpi` is another
    ahead_of_baseline: float = math.nan  # lead over the best constant answer, learned from the rows before the first block

    @property
    def higher(self) -> bool:
        """Whether a higher KPI is better."""
        return KPIS[self.kpi_name].higher

    @property
    def merit(self) -> float:
        """The KPI, negative where a lower one is better; -inf where it is undefined."""
        value = self.kpi if self.higher else -self.kpi
        return -math.inf if math.isnan(value) else value

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> PolicyResult:
        """The result from its `asdict` in JSON; TypeError for another class's."""
        plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}
        return cls(**plain)

    def figures(self) -> dict[str, Any]:
        """The figures without the values by block; the KPI under its name."""
        body = asdict(self)
        own = OWN[KPIS[self.kpi_name].task]
        others = {} if self.kpi_name == own else {own: self.task_kpi}
        left_out = {"by_block", "block_kpis", "retrained_after", "kpi_name", "task_kpi"}
        return _under_its_name({name: value for name, value in body.items() if name not in left_out}, self.kpi_name) | others


@dataclass(frozen=True)
class Difference:
    """How far the KPI of one policy is ahead of that of another on the same rows, with a 95 % interval; positive is better."""

    mean: float
    lower: float
    upper: float

    @property
    def verdict(self) -> str:
        """ "better", "worse", or "cannot tell" when the interval holds 0."""
        if self.lower > 0:
            return "better"
        return "worse" if self.upper < 0 else "cannot tell"


@dataclass(frozen=True)
class Comparison:
    """A triggered policy compared with periodic and random policies at exactly as many retrains.

    `periodic` (mean over its phases) and `random` (mean over the seeds) are KPIs; the differences are the policy's lead over them.
    """

    policy: str
    retrains: int
    kpi: float
    periodic: float
    periodic_lowest: float
    periodic_highest: float
    random: float
    random_lowest: float
    random_highest: float
    against_periodic: Difference
    against_random: Difference
    kpi_name: str = "accuracy"

    def figures(self) -> dict[str, Any]:
        """The figures, the KPI under its name."""
        body = asdict(self)
        del body["kpi_name"]
        return _under_its_name(body, self.kpi_name)


@dataclass(frozen=True)
class BacktestResult:
    """A whole back-test: the values for the terminal, `--json` and the plot."""

    stream: str
    first_row: int  # first scored row
    rows: int
    blocks: int
    block_size: int
    threshold: float
    judge_rows: int
    truth_known: bool
    baselines: dict[str, float]
    base_seconds: float
    policies: tuple[PolicyResult, ...]
    comparisons: tuple[Comparison, ...]
    random_seeds: int
    recommended: str
    recommended_refit: str  # the same choice without "continuous", which is another model
    reason: str
    seconds: float
    run_id: str = ""
    block_by: str = "rows"  # or one of blocks.CALENDAR; then `block_size` is the rows of the largest
    task: str = "classification"
    unit: str = ""  # of a regression's label
    kpi_name: str = ""  # a key of `KPIS`; "": the task's own
    constant: str = "majority"  # the baseline that is the best constant answer
    left_out: tuple[str, ...] = ()  # policies that cannot be played here, and why, in words
    label_delay_blocks: int = 0  # blocks from the end of a block until its labels are known
    label_share: float = 1.0  # of the scored rows that get a label
    winners: tuple[Any, ...] = ()  # `score.Wins`: which policy costs least at which price of a retrain
    winners_refit: tuple[Any, ...] = ()  # the same without the policies that are updated, never refitted
    against_always: tuple[tuple[str, Difference], ...] = ()  # of the updated policies, which cost as many updates as "always" refits
    at_prices: tuple[Any, ...] = ()  # `score.AtPrice`: the policy "cost" at several prices

    def as_json(self) -> dict[str, Any]:
        """The result as plain values."""
        body = asdict(self)
        kpi = KPIS[body.pop("kpi_name") or OWN[self.task]]
        body["kpi"] = {"name": kpi.name, "higher_is_better": kpi.higher}
        compared = [
            {**one.figures(), "periodic_verdict": one.against_periodic.verdict, "random_verdict": one.against_random.verdict} for one in self.comparisons
        ]
        body["against_always"] = {name: {**asdict(one), "verdict": one.verdict} for name, one in self.against_always}
        return {**body, "policies": [policy.figures() for policy in self.policies], "comparisons": compared, "pareto": front(self.policies)}


def _under_its_name(figures: dict[str, Any], kpi_name: str) -> dict[str, Any]:
    """Figures with the entry "kpi" under the KPI's name, in its place."""
    return {kpi_name if name == "kpi" else name: value for name, value in figures.items()}


def difference(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, rows: Sequence[int] | np.ndarray, *, higher: bool = True
) -> Difference:
    """How far `first` is ahead of `second`, paired by block, with a bootstrap interval.

    Runs of neighbouring blocks are resampled (circular block bootstrap, runs of about the cube root of the number of blocks), because neighbouring
    blocks are autocorrelated.

    Args:
        first, second: `PolicyResult.by_block`, shape (B,).
        rows: rows of each block, shape (B,).
        higher: whether a higher KPI is better.

    >>> difference([9, 8, 9, 7], [5, 4, 5, 3], [10, 10, 10, 10])
    Difference(mean=0.4, lower=0.4, upper=0.4)

    Politis, Romano: A circular block-resampling procedure for stationary data. Exploring the Limits of Bootstrap, Wiley 1992.
    """
    gained, sizes = (np.asarray(first, float) - np.asarray(second, float)) * (1 if higher else -1), np.asarray(rows, float)
    total = len(sizes)
    run = max(1, round(total ** (1 / 3)))
    starts = np.random.default_rng(BOOTSTRAP_SEED).integers(total, size=(RESAMPLES, math.ceil(total / run)))
    drawn = ((starts[:, :, None] + np.arange(run)) % total).reshape(RESAMPLES, -1)[:, :total]
    shares = gained[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    lower, upper = np.quantile(shares, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Difference(float(gained.sum() / sizes.sum()), float(lower), float(upper))


def front(policies: Sequence[PolicyResult]) -> list[str]:
    """The Pareto front: the policies not dominated by another with at most as many retrains, fewest retrains first."""
    best, names = -math.inf, []
    for policy in sorted(policies, key=lambda one: (one.retrains, -one.merit)):
        if policy.merit > best:
            best = policy.merit
            names.append(policy.name)
    return names


@dataclass(frozen=True)
class Choice:
    """Which policy to choose: of those whose KPI is not significantly worse than the best one's, the one that retrains least."""

    chosen: PolicyResult
    best: PolicyResult
    behind: Difference  # best minus chosen


def recommend(policies: Sequence[PolicyResult], rows: Sequence[int] | np.ndarray) -> Choice:
    """Choose a policy; "random" is a control and is never chosen.

    Args:
        policies: their results on the same blocks, at least one that is not a control.
        rows: rows of each block.
    """
    open_to_choice = [policy for policy in policies if policy.kind != "control"]
    best = max(open_to_choice, key=lambda one: (one.merit, -one.retrains))
    behind = {policy.name: difference(best.by_block, policy.by_block, rows, higher=best.higher) for policy in open_to_choice}
    as_good = [policy for policy in open_to_choice if behind[policy.name].verdict != "better"]
    chosen = min(as_good, key=lambda one: (one.retrains, -one.merit))
    return Choice(chosen, best, behind[chosen.name])
