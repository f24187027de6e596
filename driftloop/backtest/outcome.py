"""The results of a back-test: figures per policy, comparisons at equal retrains, the Pareto front, the recommended policy.

Plain frozen values and arithmetic, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95
BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class PolicyResult:
    """The figures of one policy.

    Shares in 0..1; nan where undefined: `false_alarms` and `delay` when the stream's changes are unknown, or the policy has no alarms.
    `correct` has the number of rows predicted correctly in each block.
    """

    name: str
    kind: str
    accuracy: float
    lower: float  # Wilson, 95 %
    upper: float
    kappa: float
    kappa_temporal: float
    worst_block: float  # lowest accuracy of a full block
    blocks_under_threshold: int
    retrains: int  # fits; for "continuous" updates
    promoted: int  # fits that went into service
    seconds: float  # of the fits; the base model's are not counted
    false_alarms: float  # share of alarms without a change since the oldest training row of the model in service
    detected: float  # changes followed by an alarm before the next change
    missed: float
    delay: float  # mean over the detected changes, in blocks; 0: at the end of the block in which the change began
    correct: tuple[int, ...]
    retrained_after: tuple[int, ...]

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> PolicyResult:
        """The result from its `asdict` in JSON; TypeError for another class's."""
        plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}
        return cls(**plain)

    def figures(self) -> dict[str, Any]:
        """The figures without the values by block."""
        body = asdict(self)
        return {name: body[name] for name in body if name not in {"correct", "retrained_after"}}


@dataclass(frozen=True)
class Difference:
    """The accuracy of one policy minus that of another on the same rows, with a 95 % interval; all in -1..1."""

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

    `periodic` (mean over its phases) and `random` (mean over the seeds) are accuracies; the differences are the policy's accuracy minus theirs.
    """

    policy: str
    retrains: int
    accuracy: float
    periodic: float
    periodic_lowest: float
    periodic_highest: float
    random: float
    random_lowest: float
    random_highest: float
    against_periodic: Difference
    against_random: Difference


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

    def as_json(self) -> dict[str, Any]:
        """The result as plain values."""
        body = asdict(self)
        compared = [{**asdict(one), "periodic_verdict": one.against_periodic.verdict, "random_verdict": one.against_random.verdict} for one in self.comparisons]
        return {**body, "policies": [policy.figures() for policy in self.policies], "comparisons": compared, "pareto": front(self.policies)}


def difference(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, rows: Sequence[int] | np.ndarray) -> Difference:
    """Accuracy of `first` minus that of `second`, paired by block, with a bootstrap interval.

    Runs of neighbouring blocks are resampled (circular block bootstrap, runs of about the cube root of the number of blocks), because neighbouring
    blocks are autocorrelated.

    Args:
        first, second: rows predicted correctly in each block, shape (B,).
        rows: rows of each block, shape (B,).

    >>> difference([9, 8, 9, 7], [5, 4, 5, 3], [10, 10, 10, 10])
    Difference(mean=0.4, lower=0.4, upper=0.4)

    Politis, Romano: A circular block-resampling procedure for stationary data. Exploring the Limits of Bootstrap, Wiley 1992.
    """
    gained, sizes = np.asarray(first, float) - np.asarray(second, float), np.asarray(rows, float)
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
    for policy in sorted(policies, key=lambda one: (one.retrains, -one.accuracy)):
        if policy.accuracy > best:
            best = policy.accuracy
            names.append(policy.name)
    return names


@dataclass(frozen=True)
class Choice:
    """Which policy to choose: of those whose accuracy is not significantly under the best one's, the one that retrains least."""

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
    best = max(open_to_choice, key=lambda one: (one.accuracy, -one.retrains))
    behind = {policy.name: difference(best.correct, policy.correct, rows) for policy in open_to_choice}
    as_good = [policy for policy in open_to_choice if behind[policy.name].verdict != "better"]
    chosen = min(as_good, key=lambda one: (one.retrains, -one.accuracy))
    return Choice(chosen, best, behind[chosen.name])
