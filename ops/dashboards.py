"""Write Grafana's four dashboards, ops/grafana/dashboards/*.json, from the panels of ops/panels.py.

    python -m ops.dashboards

A test compares what is checked in with what this writes, and runs every panel's query against Prometheus under traffic.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ops.panels import DASHBOARDS, Dashboard, Panel

FOLDER: Final = Path(__file__).resolve().parent / "grafana" / "dashboards"
DATA_SOURCE: Final = {"type": "prometheus", "uid": "driftloop"}
WIDTH, HEIGHT, COLUMNS = 12, 8, 24  # of a panel, and of the page, in Grafana's units


def document(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    return {
        "uid": f"driftloop-{dashboard.uid}",
        "title": dashboard.title,
        "tags": ["driftloop"],
        "schemaVersion": 38,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["driftloop"], "title": "driftloop", "asDropdown": False, "includeVars": True, "keepTime": True}],
        "templating": {"list": [_stream_variable()]},
        "panels": [_panel(panel, number) for number, panel in enumerate(dashboard.panels)],
    }


def _stream_variable() -> dict[str, Any]:
    query = "label_values(driftloop_model_up, stream)"
    return {
        "name": "stream",
        "type": "query",
        "datasource": DATA_SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "streams"},
        "refresh": 2,  # whenever the time range changes
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    bounds = {name: value for name, value in (("min", panel.low), ("max", panel.high)) if value is not None}
    row, column = divmod(number * WIDTH, COLUMNS)
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATA_SOURCE,
        "gridPos": {"x": column, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, **bounds}, "overrides": []},
        "options": _options(panel.kind),
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": DATA_SOURCE, "expr": expr, "legendFormat": legend}
            for index, (expr, legend) in enumerate(panel.queries)
        ],
    }


def _options(kind: str) -> dict[str, Any]:
    if kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none", "textMode": "value_and_name"}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}


def text(dashboard: Dashboard) -> str:
    """The dashboard's file."""
    return json.dumps(document(dashboard), indent=1, ensure_ascii=False) + "\n"


def write(folder: Path, dashboards: Sequence[Dashboard] = DASHBOARDS) -> None:
    """Write the files, and remove those of dashboards that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        path.unlink()
    for dashboard in dashboards:
        (folder / f"{dashboard.uid}.json").write_text(text(dashboard), encoding="utf-8")


def main() -> int:
    """Write them where they are checked in."""
    write(FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
