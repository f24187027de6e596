"""The measures of one window of a stream: the document in the database and the input of the report.

All values are plain (numbers, strings, tuples and dicts of them), so a document survives writing and reading. Times are RFC 3339 in UTC, as in
the prediction log. Undefined values are nan, and null in JSON. No field holds the time of measurement: the same log gives the same document.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import numpy as np

from driftloop.drift.answer import Answer, Standing
from driftloop.errors import DataError
from driftloop.metrics.goal import Goal
from driftloop.metrics.task import CLASSIFICATION, REGRESSION
from driftloop.system.json_values import plain

_DAY: Final = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Window:
    """Rows with start <= time < stop; `name` is "2020-04", "2020-04-05", or both times separated by ".."."""

    name: str
    start: str
    stop: str

    @property
    def bounds(self) -> tuple[np.datetime64, np.datetime64]:
        """Start and stop."""
        return np.datetime64(self.start.removesuffix("Z"), "ms"), np.datetime64(self.stop.removesuffix("Z"), "ms")

    @property
    def days(self) -> float:
        """Length of the window."""
        start, stop = self.bounds
        return float((stop - start) / _DAY)


@dataclass(frozen=True)
class Interval:
    """A KPI with its 95 % interval and number of rows; nan without rows."""

    value: float
    lower: float
    upper: float
    rows: int


@dataclass(frozen=True)
class BlockMeasure:
    """A block of labelled rows that were judged together."""

    first_time: str
    last_time: str
    version: str
    kpi: Interval
    baselines: dict[str, float]  # KPI of each on the same rows; nan without a prediction
    drift: bool  # the rule has alarmed at this block or before
    evidence: float  # as a share of what an alarm needs; nan if the rule has none


@dataclass(frozen=True)
class FeatureMeasure:
    """A feature of the window compared with the training reference."""

    feature: str
    statistic: str  # name of the distance, "ks"
    distance: float  # nan without values
    usual: float  # largest distance of a training stretch as long as the window from the rest; nan if there are none
    p_noise: float  # p-value under sampling noise, autocorrelation included; nan with too few rows
    p_wobble: float  # p-value among training stretches as long as the window; nan with too few
    corrected: float  # larger of both after Holm's correction for all features; nan if both are
    moved: bool
    missing: int  # rows without a value
    categorical: bool
    edges: tuple[float, ...]  # B + 1 bounds of the bins; for a categorical feature the B plotted categories
    reference: tuple[float, ...]  # B shares of the training rows; for a categorical feature the rest is "all others"
    current: tuple[float, ...]  # B shares of the window
    message: str
    names: tuple[str, ...] = ()  # B of the plotted categories, where these are texts or true and false
    words: str = ""  # what has changed most: "diesel 40 % → 22 %"; "" of a number's values
    missing_before: float = math.nan  # share of the training rows without a value; nan where values are no matter of the model, or unknown
    missing_now: float = math.nan  # of the window's rows
    unseen: int = 0  # rows whose value is new to the model
    new: tuple[str, ...] = ()  # the most frequent of such values

    @property
    def found(self) -> Literal["moved", "not moved", "cannot tell"]:
        """The result of the test; "cannot tell" with too few rows or without a reference."""
        return "moved" if self.moved else "cannot tell" if math.isnan(self.corrected) else "not moved"


@dataclass(frozen=True)
class QualityMeasure:
    """What was wrong with the incoming rows, and the effect of impossible values."""

    rows: int  # answered
    refused: int
    reasons: dict[str, int]  # in refused and in answered rows: "distance_miles out_of_range": 3
    missing_columns: tuple[str, ...]  # columns of the stream without a value in any row
    unknown_columns: tuple[str, ...]  # not of the stream
    jumps: tuple[str, ...]  # sentences about means shifted by impossible values
    bad: bool  # significantly more bad rows than tolerated, a shifted mean, or a missing column
    message: str


@dataclass(frozen=True)
class VersionMeasure:
    """A model version that answered in the window."""

    version: str
    run_id: str  # of the training run; "" if unknown
    rows: int
    labelled: int
    in_sample: int  # rows before the end of its training rows: their KPI says nothing about new rows
    first_time: str
    last_time: str
    kpi: Interval


@dataclass(frozen=True)
class LabelMeasure:
    """How many labels have arrived, and how late; those of rows younger than the stream's delay are left out."""

    rows: int
    labelled: int
    days_late: dict[str, float]  # median, p95 and most days from the row's time to its label; {} without labels
    delay_seconds: float = 0.0  # the stream's label_delay
    immature: int = 0  # rows that are younger than it: their labels are not judged
    early: int = 0  # of them with a label

    @property
    def due(self) -> int:
        """Rows whose label should have come."""
        return self.rows - self.immature

    @property
    def coverage(self) -> float:
        """Share of the due rows with a label; nan without such rows."""
        return self.labelled / self.due if self.due else math.nan


