"""`driftloop.watch`: verdicts on a DataFrame of predictions and labels that any model made."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from driftloop import settings
from driftloop.data import blocks
from driftloop.data.files import frames, tables
from driftloop.data.files.frames import Frame
from driftloop.data.schema.encoding import Written
from driftloop.drift.estimate.confidence import Estimate
from driftloop.drift.forecast.crossing import Forecast
from driftloop.drift.kind.attribution import Attribution
from driftloop.drift.verdict import Verdict
from driftloop.errors import DataError, SettingsError
from driftloop.metrics.kpi_names import OWN
from driftloop.predictions import predicted_table, table_judge
from driftloop.predictions.later import label_delay as label_delays
from driftloop.predictions.later import later_rows, state_file
from driftloop.predictions.later.watch_state import WatchState
from driftloop.predictions.predicted_table import PredictedTable, TableColumns
from driftloop.predictions.table_goal import TablePlan
from driftloop.predictions.table_result import TableResult
from driftloop.report import kpi_words, segment_report, watch_report

if TYPE_CHECKING:
    import plotly.graph_objects as go

BLOCKS: Final = {"D": "day", "W": "week", "M": "month", **{name: name for name in blocks.CALENDAR}}
SHOWN: Final = ("kpi", "lower", "upper", "threshold", "drift", "kind", "evidence", "p_value", "estimated", "labelled", "effective_rows")
OF_SEGMENT: Final = (
    *("column", "segment", "verdict", "kind", "rows_before", "rows_after", "kpi_before", "kpi_after", "lower", "upper", "gain"),
    *("evidence", "p_value", "timestamp"),
)
PIXELS: Final = 900  # height of the report in a notebook


@dataclass(eq=False)
class FrameWatch:
    """The answer to `watch`: is the model bad, since when, why, and what comes next? `update` continues it."""

    result: TableResult
    state: WatchState

    def update(self, frame: Frame | str | PathLike[str]) -> FrameWatch:
        """Judge later rows too: the verdicts are then those of one `watch` over all rows together.

        The newest block is judged with the rows that it has, and again with those that follow, until it is complete; likewise the newest 50 blocks
        of which rows have no label yet. All older blocks are closed: rows that belong to them are left out, labels for them change no verdict, and
        `notes` count both. Time and memory do not grow with the rows seen.

        Args:
            frame: as in `watch`, with the columns of the first table, in any order; or the ids and labels of rows that came without one. A row whose
                `id` is known is that row; without ids a row is what it holds besides the label (see docs/any_model.md).

        Returns:
            The same watch. If an error is raised, it is as it was.

        Raises:
            DataError, SettingsError: as `watch`.
        """
        self.result, self.state = _continued(self.state, frame)
        return self

    def save(self, path: str | PathLike[str]) -> Path:
        """Write what `driftloop.load_watch` needs to continue in another process, as JSON; returns the path.

        Raises:
            DataError: the file cannot be written; an older one stays.
        """
        return state_file.write(self.state, Path(path))

    @property
    def drift(self) -> bool:
        """Whether a block after the reference period was judged to have drifted."""
        return self.result.drift

    @property
    def verdict(self) -> Verdict:
        """That of the first block with drift, else of the newest with labels: `drift`, `message`, the e-value as `statistic`, `p_value`."""
        return self.result.verdict

    @property
    def kind(self) -> str:
        """Why: "none", "data", "concept", "both", "quality" or "cannot tell"; `findings` say it in sentences."""
        return self.result.kind

    @property
    def forecast(self) -> Forecast:
        """In how many blocks the KPI will be worse than the threshold: `early`, `middle`, `late`, `message`."""
        return self.result.forecast

    @property
    def estimate(self) -> Estimate:
        """The newest block's KPI, estimated without its labels: `value`, the `error` of such estimates so far, `trustworthy`, `message`."""
        return self.result.estimate

    @property
    def findings(self) -> tuple[str, ...]:
        """Verdict, kind, forecast and estimate in sentences."""
        return self.result.findings

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of the figures: the threshold, columns and rows that were left out."""
        return self.result.notes

    @property
    def blocks(self) -> pd.DataFrame:
        """A row for each block, the reference period's first; the KPI is under its own name."""
        name = self.result.kpi_name or OWN[self.result.task]
        rows = []
        for score in self.result.scores:
            head = {"block": score.block, "period": score.version, "start": score.timestamp, "end": score.until, "rows": score.rows}
            rows.append(head | {name if key == "kpi" else key: getattr(score, key) for key in SHOWN})
        return pd.DataFrame(rows).astype({"start": "datetime64[ns]", "end": "datetime64[ns]"}).set_index("block")

    @property
    def why(self) -> Attribution | None:
        """Why the KPI fell: the part of moved inputs, by feature, and the rest, by segment, with intervals; None without a proven fall or inputs."""
        return self.result.why

    @property
    def segments(self) -> pd.DataFrame:
        """A row for each segment, the worst first; none without `segments`. `evidence` and `p_value` hold over all segments together."""
        scores = self.result.segments.scores if self.result.segments else ()
        rows = [{name: getattr(score, name) for name in OF_SEGMENT} for score in scores]
        return pd.DataFrame(rows, columns=list(OF_SEGMENT)).rename(columns={"timestamp": "found"}).astype({"found": "datetime64[ns]"})

    def plot(self, what: str = "kpi") -> go.Figure:
        """The KPI by block with its interval, the threshold and the baselines; or what else the report draws.

        Args:
            what: "kpi", "segments" (before and after), or "why" (drift against importance of each feature).

        Raises:
            SettingsError: there is no such plot, or nothing to draw in it.
        """
        from driftloop.report import watch_report  # loads plotly

        drawn = watch_report.drawings(self.result)
        if f"plot-{what}" not in drawn:
            raise SettingsError(f"there is no plot {what!r} of this watch: give one of {', '.join(name.removeprefix('plot-') for name in drawn)}")
        return drawn[f"plot-{what}"]

    def report(self, path: str | PathLike[str]) -> Path:
        """Write everything to one self-contained HTML file; returns its path.

        Raises:
            DriftloopError: the file cannot be written.
        """
        return watch_report.write_report(self.result, Path(path))

    def as_json(self) -> dict[str, Any]:
        """Everything but the blocks as plain values."""
        return self.result.as_json()

    def __str__(self) -> str:
        return " ".join([*kpi_words.verdict(self.result), segment_report.sentence(self.result)]).strip()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        page = html.escape(watch_report.report_html(self.result), quote=True)
        return f'<p>{html.escape(str(self))}</p><iframe srcdoc="{page}" width="100%" height="{PIXELS}" frameborder="0"></iframe>'


