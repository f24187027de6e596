"""The kinds of panels on the boards, one function each, with the colours, sizes and value mappings that they share.

Red always means bad, orange asks for a look, green is good; blue, grey and purple are neutral.
A panel is at most 24 columns wide; a tile is 4 rows high, a chart 8.
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
UNKNOWN: Final = "#6e7079"  # grey, of a tile filled with colour
DATA_SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
REFS: Final = string.ascii_uppercase  # names of the queries of a panel
TABLE: Final = prometheus_models.PromQueryFormat.TABLE
TILE, CHART = 4, 8  # heights
LABELS: Final = {"stream": "Stream", "feature": "Feature", "alertname": "Alert", "severity": "Severity", "what": "What"}  # column titles

State = tuple[float, str, str]  # a value, its text, its colour
Step = tuple[float | None, str]  # from this value on (None: from the lowest), its colour
Panel = stat.Panel | timeseries.Panel | statetimeline.Panel | table.Panel
P = TypeVar("P", stat.Panel, timeseries.Panel, statetimeline.Panel, table.Panel)


@dataclass(frozen=True)
class Column:
    """A column of a table: its expression, and how its values look."""

    title: str
    expr: str
    unit: str = "short"
    states: tuple[State, ...] = ()
    bar: bool = False  # drawn as a bar from 0 to 1


@dataclass(frozen=True)
class Query:
    """One PromQL expression, with the name of each of its series."""

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
    """The current values, each with its name; `states` fill the tile with their colour, `steps` colour the value."""
    made = _asking(_described(stat.Panel(), title, description, width=width, height=height), queries, instant=True)
    _valued(made, unit=unit, states=states, steps=steps or ((None, UNKNOWN if states else QUIET),))
    made.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    made.color_mode(common_models.BigValueColorMode.BACKGROUND if states and not steps else common_models.BigValueColorMode.VALUE)
    made.graph_mode(common_models.BigValueGraphMode.NONE).text_mode(common_models.BigValueTextMode.AUTO)
    return made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)).no_value("unknown")


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
    """Lines over time in shades of one colour; values from the dashed `limit` on are bad."""
    made = _asking(_described(timeseries.Panel(), title, description, width=width, height=height), queries)
    _valued(made, unit=unit, steps=((None, QUIET), *(((limit, BAD),) if limit is not None else ())))
    if limit is not None:
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED))
        made.axis_soft_max(limit)  # in sight, also while all is well
    if low is not None:
        made.min(low)
    if high is not None:
        made.max(high)
    made.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.SHADES).fixed_color(colour)).line_width(2).fill_opacity(0)
    made.show_points(common_models.VisibilityMode.AUTO).legend(_legend(shown=True))
    return made.tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI).sort(common_models.SortOrder.DESCENDING))


def timeline(title: str, description: str, *queries: Query, states: Sequence[State], width: int = 12, height: int = 6) -> statetimeline.Panel:
    """States over time: a bar for each series, coloured and named by `states`."""
    made = _asking(_described(statetimeline.Panel(), title, description, width=width, height=height), queries)
    _valued(made, states=states, steps=((None, QUIET),))
    made.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS)).fill_opacity(80).line_width(0).row_height(0.8)
    made.show_value(common_models.VisibilityMode.AUTO).merge_values(True)
    made.legend(_legend(shown=False))
    return made.tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.SINGLE))


def listing(title: str, description: str, columns: Sequence[Column], *, width: int, height: int) -> table.Panel:
    """A table of the current values, largest of the first column on top; the labels that the columns share come before them."""
    made = _described(table.Panel(), title, description, width=width, height=height)
    _valued(made, steps=((None, QUIET),))
    values = [f"Value #{ref}" for ref in REFS[: len(columns)]] if len(columns) > 1 else ["Value"]
    for ref, column in zip(REFS, columns, strict=False):
        made.with_target(_target(Query(column.expr, ""), ref, instant=True).format(TABLE))
        made.override_by_name(column.title, _look(column))
    if len(columns) > 1:
        made.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    names = {**LABELS, **{value: column.title for value, column in zip(values, columns, strict=True)}}
    order = {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": names}
    made.with_transformation(models.DataTransformerConfig(id_val="organize", options=order))
    largest_first = common.TableSortByFieldState().display_name(columns[0].title).desc(True)
    return made.align(common_models.FieldTextAlignment.AUTO).sort_by([largest_first]).show_header(True)


def _look(column: Column) -> list[models.DynamicConfigValue]:
    look: dict[str, object] = {"unit": column.unit}
    if column.states:
        look |= {"mappings": [_mapping(column.states)], "custom.cellOptions": {"type": "color-background", "mode": "basic"}}
    if column.bar:
        look |= {"min": 0, "max": 1, "color": _fixed(NEUTRAL), "custom.cellOptions": {"type": "gauge", "mode": "basic"}}
    return _override(look)


def in_unit_of_stream(panel: P) -> P:
    """Show the values in the unit of the stream's KPI, which an extra query returns: for panels of one stream."""
    panel.with_target(_target(Query(unit_of_stream(), ""), "unit", instant=True).format(TABLE))
    options = {"configRefId": "unit", "mappings": [{"fieldName": "unit", "handlerKey": "unit"}]}
    panel.with_transformation(models.DataTransformerConfig(id_val="configFromData", options=options))
    made = panel.build()
    assert made.field_config is not None
    made.field_config.defaults.unit = None  # a unit of the panel would win
    return panel


