"""The segments of a table of predictions for a person: the sentence, the table, the plot."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from driftloop.drift.answer import KINDS
from driftloop.metrics.results import SegmentResult, SegmentScore, WatchResult
from driftloop.report import kpi_words, wording
from driftloop.report.kpi_words import Figures

if TYPE_CHECKING:
    import plotly.graph_objects as go

DRAWN: Final = 20  # segments in the plot, the worst first
SHOWN, NAMED_IN_FULL = 5, 20  # rows of the table in a terminal: without drift, with it
LETTERS: Final = 38  # of a segment's name in the plot: a phone's width
ROW_PIXELS, AROUND_PIXELS = 44, 50


@dataclass(frozen=True)
class SegmentTableColumn:
    """A column of the table: its header, and a segment's cell."""

    title: str
    cell: Callable[[SegmentScore], str]
    style: str = "n"  # as in `block_table`


def sentence(result: WatchResult) -> str:
    """How many segments are worse, and which one is the worst; "" without segments."""
    found = result.by_segment
    if found is None:
        return ""
    judged = wording.count(len(found.judged), "segment")
    if not found.judged:
        return f"No segment can be judged: each has fewer than {_least(result, found)} in the reference period."
    if not found.named:
        some = "At least one of" if found.drift else "None of"
        which = ", but which one is not proven" if found.drift else ""
        return f"{some} {judged} is proven to be worse than in its own reference period{which}."
    worst, write = found.named[0], kpi_words.of(result)
    gain = write.gain(worst.kpi_after, worst.kpi_before)
    way = "better" if gain[0] == "+" else "worse"  # since it was named it may have recovered
    step = f" {result.unit}".rstrip() if write.plain else " points"
    reached = f"{write.name} {write.with_unit(worst.kpi_after)} on {wording.count(worst.rows_after, 'row')}"
    are = "is worse than in its own reference period" if len(found.named) == 1 else "are worse than in their own reference periods"
    return (
        f"{len(found.named)} of {judged} {are}; the worst is {worst.name}: {reached}, {gain[1:]}{step} {way} than {write.with_unit(worst.kpi_before)} before."
    )


def reading_notes(result: WatchResult) -> list[str]:
    """How to read the segments."""
    found = result.by_segment
    if found is None:
        return []
    small, more = len(found.scores) - len(found.judged), len(found.judged) - DRAWN
    named = [score for score in found.named if score.kind == "cannot tell"]
    return [
        f"Each segment is compared with its own reference rows{', not with --threshold' if not (result.reference and result.reference.bounds) else ''}. "
        f"With probability {100 * (1 - found.alpha):g} % no segment that has not become worse is ever named, over all {len(found.judged):,} judged "
        "segments together (closed test of mean e-values; Vovk, Wang 2021). The verdict on the whole table has its own false-alarm rate.",
        f"The e-value of a segment is over all segments together; it is named from {1 / found.alpha:g} on.",
        *([f"{wording.count(small, 'segment')} with fewer than {_least(result, found)} in the reference period: too small to be judged."] if small else []),
        *([f"The plot has the worst {DRAWN} of them, the table all."] if more > 0 else []),
        *([f"Of {wording.count(len(named), 'named segment')} the kind of drift is unknown: too few rows, or not among the worst."] if named else []),
        *(f"{note}." for note in found.notes),
    ]


def _least(result: WatchResult, found: SegmentResult) -> str:
    """The size that a segment needs."""
    return f"{found.least} {'labelled rows' if kpi_words.of(result).of_kpi.per_row else 'blocks with a defined ' + kpi_words.of(result).name}"


def columns(result: WatchResult) -> tuple[SegmentTableColumn, ...]:
    """The columns of the table."""
    write = kpi_words.of(result)
    return (
        SegmentTableColumn("segment", lambda one: one.name, "name"),
        SegmentTableColumn("verdict", verdict_words, "t"),
        SegmentTableColumn(f"{write.title} before", lambda one: write.value(one.kpi_before)),
        SegmentTableColumn("after", lambda one: write.value(one.kpi_after)),
        SegmentTableColumn("95 % bounds", write.bounds),
        SegmentTableColumn(f"change, {write.step}", lambda one: write.gain(one.kpi_after, one.kpi_before)),
        SegmentTableColumn("e\u2011value", lambda one: e_value(one.evidence)),
        SegmentTableColumn("rows before", lambda one: f"{one.rows_before:,}"),
        SegmentTableColumn("rows after", lambda one: f"{one.rows_after:,}"),
        SegmentTableColumn("proven", lambda one: wording.moment(one.timestamp) if one.timestamp else "", "t"),
    )


