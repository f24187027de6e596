"""The panels that the boards are made of, one function a kind, with the colours, sizes and value mappings that all of them share.

Red means bad and nothing else, orange asks for a look, green is good; what is neither is blue, grey or purple.
A panel is 24 columns wide at most; a tile is 4 rows high, a chart 8.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

GOOD, LOOK, BAD = "green", "orange", "red"
NEUTRAL, OTHER, QUIET = "blue", "purple", "text"
UNKNOWN: Final = "#6e7079"  # grey, of a tile that a colour fills
DATA_SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
UNIT_REF: Final = "unit"
REFS: Final = string.ascii_uppercase  # names of the queries of a panel
TILE, CHART = 4, 8  # heights
LABELS: Final = {"stream": "Stream", "feature": "Feature", "alertname": "Alert", "severity": "Severity", "what": "What"}  # as a table calls them

State = tuple[float, str, str]  # a value, how it reads, its colour
Step = tuple[float | None, str]  # from this value on (None: from the lowest), its colour
Panel = stat.Panel | timeseries.Panel | statetimeline.Panel | table.Panel
P = TypeVar("P", stat.Panel, timeseries.Panel, statetimeline.Panel, table.Panel)


@dataclass(frozen=True)
class Column:
    """A column of a table: the expression that fills it, and how its values look."""

    title: str
    expr: str
    unit: str = "short"
    states: tuple[State, ...] = ()
    bar: bool = False  # drawn as a bar from 0 to 1


@dataclass(frozen=True)
class Query:
    """One PromQL expression, with the name of each series that it gives."""

    expr: str
    legend: str


def tile(
    title: str,
    description: str,
    *queries: Query,
    width: int,
    height: int = TILE,
    unit: str = "short",
    states: Sequence[State] = (),
    steps: Sequence[Step] = (),
) -> stat.Panel:
    """The values as of now, each with its name; in the colours of `states`, which fill the tile, or of `steps`."""
    made = _asking(_described(stat.Panel(), title, description, width=width, height=height), queries, instant=True)
    _valued(made, unit=unit, states=states, steps=steps or ((None, UNKNOWN if states else QUIET),))
    made.color_scheme(_colour(models.FieldColorModeId.THRESHOLDS))
    made.color_mode(common_models.BigValueColorMode.BACKGROUND if states and not steps else common_models.BigValueColorMode.VALUE)
    made.graph_mode(common_models.BigValueGraphMode.NONE).text_mode(common_models.BigValueTextMode.AUTO)
    return made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)).no_value("unknown")


def named_tile(title: str, description: str, query: Query, *, width: int) -> stat.Panel:
    """The names of the series that there are now, without their values."""
    return tile(title, description, query, width=width).text_mode(common_models.BigValueTextMode.NAME)


def chart(
    title: str,
    description: str,
    *queries: Query,
    width: int = 12,
    height: int = CHART,
    unit: str = "short",
    low: float | None = 0,
    high: float | None = None,
    limit: float | None = None,
    colour: str = NEUTRAL,
) -> timeseries.Panel:
    """Lines over time in shades of one colour; from `limit` on, which is drawn dashed, values are bad."""
    made = _asking(_described(timeseries.Panel(), title, description, width=width, height=height), queries)
    _valued(made, unit=unit, steps=((None, QUIET), *(((limit, BAD),) if limit is not None else ())))
    if limit is not None:
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED))
        made.axis_soft_max(limit)  # in sight, also while all is well
    if low is not None:
        made.min(low)
    if high is not None:
        made.max(high)
    made.color_scheme(_colour(models.FieldColorModeId.SHADES, colour)).line_width(2).fill_opacity(0)
    made.show_points(common_models.VisibilityMode.AUTO).legend(_legend())
    return made.tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI).sort(common_models.SortOrder.DESCENDING))


def timeline(title: str, description: str, *queries: Query, states: Sequence[State], width: int = 12, height: int = 6) -> statetimeline.Panel:
    """What held when: a bar for each series, coloured and named by `states`."""
    made = _asking(_described(statetimeline.Panel(), title, description, width=width, height=height), queries)
    _valued(made, states=states, steps=((None, QUIET),))
    made.color_scheme(_colour(models.FieldColorModeId.THRESHOLDS)).fill_opacity(80).line_width(0).row_height(0.8)
    made.show_value(common_models.VisibilityMode.AUTO).merge_values(True)
    made.legend(common.VizLegendOptions().show_legend(False).display_mode(common_models.LegendDisplayMode.LIST).placement(common_models.LegendPlacement.BOTTOM))
    return made.tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.SINGLE))


def listing(title: str, description: str, columns: Sequence[Column], *, width: int, height: int) -> table.Panel:
    """A table of what there is now, with the largest values of the first of `columns` on top; the labels that they share come before them."""
    made = _described(table.Panel(), title, description, width=width, height=height)
    _valued(made, steps=((None, QUIET),))
    for ref, column in zip(REFS, columns, strict=False):
        made.with_target(_as_table(_target(Query(column.expr, ""), ref, instant=True)))
        made.override_by_name(column.title, _look(column))
    values = ["Value"]
    if len(columns) > 1:
        values = [f"Value #{ref}" for ref, _ in zip(REFS, columns, strict=False)]
        made.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    names = {**LABELS, **{value: column.title for value, column in zip(values, columns, strict=True)}}
    made.with_transformation(
        models.DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": names})
    )
    return (
        made.align(common_models.FieldTextAlignment.AUTO).sort_by([common.TableSortByFieldState().display_name(columns[0].title).desc(True)]).show_header(True)
    )


def _look(column: Column) -> list[models.DynamicConfigValue]:
    look: dict[str, object] = {"unit": column.unit}
    if column.states:
        look |= {"mappings": [_mapping(column.states)], "custom.cellOptions": {"type": "color-background", "mode": "basic"}}
    if column.bar:
        look |= {"min": 0, "max": 1, "color": {"mode": "fixed", "fixedColor": NEUTRAL}, "custom.cellOptions": {"type": "gauge", "mode": "basic"}}
    return [models.DynamicConfigValue(key, value) for key, value in look.items()]


def in_unit_of_stream(panel: P) -> P:
    """The panel's values in the unit of its stream's KPI, which a query of its own gives: for panels of one stream."""
    panel.with_target(_as_table(_target(Query(unit_of_stream(), ""), UNIT_REF, instant=True)))
    options = {"configRefId": UNIT_REF, "mappings": [{"fieldName": "unit", "handlerKey": "unit"}]}
    panel.with_transformation(models.DataTransformerConfig(id_val="configFromData", options=options))
    made = panel.build()
    assert made.field_config is not None
    made.field_config.defaults.unit = None  # a unit of the panel would win
    return panel


UNITS: Final = {  # words that streams.yaml may use, and Grafana's names of these units
    "ms|milliseconds?": "ms",
    "s|sec|seconds?": "s",
    "min|minutes?": "m",  # not m, which may be metres
    "h|hours?": "h",
    "d|days?": "d",
    "%|percent": "percent",
    "bytes?": "bytes",
    "w|watts?": "watt",
    "kwh": "kwatth",
    "usd|dollars?": "currencyUSD",
    "eur|euros?": "currencyEUR",
}


def unit_of_stream() -> str:
    """A query whose label `unit` is Grafana's name of the unit: of a known word its own, any other word is written behind the value."""
    expr = 'label_replace(max by (stream, unit) (driftloop_stream_info{stream=~"$stream",task="regression"}), "unit", "suffix: $1", "unit", "(.+)")'
    for words, name in UNITS.items():
        expr = f'label_replace({expr}, "unit", "{name}", "unit", "suffix: (?i:{words})")'
    share = 'label_replace(max by (stream) (driftloop_stream_info{stream=~"$stream",task="classification"}), "unit", "percentunit", "", "")'
    return f'max by (unit) (label_replace({expr}, "unit", "short", "unit", "") or {share})'


