"""Write Grafana's four dashboards, ops/grafana/dashboards/*.json, from the boards of ops/boards.

    python -m ops.dashboards

It needs grafana-foundation-sdk, Grafana's own classes of its dashboards' schema (requirements-dev.txt). Tests compare what is checked in with what this
writes, and run every query (of panels, variables and annotations) against Prometheus.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from ops.annotations import ANNOTATIONS
from ops.boards import drift, performance, quality, service
from ops.panels import DATA_SOURCE
from ops.rows import Board, Choice

FOLDER: Final = Path(__file__).resolve().parent / "grafana" / "dashboards"
PROVISIONED: Final = "driftloop"  # uid of the data source in grafana/provisioning
ALL: Final = ".*"


def boards() -> tuple[Board, ...]:
    """All boards, in the order of the links between them; made afresh, for their panels can be placed only once."""
    return service.board(), performance.board(), quality.board(), drift.board()


def document(board: Board) -> models.Dashboard:
    """The board as Grafana reads it, its panels numbered from 1."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(f"driftloop-{board.uid}")
        .description(board.description)
        .tags(["driftloop"])
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .refresh("30s")
        .link(_links())
        .with_variable(_data_source())
    )
    for choice in board.choices:
        made.with_variable(_variable(choice))
    for annotation in ANNOTATIONS:
        made.annotation(annotation)
    for row in board.rows:
        head = dashboard.Row(row.title)
        made.with_row(head.repeat("stream") if row.each_stream else head)
        for panel in row.panels:
            made.with_panel(panel)
    document = made.build()
    for number, panel_or_row in enumerate(document.panels or (), 1):
        panel_or_row.id_val = number
    return document


def _links() -> dashboard.DashboardLink:
    """To the other boards, on the same streams and times."""
    return dashboard.DashboardLink("driftloop").type(models.DashboardLinkType.DASHBOARDS).tags(["driftloop"]).include_vars(True).keep_time(True)


def _data_source() -> dashboard.DatasourceVariable:
    chosen = models.VariableOption(selected=True, text="Prometheus", value=PROVISIONED)
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus").current(chosen)


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
        .all_value(ALL)
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def text(board: Board) -> str:
    """The board's file."""
    return json.dumps(document(board), cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"


def write(folder: Path, written: Sequence[Board] | None = None) -> None:
    """Write the files, and remove those of boards that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        path.unlink()
    for board in boards() if written is None else written:
        (folder / f"{board.uid}.json").write_text(text(board), encoding="utf-8")


def main() -> int:
    """Write them where they are checked in."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    write(FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