def short_table(found: SegmentResult, result: WatchResult) -> tuple[list[str], list[list[str]], int]:
    """Header and rows of the worst segments for a terminal, and how many more there are; rows and times are in the report."""
    shown = found.scores[: max(min(len(found.named), NAMED_IN_FULL), SHOWN)]
    some = columns(result)[:-3]
    return [column.title for column in some], [[column.cell(score) for column in some] for score in shown], len(found.scores) - len(shown)


def verdict_words(score: SegmentScore) -> str:
    """Verdict and kind.

    >>> verdict_words(SegmentScore(column="fuel", segment="gas", rows_before=9, rows_after=9, kpi_before=0.9, kpi_after=0.9, lower=0.8, upper=1,
    ...     gain=0, verdict="too small", kind="cannot tell"))
    'too small'
    """
    return KINDS[score.kind] if score.drift and score.kind != "cannot tell" else score.verdict


def e_value(value: float) -> str:
    """An e-value, short.

    >>> e_value(0.123), e_value(48.2), e_value(5.2e7), e_value(float("nan"))
    ('0.12', '48', '> 1,000,000', '–')
    """
    if value > 1_000_000:
        return "> 1,000,000"
    return wording.number(value, digits=2) if not value >= 10 else f"{value:,.0f}"


def draw(result: WatchResult) -> go.Figure:
    """Each segment's KPI before and after, the worst on top."""
    from driftloop.report import plots  # loads plotly

    found, write = result.by_segment, kpi_words.of(result)
    scores = [score for score in found.judged if math.isfinite(score.kpi_before) or math.isfinite(score.kpi_after)][:DRAWN] if found else []
    scale, made = plots.scale_of(write), plots.figure(height=AROUND_PIXELS + ROW_PIXELS * max(len(scores), 1), margin={"l": 8, "r": 14, "t": 8, "b": 34})
    told = {id(score): "<br>".join(f"{wording.in_plot(one.title)} {wording.in_plot(one.cell(score))}" for one in columns(result)) for score in scores}
    lines = [(x, y) for at, score in enumerate(scores) for x, y in ((scale * score.kpi_before, at), (scale * score.kpi_after, at), (None, at))]
    line = {"color": plots.PALE, "width": 2}
    made.add_scatter(x=[x for x, _ in lines], y=[y for _, y in lines], mode="lines", line=line, hoverinfo="skip")
    for name, symbol, colour, drift, value in (
        ("reference period", "circle-open", plots.SOFT, None, "kpi_before"),
        ("after it, 95 % interval", "circle", plots.MODEL, False, "kpi_after"),
        ("after it, drift", "diamond", plots.DRIFT, True, "kpi_after"),
    ):
        some = [(at, score) for at, score in enumerate(scores) if drift in (None, score.drift)]
        if some:
            bars = None if drift is None else plots.interval([(getattr(one, value), one.lower, one.upper) for _, one in some], colour, scale)
            made.add_scatter(
                x=[scale * getattr(one, value) for _, one in some],
                y=[at for at, _ in some],
                name=name,
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 9},
                error_x=bars,
                hovertext=[told[id(one)] for _, one in some],
                hoverinfo="text",
            )
    _axes(made, scores, write)
    return made


def _axes(made: go.Figure, scores: list[SegmentScore], write: Figures) -> None:
    """Names above the rows, so that a phone's width is left to the figures."""
    for at, score in enumerate(scores):
        name = wording.in_plot(score.name, most=LETTERS)
        made.add_annotation(x=0, xref="paper", y=at - 0.42, text=name, showarrow=False, xanchor="left", yanchor="middle", font={"size": 12})
    made.update_yaxes(range=[len(scores) - 0.6, -0.75], showticklabels=False, tickvals=list(range(len(scores))), showgrid=False, automargin=False)
    unit = {"text": wording.in_plot(write.unit, most=20), "font": {"size": 12}} if write.plain and write.unit else None
    made.update_xaxes(ticksuffix="" if write.plain else " %", showgrid=True, nticks=7, title=unit)