def watch(
    frame: Frame | str | PathLike[str],
    *,
    target: str,
    prediction: str,
    probability: str | Sequence[str] = (),
    id: str = "",
    time: str = "",
    reference: str | date | int | None = None,
    block: str | int | None = None,
    kpi: str = "",
    threshold: float | None = None,
    alpha: float = settings.ALPHA,
    cost: str = "",
    label_delay: str | int | timedelta | None = None,
    features: Sequence[str] | None = None,
    leave_out: Sequence[str] = (),
    segments: str | Sequence[str] = (),
    task: str = "",
    unit: str = "",
    time_zone: str = "",
    name: str = "",
) -> FrameWatch:
    """Judge the predictions of any model, block by block, against a threshold or against a reference period.

    Args:
        frame: a row for each prediction, in any order: a DataFrame of pandas, polars or Spark, or a table of Arrow; or an ARFF, CSV or Parquet file.
            Rows whose label is missing are not judged, only estimated. Of Spark's only the columns that are needed are collected.
        target: column of the labels: classes, or the values of a regression.
        prediction: column of the predicted classes, written as the labels are, or of the predicted values.
        probability: column of the probability of one of two classes, or a column for each class, whose names end with the class. Needed for
            the estimate without labels and for the KPIs of probabilities.
        id: column that tells one row from all others, for labels that come later; the first row of an id counts, with the last label.
        time: column of the times; by default the DatetimeIndex, else the only column with times, else the rows are taken to be in order.
        reference: the end of the reference period (its rows are before that time), or its number of rows; by default the oldest 30 %. It should be
            rows that the model was not trained on, from a time when it was good.
        block: "D", "W" or "M" (day, week, month), or a number of rows; by default a hundredth of the rows to judge, 20 to 1000.
        kpi: one of `metrics.kpi_names.KPIS`; by default accuracy or MAE.
        threshold: the KPI that is just good enough. Without one, drift is a fall against the reference period (`drift.reference.against_reference`).
        alpha: largest probability of an alarm, ever, for a model that is as good as the threshold or as the reference period.
        cost: what predictions cost, "true:predicted=5,…", for the KPI "cost".
        label_delay: how long labels take, such as "7d" after a block's last row, or a number of blocks. Until then the block is waiting for labels,
            whatever labels it has, because early ones are biased; then it is judged once.
        features: the columns of the model's inputs; by default all others but identifiers, constants and free text. They tell the kind of drift.
        leave_out: columns that are no inputs.
        segments: columns whose values, or ranges of numbers, are judged each by itself against its own reference period, whatever `threshold` is
            (`predictions.segment_columns`). No segment that has not become worse is ever named, with probability 1 - alpha over all of them
            together (the closed test of mean e-values, `drift.segments.closed_test`).
        task: "classification" or "regression"; by default it follows from the labels.
        unit: of a regression's label.
        time_zone: of times without one.
        name: of the table, in the report.

    Raises:
        DataError, SettingsError: the table, a column or a setting cannot be used; the message says which and what to do.

    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> y, right = rng.integers(0, 2, 9000), rng.random(9000) < np.where(np.arange(9000) < 6000, 0.9, 0.8)
    >>> table = pd.DataFrame({"y": y, "predicted": np.where(right, y, 1 - y)}, index=pd.date_range("2024-01-01", periods=9000, freq="h"))
    >>> found = watch(table, target="y", prediction="predicted", reference="2024-06-01", block="D")
    >>> found.drift, found.blocks.query("drift").start.min()
    (True, Timestamp('2024-09-10 00:00:00'))
    """
    asked = TableColumns(
        target=target,
        prediction=prediction,
        probability=[probability] if isinstance(probability, str) and probability else list(probability),
        id=id,
        time=time,
        features=features,
        leave_out=leave_out,
        segments=[segments] if isinstance(segments, str) and segments else [*map(str, segments)],
        task=task,
        unit=unit,
        time_zone=time_zone,
    )
    plan = TablePlan(**_block(block), kpi=kpi, cost=cost, threshold=threshold or 0.0, alpha=alpha, label_delay=label_delays.read(label_delay))
    if frames.is_path(frame):
        return of_file(Path(frame), asked, plan, reference=_until(reference), name=name)
    return _begun(predicted_table.read(_as_pandas(frame, asked), asked, name=name or "predictions", reference=_until(reference)), asked, plan)