def coloured(panel: P, colours: Mapping[str, str]) -> P:
    """The series whose name matches a regular expression in the colour given for it."""
    for pattern, colour in colours.items():
        panel.override_by_regexp(f"/{pattern}/", [models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})])
    return panel


def dashed(panel: timeseries.Panel, name: str, colour: str) -> timeseries.Panel:
    """The series of this name as a dashed line: a limit, not a measurement."""
    style = {"fill": "dash", "dash": [10, 10]}
    values = {"color": {"mode": "fixed", "fixedColor": colour}, "custom.lineStyle": style, "custom.lineWidth": 1}
    return panel.override_by_name(name, [models.DynamicConfigValue(key, value) for key, value in values.items()])


def band(panel: timeseries.Panel, lower: str, upper: str) -> timeseries.Panel:
    """The room between two series as a grey band."""
    grey = models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": QUIET})
    thin = models.DynamicConfigValue("custom.lineWidth", 0)
    panel.override_by_name(lower, [grey, thin])
    return panel.override_by_name(
        upper, [grey, thin, models.DynamicConfigValue("custom.fillBelowTo", lower), models.DynamicConfigValue("custom.fillOpacity", 15)]
    )


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """The series on top of each other: parts of a whole."""
    return panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL)).fill_opacity(40).line_width(1)


def linked(panel: P, title: str, board: str) -> P:
    """A click on a value opens another board, on the same stream and times: for panels of one stream."""
    url = f"/d/driftloop-{board}?var-stream=$stream&${{__url_time_range}}"
    return panel.data_links([dashboard.DashboardLink(title).url(url).type(models.DashboardLinkType.LINK)])


def _described(panel: P, title: str, description: str, *, width: int, height: int) -> P:
    return panel.title(title).description(description).datasource(DATA_SOURCE).span(width).height(height)


def _valued(panel: P, *, unit: str = "short", states: Sequence[State] = (), steps: Sequence[Step]) -> None:
    panel.unit(unit).thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps([models.Threshold(*step) for step in steps]))
    if states:
        panel.mappings([_mapping(states)])


def _mapping(states: Sequence[State]) -> models.ValueMap:
    return models.ValueMap(
        {f"{value:g}": models.ValueMappingResult(text=text, color=colour, index=place) for place, (value, text, colour) in enumerate(states)}
    )


def _asking(panel: P, queries: Sequence[Query], *, instant: bool = False) -> P:
    for ref, query in zip(REFS, queries, strict=False):
        panel.with_target(_target(query, ref, instant=instant))
    return panel


def _as_table(target: prometheus.Dataquery) -> prometheus.Dataquery:
    return target.format(prometheus_models.PromQueryFormat.TABLE)


def _target(query: Query, ref: str, *, instant: bool = False) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref).datasource(DATA_SOURCE)
    made.editor_mode(prometheus_models.QueryEditorMode.CODE)
    return made.instant() if instant else made.range()


def _colour(mode: models.FieldColorModeId, fixed: str = "") -> dashboard.FieldColor:
    made = dashboard.FieldColor().mode(mode)
    return made.fixed_color(fixed) if fixed else made


def _legend() -> common.VizLegendOptions:
    return common.VizLegendOptions().display_mode(common_models.LegendDisplayMode.LIST).placement(common_models.LegendPlacement.BOTTOM).show_legend(True)