@dataclass(frozen=True)
class DriftMeasure:
    """The verdict: `kpi_drift` says whether the model is bad, `kind` why; `sentence` states both with the evidence (see `Measures.answer`)."""

    drift: bool  # of the inputs, the concept or the KPI; bad data quality alone is no drift
    kind: str
    sentence: str
    kpi_drift: bool
    data_drift: bool
    kpi_message: str
    data_message: str
    kind_message: str
    explained: float  # part of the KPI's change explained by the inputs; nan if unknown
    rest: float  # the rest: P(Y|X)


@dataclass(frozen=True)
class SegmentMeasure:
    """A segment of the rows that a version answered, compared with the version's first rows; nan where unknown."""

    version: str
    name: str  # feature=value
    rows: int  # of the window after the reference period, with a label
    kpi: float
    kpi_before: float  # of the reference period
    e_value: float  # over all segments of the version together, at its alarm or at the window's end; nan where it has too few reference rows to be judged
    p_value: float
    drift: bool
    since: str  # time of the first row of the block in which it was named; "" without drift


@dataclass(frozen=True)
class ForecastMeasure:
    """Blocks from the window's end until the KPI crosses the threshold, 80 % interval; nan without a forecast, inf for never."""

    early: float
    middle: float
    late: float
    early_date: str
    late_date: str
    message: str


@dataclass(frozen=True)
class Measures:
    """All measures of one window."""

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
    kpi: Interval  # of all labelled rows answered by a model
    baselines: dict[str, Interval]
    kappa_temporal: float  # nan for a regression
    by_fallback: int  # rows answered by the fallback
    latency_ms: dict[str, float]  # median, p95, p99
    versions: tuple[VersionMeasure, ...]
    blocks: tuple[BlockMeasure, ...]
    verdict: DriftMeasure
    features: tuple[FeatureMeasure, ...]  # those that moved most first
    quality: QualityMeasure
    estimate: str  # the KPI estimated without labels, with its measured error; "" without rows
    forecast: ForecastMeasure
    next_step: str
    notes: tuple[str, ...]  # limits of the measures
    segments: tuple[SegmentMeasure, ...] = ()  # of streams that have some, the worst of each version first

    @property
    def id(self) -> str:
        """The document's `_id`, so that a window measured again replaces its document."""
        return f"{self.stream}/{self.window.start}/{self.window.stop}"

    @property
    def moved(self) -> tuple[str, ...]:
        """Names of the features that moved."""
        return tuple(one.feature for one in self.features if one.moved)

    @property
    def standing(self) -> Standing:
        """The window's KPI against the threshold."""
        kpi, towards = self.kpi, CLASSIFICATION if self.higher_is_better else REGRESSION  # a standing asks only which way is better
        return Standing(kpi.value, kpi.lower, kpi.upper, Goal(towards, self.threshold), drifted=self.verdict.kpi_drift)

    @property
    def answer(self) -> Answer:
        """Is the model bad, and why? Also for documents of earlier versions, whose kind was "none" or "performance" for a bad KPI."""
        return Answer.of(self.standing, told=self.verdict.kind, moved=self.verdict.data_drift or self.verdict.kind == "data", bad_data=self.quality.bad)

    def as_json(self) -> dict[str, Any]:
        """JSON values; nan becomes null, infinity the string "inf"."""
        found: dict[str, Any] = plain(asdict(self), infinity="inf")
        return found


def from_json(value: Mapping[str, Any]) -> Measures:
    """The inverse of `as_json`; unknown fields, such as `_id`, are ignored.

    Raises:
        DataError: a field is missing or invalid.
    """
    try:
        made: Measures = _made(Measures, value)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise DataError(f"a document of metrics cannot be read: {type(exc).__name__}: {exc}: measure the window again with this version") from exc
    return made


def _made(wanted: Any, value: Any) -> Any:
    if isinstance(wanted, type) and is_dataclass(wanted):
        hints = get_type_hints(wanted)
        given = [field for field in fields(wanted) if field.name in value or field.default is MISSING]  # early documents lack the fields with a default
        return wanted(**{field.name: _made(hints[field.name], value[field.name]) for field in given})
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin is tuple:
        return tuple(_made(inner[0], item) for item in value)
    if origin is dict:
        return {key: _made(inner[1], item) for key, item in value.items()}
    if wanted is float:
        return math.nan if value is None else float(value)
    if not isinstance(value, wanted):
        raise TypeError(f"{value!r:.60} is not {wanted.__name__}")
    return value
