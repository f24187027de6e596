"""The measures of one window of a stream: the document in the database and the input of the report.

Every figure is plain (numbers, texts, tuples and dicts of them), so that a document read back is equal to the one that was written.
Times are RFC 3339 in UTC, as the prediction log has them. Undefined figures are nan, and null in JSON. Nothing here tells when it was
measured: measuring the same log again gives the same document.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from driftloop.drift.answer import Answer, Standing
from driftloop.errors import DataError
from driftloop.metrics import task
from driftloop.metrics.goal import Goal
from driftloop.system.json_values import plain

KINDS: Final = ("none", "quality", "data", "concept", "both", "cannot tell")


@dataclass(frozen=True)
class Window:
    """Rows with start <= time < stop; `name` is "2020-04", "2020-04-05", or both times with two dots between them."""

    name: str
    start: str
    stop: str


@dataclass(frozen=True)
class Interval:
    """A KPI with its 95 % interval on so many rows; nan without any."""

    value: float
    lower: float
    upper: float
    rows: int


@dataclass(frozen=True)
class BlockMeasure:
    """A block of labelled rows that were judged together, in time order."""

    first_time: str
    last_time: str
    version: str
    kpi: Interval
    baselines: dict[str, float]  # KPI of each on the same rows; nan where it says nothing
    drift: bool  # the rule has alarmed at this block or before
    evidence: float  # as a share of what an alarm takes; nan where the rule has none


@dataclass(frozen=True)
class FeatureMeasure:
    """A feature in the window held against the training reference."""

    feature: str
    statistic: str  # name of the distance, "ks"
    distance: float  # nan without values
    usual: float  # the largest distance between the training rows of one stretch as long as the window and the rest; nan if there are none
    p_noise: float  # chance of such a distance by the sample alone, autocorrelation counted; nan where there are too few rows to tell
    p_wobble: float  # chance of such a distance among stretches as long as the window; nan where there are too few of them
    corrected: float  # the larger of both after Holm's correction for all features; nan where neither could be told
    moved: bool
    missing: int  # rows without a value
    categorical: bool
    edges: tuple[float, ...]  # B + 1 bounds of the bins; of a categorical feature the B categories that are drawn
    reference: tuple[float, ...]  # B shares of the training rows; of a categorical feature the rest is "all others"
    current: tuple[float, ...]  # B shares of the window
    message: str

    @property
    def found(self) -> Literal["moved", "not moved", "cannot tell"]:
        """What the test came to; with too few rows, or without a reference, nothing."""
        return "moved" if self.moved else "cannot tell" if math.isnan(self.corrected) else "not moved"


@dataclass(frozen=True)
class QualityMeasure:
    """What was wrong with the rows that came, and what impossible values would have done."""

    rows: int  # that were answered
    refused: int  # that were not
    reasons: dict[str, int]  # of the refused and of what is wrong in answered rows: "distance_miles out_of_range": 3
    missing_columns: tuple[str, ...]  # that the stream has and no row of the window
    unknown_columns: tuple[str, ...]  # that rows have and the stream has not
    jumps: tuple[str, ...]  # sentences: a mean that impossible values move
    bad: bool  # the share of bad rows is more than tolerated beyond chance, or a mean jumps
    message: str


@dataclass(frozen=True)
class VersionMeasure:
    """A model version that answered in the window."""

    version: str
    run_id: str  # of the run that trained it; "" where the registry was not asked
    rows: int
    labelled: int
    in_sample: int  # rows before the end of its training rows: their KPI says nothing of new rows
    first_time: str
    last_time: str
    kpi: Interval


@dataclass(frozen=True)
class LabelMeasure:
    """How many labels have come, and how late."""

    rows: int
    labelled: int
    days_late: dict[str, float]  # median, p95 and most days from the row's time to its label; {} without labels

    @property
    def coverage(self) -> float:
        """Share of rows with a label; nan without rows."""
        return self.labelled / self.rows if self.rows else math.nan


@dataclass(frozen=True)
class DriftMeasure:
    """The verdict: `kpi_drift` answers whether the model is bad, `kind`, one of KINDS, why (`Measures.answer` has both).

    `sentence` says it in one sentence with its evidence, the others say more.
    """

    drift: bool  # of the inputs, of the concept or of the KPI; bad data quality alone is none
    kind: str
    sentence: str
    kpi_drift: bool
    data_drift: bool
    kpi_message: str
    data_message: str
    kind_message: str
    explained: float  # part of the KPI's change that the inputs explain; nan where it could not be told
    rest: float  # the rest: P(Y|X)


@dataclass(frozen=True)
class ForecastMeasure:
    """Blocks from the window's end until the KPI crosses the threshold, 80 % interval; nan where there is none, inf for never."""

    early: float
    middle: float
    late: float
    early_date: str
    late_date: str
    message: str


