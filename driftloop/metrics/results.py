"""The results of a watch over a stream: scores of blocks, retrains, versions, and the whole.

Plain frozen values, no I/O: the terminal summary, the JSON line, the MLflow tables and the
HTML report are all drawn from these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from driftloop.metrics.kpi_names import KPIS, OWN

WAITING: Final = "waiting for labels"  # as the `kind` of a block that is judged when its labels are mature
BASELINES: Final = ("no_change", "same_time_yesterday", "majority")  # of a classification; nan where one has no prediction


@dataclass(frozen=True, kw_only=True)
class BlockScore:
    """The served model's KPI on one block, with the trivial baselines.

    The KPI is the accuracy, 0..1, or the MAE of a regression, in the label's unit; `lower` and `upper` bound it (95 %).
    For a regression κ and κ-temporal are nan; for classes `bias` is. `no_change` copies the previous row's label and so needs
    every label at once; the served model gets its labels when the block ends. `kpi_unretrained` is the base model's on the
    same rows (nan when it was not scored).
    """

    block: int
    start: int
    stop: int
    rows: int
    timestamp: str  # ISO time of the block's first row
    short: bool
    version: str  # the model version that answered
    kpi: float
    lower: float
    upper: float
    kappa: float = math.nan
    kappa_temporal: float = math.nan
    baselines: dict[str, float] = field(default_factory=dict)  # KPI of each by name: BASELINES for classes, descriptive names for a regression
    kpi_unretrained: float
    threshold: float
    drift: bool
    kind: str = "none"  # of the drift, as in drift.verdict.Verdict
    evidence: float = math.nan  # the drift rule's statistic
    p_value: float = math.nan  # of the drift rule; nan for rules without one
    estimated: float = math.nan  # KPI as estimated before the labels arrived
    forecast_early: float = math.nan  # blocks until the KPI crosses the threshold: inf beyond the horizon, nan unknown
    forecast_middle: float = math.nan
    forecast_late: float = math.nan
    set_aside: int = 0  # unusable rows in the block's time; not counted in `rows`
    set_aside_why: str = ""  # reasons and how many rows each, the most frequent first
    until: str = ""  # ISO time of the block's last row
    quality: str = ""  # how the rows set aside would move the block's means, in words; empty when negligible
    task: str = "classification"
    bias: float = math.nan  # mean of prediction minus label, for a regression
    kpi_name: str = ""  # a key of `KPIS`; "": the task's own, as in the records below
    task_kpi: float = math.nan  # the task's own KPI where `kpi` is another

    @property
    def labelled_share(self) -> float:
        """Share of the rows that have their labels."""
        return 1.0

    def as_json(self) -> dict[str, Any]:
        """The figures by KPI name, with the baselines: a row of MLflow's table of blocks."""
        values: dict[str, Any] = {}
        for name, value in vars(self).items():
            values |= dict.fromkeys(BASELINES, math.nan) | value if name == "baselines" else {name: value}
        return _by_kpi(values, self.task, self.kpi_name)


REGRESSION = "regression"
NO_BLOCK = -1  # placeholder where no block applies


@dataclass(frozen=True)
class RetrainRecord:
    """One retrain: its reason, its result, the rows it was judged on, the decision."""

    block: int  # the block whose verdict started it, or after which a follow-up was due; NO_BLOCK otherwise
    row: int  # first row the retrain was not allowed to see
    timestamp: str
    reason: str
    promoted: bool
    decision: str  # why it was promoted or rejected, in words
    params: dict[str, Any]  # of the challenger
    champion_params: dict[str, Any]
    judge_rows: int
    p_value: float  # one-sided paired test that the challenger is no better
    trials: int
    seconds: float
    run_id: str
    version: str = ""  # the registered version when promoted
    before: float = math.nan  # the champion's KPI on the judge rows
    after: float = math.nan  # the challenger's on the same rows, fitted without them
    task: str = "classification"
    follow_up: bool = False  # started by the rows since the drift, not by a block's verdict
    policy: str = "triggered"  # that started it; under another than "triggered" and "proactive" without a verdict
    kpi_name: str = ""

    def as_json(self) -> dict[str, Any]:
        """The JSON values of `--json`."""
        return _by_kpi(vars(self), self.task, self.kpi_name)


@dataclass(frozen=True)
class RollbackRecord:
    """A swap that was undone, because the version before proved to be better on the same rows."""

    block: int  # after which
    row: int  # the first that the version before serves again
    timestamp: str
    from_version: str
    version: str  # that serves again
    rows: int  # compared, since the swap
    e_value: float  # against "the version before is no better"
    decision: str


@dataclass(frozen=True)
class VersionRecord:
    """One served model version and its KPI while it was served."""

    version: str
    run_id: str
    params: dict[str, Any]
    trained_start: int
    trained_stop: int
    first_block: int
    last_block: int
    rows: int
    kpi: float = math.nan
    kpi_unretrained: float = math.nan  # the base model's on the same rows
    task: str = "classification"
    kpi_name: str = ""

    def as_json(self) -> dict[str, Any]:
        """The JSON values of `--json`."""
        return _by_kpi(vars(self), self.task, self.kpi_name)


@dataclass(frozen=True)
class ReferencePeriod:
    """The rows against which a table of predictions is judged: the KPI there, with its 95 % interval, and the time of the first row after them."""

    rows: int  # with a label
    kpi: float
    lower: float
    upper: float
    until: str
    bounds: bool = False  # the threshold is the worst KPI that this period allows, because none was given