UNITS: Final = {  # words in streams.yaml that Grafana has a unit for, and its name
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
    """A query whose label `unit` is Grafana's name of the KPI's unit: percent of an accuracy, a suffix for a word that Grafana does not know."""
    expr = 'label_replace(max by (stream, unit) (driftloop_stream_info{stream=~"$stream",kpi!="accuracy"}), "unit", "suffix: $1", "unit", "(.+)")'
    for words, name in UNITS.items():
        expr = f'label_replace({expr}, "unit", "{name}", "unit", "suffix: (?i:{words})")'
    share = 'label_replace(max by (stream) (driftloop_stream_info{stream=~"$stream",kpi="accuracy"}), "unit", "percentunit", "", "")'
    return f'max by (unit) (label_replace({expr}, "unit", "short", "unit", "") or {share})'


def coloured(panel: P, colours: Mapping[str, str]) -> P:
    """Give series a fixed colour by a regular expression for their name."""
    for pattern, colour in colours.items():
        panel.override_by_regexp(f"/{pattern}/", _override({"color": _fixed(colour)}))
    return panel


def dashed(panel: timeseries.Panel, name: str, colour: str) -> timeseries.Panel:
    """Draw the series of this name as a dashed line: a limit, not a measurement."""
    dash = {"fill": "dash", "dash": [10, 10]}
    return panel.override_by_name(name, _override({"color": _fixed(colour), "custom.lineStyle": dash, "custom.lineWidth": 1}))


def band(panel: timeseries.Panel, lower: str, upper: str) -> timeseries.Panel:
    """Fill the area between two series in grey."""
    edge = {"color": _fixed(QUIET), "custom.lineWidth": 0}
    panel.override_by_name(lower, _override(edge))
    return panel.override_by_name(upper, _override({**edge, "custom.fillBelowTo": lower, "custom.fillOpacity": 15}))


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """Stack the series: they are parts of a whole."""
    return panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL)).fill_opacity(40).line_width(1)


def linked(panel: P, title: str, board: str) -> P:
    """Let a click on a value open another board, for the same stream and times: for panels of one stream."""
    url = f"/d/driftloop-{board}?var-stream=$stream&${{__url_time_range}}"
    return panel.data_links([dashboard.DashboardLink(title).url(url).type(models.DashboardLinkType.LINK)])


def linked_rows(panel: table.Panel, boards: Mapping[str, str]) -> table.Panel:
    """Let a click on a row of a table of streams open other boards, by title, for its stream and the same times."""
    urls = {title: f"/d/driftloop-{board}?var-stream=${{__data.fields.Stream}}&${{__url_time_range}}" for title, board in boards.items()}
    return panel.data_links([dashboard.DashboardLink(title).url(url).type(models.DashboardLinkType.LINK) for title, url in urls.items()])


def _described(panel: P, title: str, description: str, *, width: int, height: int) -> P:
    return panel.title(title).description(description).datasource(DATA_SOURCE).span(width).height(height)


def _valued(panel: P, *, unit: str = "short", states: Sequence[State] = (), steps: Sequence[Step]) -> None:
    panel.unit(unit).thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps([models.Threshold(*step) for step in steps]))
    if states:
        panel.mappings([_mapping(states)])


def _mapping(states: Sequence[State]) -> models.ValueMap:
    shown = {f"{value:g}": models.ValueMappingResult(text=text, color=colour, index=place) for place, (value, text, colour) in enumerate(states)}
    return models.ValueMap(shown)


def _asking(panel: P, queries: Sequence[Query], *, instant: bool = False) -> P:
    for ref, query in zip(REFS, queries, strict=False):
        panel.with_target(_target(query, ref, instant=instant))
    return panel


def _target(query: Query, ref: str, *, instant: bool = False) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref).datasource(DATA_SOURCE)
    made.editor_mode(prometheus_models.QueryEditorMode.CODE)
    return made.instant() if instant else made.range()


def _fixed(colour: str) -> dict[str, str]:
    return {"mode": "fixed", "fixedColor": colour}


def _override(values: Mapping[str, object]) -> list[models.DynamicConfigValue]:
    return [models.DynamicConfigValue(key, value) for key, value in values.items()]


def _legend(*, shown: bool) -> common.VizLegendOptions:
    return common.VizLegendOptions().display_mode(common_models.LegendDisplayMode.LIST).placement(common_models.LegendPlacement.BOTTOM).show_legend(shown)
