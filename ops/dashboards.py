"""Write Grafana's five dashboards, ops/grafana/dashboards/*.json, from the boards of ops/boards.

    python -m ops.dashboards

Needs grafana-foundation-sdk, Grafana's own classes of its dashboard schema (requirements-dev.txt). Tests compare the committed files with what this
writes, and run every query (of panels, variables and annotations) against Prometheus.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from ops.annotations import ANNOTATIONS
from ops.boards import Board, Choice, Row, drift, fleet, performance, quality, service
from ops.overview import overview
from ops.panels import DATA_SOURCE

FOLDER: Final = Path(__file__).resolve().parent / "grafana" / "dashboards"
PROVISIONED: Final = "driftloop"  # uid of the data source in grafana/provisioning


def boards() -> tuple[Board, ...]:
    """All boards, in the order of the links between them; a new set each time, because a panel can be placed only once."""
    return service.board(), performance.board(), quality.board(), drift.board(), fleet.board()


def text(board: Board) -> str:
    """The board's file; its panels are numbered from 1."""
    links = dashboard.DashboardLink("driftloop").type(models.DashboardLinkType.DASHBOARDS).tags(["driftloop"]).include_vars(True).keep_time(True)
    provisioned = models.VariableOption(selected=True, text="Prometheus", value=PROVISIONED)
    made = (
        dashboard.Dashboard(board.title)
        .uid(f"driftloop-{board.uid}")
        .description(board.description)
        .tags(["driftloop"])
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .refresh("30s")
        .link(links)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus").current(provisioned))
    )
    for choice in board.choices:
        made.with_variable(_variable(choice))
    above = (Row("Overview: $stream", overview(), each_stream=True),) if board.overview else ()
    for row in (*above, *board.rows):
        head = dashboard.Row(row.title)
        made.with_row(head.repeat("stream") if row.each_stream else head)
        for panel in row.panels:
            made.with_panel(panel)
    document = made.build()
    document.annotations = models.AnnotationContainer(list_val=[*ANNOTATIONS])
    for number, panel_or_row in enumerate(document.panels or (), 1):
        panel_or_row.id_val = number
    return json.dumps(document, cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"


def _variable(choice: Choice) -> dashboard.QueryVariable:
    within = "" if choice.name in {"stream", "route"} else '{stream=~"$stream"}'
    query = f"label_values({choice.metric}{within}, {choice.name})"
    return (
        dashboard.QueryVariable(choice.name)
        .label(choice.label)
        .datasource(DATA_SOURCE)
        .query({"query": query, "refId": choice.name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def write(folder: Path) -> None:
    """Write the files, and remove those of boards that no longer exist."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        path.unlink()
    for board in boards():
        (folder / f"{board.uid}.json").write_text(text(board), encoding="utf-8")


def main() -> int:
    """Write them where they are checked in."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    write(FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