@dataclass(frozen=True)
class Measures:
    """All of one window."""

    stream: str
    window: Window
    task: str
    kpi_name: str
    unit: str
    higher_is_better: bool
    threshold: float
    alpha: float
    block_size: int
    model: str  # registered name
    labels: LabelMeasure
    kpi: Interval  # of all labelled rows that a model answered; rows answered by the fallback are counted apart
    baselines: dict[str, Interval]
    kappa_temporal: float  # of a classification
    by_fallback: int  # rows
    latency_ms: dict[str, float]  # median, p95, p99
    versions: tuple[VersionMeasure, ...]
    blocks: tuple[BlockMeasure, ...]
    verdict: DriftMeasure
    features: tuple[FeatureMeasure, ...]  # those that moved most first
    quality: QualityMeasure
    estimate: str  # what is told of the KPI without labels, with its measured error; "" without rows
    forecast: ForecastMeasure
    next_step: str
    notes: tuple[str, ...]  # what could not be done, and why

    @property
    def id(self) -> str:
        """The document's `_id`: a window measured again takes its own place."""
        return f"{self.stream}/{self.window.start}/{self.window.stop}"

    @property
    def standing(self) -> Standing:
        """The window's KPI against the threshold."""
        kpi = self.kpi
        return Standing(kpi.value, kpi.lower, kpi.upper, Goal(task.of(self.task), self.threshold), drifted=self.verdict.kpi_drift)

    @property
    def answer(self) -> Answer:
        """Is the model bad, and why? Also of documents of earlier versions, whose kind was "none" or "performance" where the KPI was bad."""
        return Answer.of(self.standing, told=self.verdict.kind, moved=self.verdict.data_drift or self.verdict.kind == "data", bad_data=self.quality.bad)

    def as_json(self) -> dict[str, Any]:
        """JSON values; figures that are not finite become null, or the text "inf"."""
        found: dict[str, Any] = plain(asdict(self), infinity="inf")
        return found


def from_json(value: Mapping[str, Any]) -> Measures:
    """The measures that `as_json` gave; fields that are not ours, such as `_id`, are left out.

    Raises:
        DataError: a field is missing, or is not what it must be.
    """
    try:
        made: Measures = _made(Measures, value)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise DataError(f"a document of metrics cannot be read: {type(exc).__name__}: {exc}: measure the window again with this version") from exc
    return made


def _made(wanted: Any, value: Any) -> Any:
    if isinstance(wanted, type) and is_dataclass(wanted):
        hints = get_type_hints(wanted)
        return wanted(**{field.name: _made(hints[field.name], value[field.name]) for field in fields(wanted)})
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin is tuple:
        return tuple(_made(inner[0], item) for item in value)
    if origin is dict:
        return {key: _made(inner[1], item) for key, item in value.items()}
    if wanted is float:
        return math.nan if value is None else float(value)
    if not isinstance(value, wanted):
        raise TypeError(f"{value!r:.60} is no {wanted.__name__}")
    return value
