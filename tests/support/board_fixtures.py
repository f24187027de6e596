"""What Grafana's boards ask of Prometheus, read from the files that Grafana reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ops.dashboards import FOLDER

BOARDS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


@dataclass(frozen=True)
class Asked:
    """One query of a board; `each_stream` if it sees one stream at a time."""

    board: str
    part: str  # panel, annotation or variable
    title: str
    ref: str
    expr: str
    instant: bool = False
    each_stream: bool = False

    def __str__(self) -> str:
        return f"{self.board}: {self.title} {self.ref}"

    def of(self, stream: str) -> str:
        """The query as Grafana sends it when a stream, or a regular expression of streams, is chosen, and all of everything else."""
        return re.sub(r"\$[a-z]\w*", ".*", self.expr.replace("$stream", stream))


def panels(board: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each panel of a board that is no row, and whether it stands in a row that is repeated for each stream."""
    repeated = False
    for panel in BOARDS[board]["panels"]:
        if panel["type"] == "row":
            repeated = panel.get("repeat") == "stream"
        else:
            yield panel, repeated


def asked() -> list[Asked]:
    """All queries of all boards."""
    return [one for board in BOARDS for one in (*_of_panels(board), *_of_annotations(board), *_of_variables(board))]


def _of_panels(board: str) -> Iterator[Asked]:
    for panel, repeated in panels(board):
        for target in panel["targets"]:
            yield Asked(board, "panel", panel["title"], target["refId"], target["expr"], target["instant"], repeated)


def _of_annotations(board: str) -> Iterator[Asked]:
    for annotation in BOARDS[board]["annotations"]["list"]:
        yield Asked(board, "annotation", annotation["name"], "", annotation["expr"])


def _of_variables(board: str) -> Iterator[Asked]:
    for variable in BOARDS[board]["templating"]["list"]:
        if variable["type"] == "query":
            yield Asked(board, "variable", variable["label"], "", variable["query"]["query"])