def load_watch(path: str | PathLike[str]) -> FrameWatch:
    """The watch that `FrameWatch.save` wrote: it answers as it did, and continues with `update`.

    Only the scores of blocks beyond the newest 2,000 are gone from `blocks`, `plot` and `report`.

    Raises:
        DataError: the file cannot be read, is damaged, or is from a newer version.
    """
    state = state_file.read(Path(path))
    return FrameWatch(*_judged(state))


def of_file(path: Path, asked: TableColumns, plan: TablePlan, *, reference: str | int, name: str = "", encoding: str = "", separator: str = "") -> FrameWatch:
    """`watch` on an ARFF, CSV or Parquet file.

    Raises:
        DataError, SettingsError: as `watch`, and the file cannot be used.
    """
    frame, written, sha256 = _read_file(path, asked, encoding=encoding, separator=separator)
    given: Mapping[str, Any] = {"name": name or path.name.partition(".")[0], "reference": reference, "source": str(path), "sha256": sha256}
    return _begun(predicted_table.read(frame, asked, written=written, **given), asked, plan)


def update_from_file(watch: FrameWatch, path: Path, *, encoding: str = "", separator: str = "") -> FrameWatch:
    """`FrameWatch.update` on a file.

    Raises:
        DataError, SettingsError: as there.
    """
    frame, written, _ = _read_file(path, watch.state.asked, encoding=encoding, separator=separator)
    watch.result, watch.state = _with_frame(watch.state, frame, written)
    return watch


