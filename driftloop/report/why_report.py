"""Why the KPI fell, for a person: the sentence, the tables, the plot of drift against importance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from driftloop.drift.kind.attribution import Attribution
from driftloop.drift.kind.decomposition import KpiPart
from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.results import WatchResult
from driftloop.report import kpi_words, wording
from driftloop.report.kpi_words import Figures

if TYPE_CHECKING:
    import plotly.graph_objects as go

SHOWN: Final = 20  # features, and segments of all columns, in the tables
NAMED: Final = 6  # features with a name in the plot
APART: Final = 0.1  # distance or importance from which on a feature has one: the others are on top of each other
LETTERS: Final = 16
PIXELS: Final = 360


def sentence(found: Attribution | None, result: WatchResult) -> str:
    """The two parts, and the feature with the largest share; "" without an attribution."""
    if found is None:
        return ""
    step, first = _step(result), found.features[0]
    most = f", the largest share {first.name} {told(first.change, result)}" if clear(first.change) else ""
    rest = "the labels depend on the inputs in another way" if clear(found.concept) else "not proven to be more than chance"
    return (
        f"Of the change of the {found.kpi} by {told(found.change, result)}{step} since the reference period, moved inputs explain "
        f"{told(found.data, result)}{most}. The rest is {told(found.concept, result)}: {rest}."
    )


def told(part: KpiPart, result: WatchResult) -> str:
    """A change with its interval, positive where the model became better."""
    write = _figures(result)
    bounds = sorted((part.lower, part.upper), reverse=not write.of_kpi.higher)
    return f"{write.gain(part.change, 0.0)} ({write.gain(bounds[0], 0.0)} to {write.gain(bounds[1], 0.0)})"


def clear(part: KpiPart) -> bool:
    """Whether the interval excludes 0."""
    return part.lower > 0 or part.upper < 0


def feature_rows(found: Attribution, result: WatchResult) -> list[tuple[str, str, str, str]]:
    """Name, change, distance and importance of the features that changed the KPI most."""
    return [
        (one.name, told(one.change, result), wording.number(one.distance), wording.percent(one.importance, digits=0) + " %") for one in found.features[:SHOWN]
    ]


def segment_rows(found: Attribution, result: WatchResult) -> list[tuple[str, str, str]]:
    """Name, inputs' part and the rest of the segments that changed the KPI most."""
    worst = sorted(found.segments, key=lambda one: -abs(one.data.change + one.concept.change))
    return [(f"{one.column}: {one.segment}", told(one.data, result), told(one.concept, result)) for one in worst[:SHOWN]]


def change_title(result: WatchResult) -> str:
    """The header of a column of changes."""
    return f"change{_step(result, head=True)}"


def _figures(result: WatchResult) -> Figures:
    """The format of the KPI that was split: one of rows."""
    write = kpi_words.of(result)
    return write if KPIS[write.of_kpi.name].per_row else Figures(result.task)


def _step(result: WatchResult, *, head: bool = False) -> str:
    write = _figures(result)
    unit = "" if write.of_kpi.name == "rmse" else write.unit if write.plain else "points"
    return (f", {unit}" if head else f" {unit}") if unit else ""


def draw(found: Attribution, result: WatchResult) -> go.Figure:
    """How far each feature moved against how much the KPI depends on it; those that changed the KPI in another colour."""
    from driftloop.report import plots  # loads plotly

    made = plots.figure(height=PIXELS)
    far = [one for one in found.features if clear(one.change) or max(one.distance, one.importance) >= APART]
    names = {one.name for one in sorted(far, key=lambda one: -max(one.distance, one.importance))[:NAMED]}
    for title, colour, symbol, is_clear in (
        ("changed the KPI", plots.DRIFT, "diamond", True),
        ("no change proven", plots.MODEL, "circle", False),
    ):
        some = [one for one in found.features if clear(one.change) is is_clear]
        if some:
            words = [f"{wording.in_plot(one.name)}<br>change {told(one.change, result)}{_step(result)}" for one in some]
            made.add_scatter(
                x=[one.distance for one in some],
                y=[100 * one.importance for one in some],
                name=title,
                mode="markers+text",
                text=[wording.in_plot(one.name, most=LETTERS) if one.name in names else "" for one in some],
                textposition=["middle left" if one.distance > 0.5 else "middle right" for one in some],
                textfont={"size": 12},
                marker={"color": colour, "symbol": symbol, "size": 10},
                hovertext=words,
                hoverinfo="text",
                cliponaxis=False,
            )
    made.update_xaxes(title={"text": "drift: distance from the reference period", "font": {"size": 12}}, range=[-0.03, 1.03], showgrid=True)
    made.update_yaxes(title={"text": "importance for the KPI", "font": {"size": 12}}, range=[-4, 104], ticksuffix=" %")
    return made
