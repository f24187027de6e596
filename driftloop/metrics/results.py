"""The values that a watch over a stream produces: scores of blocks, retrains, versions, the whole.

Plain frozen values, no I/O: the terminal summary, the JSON line, the MLflow tables and the
HTML report are all drawn from these.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class BlockScore:
    """How the served model did on one block, beside what costs nothing.

    All shares are in 0..1. `lower` and `upper` bound the accuracy (Wilson, 95 %).
    `no_change` copies the previous row's label and so needs every label at once;
    the served model gets labels only when the block ends. `accuracy_unretrained` is the base
    model's on the same rows (nan when it was not scored).
    """

    block: int
    start: int
    stop: int
    rows: int
    timestamp: str  # ISO time of the block's first row
    short: bool
    version: str  # the model version that answered
    accuracy: float
    lower: float
    upper: float
    kappa: float
    kappa_temporal: float
    no_change: float
    same_time_yesterday: float  # nan when the first day is not over yet
    majority: float  # the class most frequent in the training rows
    accuracy_unretrained: float
    threshold: float
    drift: bool
    kind: str = "none"  # of the drift, as in drift.verdict.Verdict
    evidence: float = math.nan  # what the drift rule measured
    p_value: float = math.nan  # of the drift rule; nan for rules that state none
    estimated: float = math.nan  # accuracy as estimated before the labels came
    forecast_early: float = math.nan  # blocks until the accuracy crosses the threshold: inf not in sight, nan cannot tell
    forecast_middle: float = math.nan
    forecast_late: float = math.nan
    set_aside: int = 0  # rows of the block's time that could not be used; they are not among `rows`
    set_aside_why: str = ""  # reasons and how many rows each, the most frequent first
    until: str = ""  # ISO time of the block's last row
    quality: str = ""  # what the rows set aside would do to the block's means, in words; empty when nothing that matters
    task: str = "classification"  # of a regression the shares above are nan, `lower`, `upper` and `threshold` are of the MAE, and these hold:
    mae: float = math.nan  # mean absolute error, in the label's unit
    mae_unretrained: float = math.nan
    bias: float = math.nan  # mean of prediction less label
    rivals: dict[str, float] = field(default_factory=dict)  # MAE of each baseline by its name

    @property
    def kpi(self) -> float:
        """Accuracy, or MAE of a regression."""
        return self.mae if self.task == REGRESSION else self.accuracy

    @property
    def kpi_unretrained(self) -> float:
        """The same of the base model."""
        return self.mae_unretrained if self.task == REGRESSION else self.accuracy_unretrained


REGRESSION = "regression"
NO_BLOCK = -1  # stands where no block applies


@dataclass(frozen=True)
class RetrainRecord:
    """One retrain: why, what it found, what it was judged on, what came of it."""

    block: int  # the block whose verdict started it, or after which a follow-up was due; NO_BLOCK when neither did
    row: int  # first row the retrain was not allowed to see
    timestamp: str
    reason: str
    promoted: bool
    decision: str  # why it was promoted or not, in words
    params: dict[str, Any]  # of the challenger
    champion_params: dict[str, Any]
    judge_rows: int
    p_value: float  # one-sided paired test that the challenger is no better
    trials: int
    seconds: float
    run_id: str
    version: str = ""  # the registered version when promoted
    accuracy_before: float = math.nan  # champion on the judge rows
    accuracy_after: float = math.nan  # challenger on the same rows, fitted without them
    mae_before: float = math.nan  # the same of a regression
    mae_after: float = math.nan
    task: str = "classification"
    follow_up: bool = False  # not a block's verdict started it, but the rows since the drift

    @property
    def before(self) -> float:
        """The champion's KPI on the judge rows."""
        return self.mae_before if self.task == REGRESSION else self.accuracy_before

    @property
    def after(self) -> float:
        """The challenger's KPI on the same rows, fitted without them."""
        return self.mae_after if self.task == REGRESSION else self.accuracy_after


@dataclass(frozen=True)
class VersionRecord:
    """One served model version and how it did while it was served."""

    version: str
    run_id: str
    params: dict[str, Any]
    trained_start: int
    trained_stop: int
    first_block: int
    last_block: int
    rows: int
    accuracy: float = math.nan
    accuracy_unretrained: float = math.nan  # the base model on the same rows
    mae: float = math.nan  # of a regression
    mae_unretrained: float = math.nan
    task: str = "classification"

    @property
    def kpi(self) -> float:
        """Accuracy, or MAE of a regression."""
        return self.mae if self.task == REGRESSION else self.accuracy

    @property
    def kpi_unretrained(self) -> float:
        """The same of the base model."""
        return self.mae_unretrained if self.task == REGRESSION else self.accuracy_unretrained


@dataclass(frozen=True)
class WatchResult:
    """A whole watch: what `--json` prints and the report draws.

    `block_size` is the rows of a block, of the largest where the calendar cuts them.
    """

    stream: str
    rows: int
    block_size: int
    threshold: float
    baselines: dict[str, float]  # no_change, same_time_yesterday, majority; of a regression the names in words
    scores: tuple[BlockScore, ...]
    retrains: tuple[RetrainRecord, ...]
    versions: tuple[VersionRecord, ...]
    served_version: str
    seconds: float
    run_id: str = ""
    rule: str = "threshold"  # the drift rule
    findings: tuple[str, ...] = ()  # what the statistics say of the version in service, in sentences
    notes: tuple[str, ...] = field(default=())
    accuracy: float = math.nan
    kappa: float = math.nan
    kappa_temporal: float = math.nan
    accuracy_without_retraining: float = math.nan
    task: str = "classification"
    mae: float = math.nan  # of a regression; the figures above are then nan
    mae_without_retraining: float = math.nan
    unit: str = ""  # of the MAE
    block_by: str = "rows"  # or one of blocks.CALENDAR

    @property
    def kpi(self) -> float:
        """Accuracy, or MAE of a regression."""
        return self.mae if self.task == REGRESSION else self.accuracy

    @property
    def kpi_without_retraining(self) -> float:
        """The same of the base model."""
        return self.mae_without_retraining if self.task == REGRESSION else self.accuracy_without_retraining

    @property
    def drift(self) -> bool:
        """True when any block was judged to have drifted."""
        return any(score.drift for score in self.scores)

    def as_json(self) -> dict[str, Any]:
        """The result as plain values; `blocks` is their number, the scores stand in the MLflow table."""
        body = asdict(self)
        scores = body.pop("scores")
        kpi = {"name": "mae" if self.task == REGRESSION else "accuracy", "value": self.kpi, "higher_is_better": self.task != REGRESSION}
        return {**body, "kpi": kpi, "blocks": len(scores), "drift": self.drift, "drifted_blocks": sum(score["drift"] for score in scores)}