@dataclass(frozen=True, kw_only=True)
class SegmentScore:
    """The KPI of a segment in the reference period and after it, and whether it is among the segments that are proven to be worse."""

    column: str
    segment: str
    rows_before: int  # with a label, in the reference period
    rows_after: int
    kpi_before: float
    kpi_after: float
    lower: float  # 95 % bounds of `kpi_after`
    upper: float
    gain: float  # of the KPI, positive is better
    verdict: str  # "drift", "no alarm", "too small", "no labels"
    kind: str  # of the drift, as in drift.verdict.Verdict
    evidence: float = math.nan  # the e-value over all segments together: of the first block with drift, else of the newest
    p_value: float = math.nan  # over all segments together, valid at any block
    block: int = NO_BLOCK  # in which the drift was proven
    timestamp: str = ""  # ISO time of that block's first row

    @property
    def drift(self) -> bool:
        """Whether the KPI is proven to be worse than in the segment's own reference rows."""
        return self.verdict == "drift"

    @property
    def name(self) -> str:
        """Column and segment in a sentence."""
        return f"{self.column}: {self.segment}"


@dataclass(frozen=True)
class SegmentResult:
    """All segments of a table of predictions, the worst first: those with drift, the largest loss first, then by evidence."""

    scores: tuple[SegmentScore, ...]
    alpha: float  # probability at most that any segment without drift is ever named
    least: int  # labelled rows of the reference period that a segment needs, or blocks for a KPI of whole blocks
    evidence: float  # the e-value against "no segment is worse": of the first block in which that was rejected, else of the newest
    drift: bool  # that no segment is worse is rejected, whichever it is
    notes: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[SegmentScore, ...]:
        """Those with drift."""
        return tuple(score for score in self.scores if score.drift)

    @property
    def judged(self) -> tuple[SegmentScore, ...]:
        """Those that share alpha."""
        return tuple(score for score in self.scores if score.verdict != "too small")

    def as_json(self) -> dict[str, Any]:
        """The JSON values of `--json`."""
        body = {name: value for name, value in vars(self).items() if name != "scores"}
        return body | {"judged": len(self.judged), "named": [score.name for score in self.named], "scores": [dict(vars(score)) for score in self.scores]}


@dataclass(frozen=True)
class WatchResult:
    """A whole watch: what `--json` prints and the report draws.

    `block_size` is the rows of a block; for calendar blocks, of the largest.
    """

    stream: str
    rows: int
    block_size: int
    threshold: float
    baselines: dict[str, float]  # BASELINES; descriptive names for a regression
    scores: tuple[BlockScore, ...]
    retrains: tuple[RetrainRecord, ...]
    versions: tuple[VersionRecord, ...]
    served_version: str
    seconds: float
    run_id: str = ""
    rule: str = "threshold"  # the drift rule
    findings: tuple[str, ...] = ()  # statistical findings on the version in service, in sentences
    notes: tuple[str, ...] = field(default=())
    kpi: float = math.nan
    kappa: float = math.nan  # nan for a regression, like the next
    kappa_temporal: float = math.nan
    kpi_without_retraining: float = math.nan  # the base model's on the same rows
    task: str = "classification"
    unit: str = ""  # of the MAE
    block_by: str = "rows"  # or one of blocks.CALENDAR
    kpi_name: str = ""
    task_kpi: float = math.nan
    rollbacks: tuple[RollbackRecord, ...] = ()
    updates: int = 0  # in place, of the policy continuous

    @property
    def reference(self) -> ReferencePeriod | None:
        """The reference period of a table of predictions, whose model is not ours: then nothing is served or retrained."""
        return None

    @property
    def by_segment(self) -> SegmentResult | None:
        """The segments of a table of predictions; None where none were asked for."""
        return None

    @property
    def explained(self) -> Any:
        """Why the KPI of a table of predictions fell, a `drift.kind.attribution.Attribution`; None otherwise."""
        return None

    @property
    def judged(self) -> tuple[BlockScore, ...]:
        """The blocks that the drift rule judged: all but those of a reference period."""
        return self.scores

    @property
    def drift(self) -> bool:
        """True when any block was judged to have drifted."""
        return any(score.drift for score in self.scores)

    def as_json(self) -> dict[str, Any]:
        """The result as plain values; `blocks` is their number; the scores are in the MLflow table."""
        body = _by_kpi({name: value for name, value in vars(self).items() if name != "scores"}, self.task, self.kpi_name)
        for records in ("retrains", "versions"):
            body[records] = [record.as_json() for record in body[records]]
        body["rollbacks"] = [dict(vars(record)) for record in self.rollbacks]
        name = self.kpi_name or OWN[self.task]
        kpi = {"name": name, "value": self.kpi, "higher_is_better": KPIS[name].higher}
        return {**body, "kpi": kpi, "blocks": len(self.scores), "drift": self.drift, "drifted_blocks": sum(score.drift for score in self.scores)}


_OF_KPI: Final = frozenset({"kpi", "kpi_unretrained", "kpi_without_retraining", "before", "after"})


def _by_kpi(values: Mapping[str, Any], task: str, kpi_name: str) -> dict[str, Any]:
    """The values as scripts print them: each figure under its KPI's name, nan under the tasks' own KPIs where that is another."""
    found: dict[str, Any] = {}
    chosen = kpi_name or OWN[task]
    for name, value in values.items():
        if name in _OF_KPI:
            of_kpi = name if name.startswith("kpi") else f"kpi_{name}"
            found |= {of_kpi.replace("kpi", kpi, 1): value if kpi == chosen else math.nan for kpi in (*OWN.values(), *[chosen] * bool(kpi_name))}
        elif name not in {"kpi_name", "task_kpi"}:
            found[name] = value
    return found | ({OWN[task]: values["task_kpi"]} if kpi_name and "task_kpi" in values else {})