def _read_file(path: Path, asked: TableColumns, *, encoding: str, separator: str) -> tuple[pd.DataFrame, Written | None, str]:
    """The table of a file, how its columns are written where that matters, and its SHA-256."""
    as_text = [asked.target, asked.prediction, *([asked.time] if asked.time else [])]
    table = tables.read(path, as_text=as_text, encoding=encoding, separator=separator)
    if table.faults:
        row = min(table.faults)
        raise DataError(f"{path}: {table.unit} {table.lines[row]} has {table.faults[row]}: correct or remove it")
    return table.frame, None if {asked.target, asked.prediction} <= table.declared else table.written, table.sha256


def _begun(table: PredictedTable, asked: TableColumns, plan: TablePlan) -> FrameWatch:
    result, closed = table_judge.follow(table, plan)
    return FrameWatch(result, WatchState.begun(table, asked, plan, closed))


def _as_pandas(frame: Any, asked: TableColumns) -> pd.DataFrame:
    """A table of any library, with the columns that are read: without `features` or `time` they are looked for among all that are not left out."""
    named = [asked.target, asked.prediction, *asked.probability, asked.id, asked.time, *asked.segments, *(asked.features or ())]
    every = asked.features is None or not asked.time
    return frames.as_pandas(frame, needed=None if every else named, unneeded=set(asked.leave_out) - set(named))


def _continued(state: WatchState, frame: Frame | str | PathLike[str]) -> tuple[TableResult, WatchState]:
    if frames.is_path(frame):
        return _with_frame(state, *_read_file(Path(frame), state.asked, encoding="", separator="")[:2])
    return _with_frame(state, _as_pandas(frame, state.asked), None)


def _with_frame(state: WatchState, frame: pd.DataFrame, written: Written | None) -> tuple[TableResult, WatchState]:
    return _judged(state.with_later(later_rows.read(frame, state.asked, state.reading, numbered_from=state.rows, written=written)))


def _judged(state: WatchState) -> tuple[TableResult, WatchState]:
    result, closed = table_judge.follow(state.table(), state.plan, state.closed)
    return result, state.judged(closed)


def _until(reference: str | date | int | None) -> str | int:
    """The end of the reference period as ISO text, or its rows; "" by default."""
    if isinstance(reference, Integral):
        if reference < 1:
            raise SettingsError(f"reference is {reference}: give a number of rows of at least 1, or a time")
        return int(reference)
    return reference.isoformat() if isinstance(reference, date) else reference or ""


def _block(block: str | int | None) -> dict[str, Any]:
    if block is None:
        return {}
    if isinstance(block, Integral):  # numpy's too
        if block < 1:
            raise SettingsError(f"block is {block}: give a number of rows of at least 1, or one of {', '.join(BLOCKS)}")
        return {"block_size": int(block)}
    if block not in BLOCKS:
        raise SettingsError(f"block is {block!r}: give a number of rows, or one of {', '.join(BLOCKS)}")
    return {"block_by": BLOCKS[block]}
