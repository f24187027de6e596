"""The answer to GET /fleet: JSON, or a table for a browser."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from flask import Response, request

from driftloop.report import wording
from monitoring.fleet.ranking import FleetPage, FleetRow
from monitoring.http import pages
from monitoring.http.answers import RequestError, answer

PER_PAGE, MOST_PER_PAGE, MOST_PAGES = 50, 200, 1_000_000
_WHOLE: Final = re.compile(r"[0-9]{1,7}")

Turn = Callable[[int, int], FleetPage]
"""Returns the page of this number with so many rows."""


def view(turn: Turn) -> Response:
    """The page that the request asks for with `page` and `per_page`; HTML for a client whose Accept prefers that.

    Raises:
        RequestError: `page` or `per_page` is no whole number in its range, or there are fewer pages.
    """
    per_page = _asked("per_page", PER_PAGE, most=MOST_PER_PAGE)
    found = turn(_asked("page", 1, most=MOST_PAGES), per_page)
    if found.page > found.pages:
        raise RequestError(404, "no_page", f"page is {found.page}, but there {'are' if found.pages > 1 else 'is'} only {wording.count(found.pages, 'page')}")
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        command = pages.curl(f"{pages.own_url()}/fleet?page={found.page}&per_page={per_page}")
        lines = [_line(row) for row in found.rows]
        made = pages.page("fleet.html", package="monitoring.fleet", title="Fleet", fleet=found, lines=lines, per_page=per_page, command=command)
    else:
        made = answer(found.as_json())
    made.headers["Vary"] = "Accept"
    return made


def _asked(name: str, default: int, *, most: int) -> int:
    given = request.args.getlist(name)
    if not given:
        return default
    if len(given) > 1 or not _WHOLE.fullmatch(given[0]) or not 1 <= int(given[0]) <= most:
        raise RequestError(400, f"bad_{name}", f"{name} must be given once, as a whole number from 1 to {most:,}")
    return int(given[0])


def _line(row: FleetRow) -> dict[str, str]:
    """The texts of one row."""
    unit = f" {row.unit}" if row.unit else ""
    decided = row.alarmed if row.alarmed_in_fleet is None else row.alarmed_in_fleet
    return {
        "stream": row.stream,
        "link": f"/streams/{quote(row.stream, safe='')}",
        "model": f"{row.model}, version {row.version}" if row.version else row.model,
        "kpi": f"{row.kpi}: no label yet" if math.isnan(row.value) else f"{row.kpi} {row.value:.3f}{unit} on {wording.count(row.rows, 'row')}",
        "threshold": f"{row.threshold:g}{unit}",
        "last_block": f"{row.last_block[:16].replace('T', ' ')} UTC" if row.last_block else "none yet",
        "evidence": "–" if math.isnan(row.evidence) else f"{100 * row.evidence:.3g} %",
        "e_value": "–" if math.isnan(row.e_value) else f"{row.e_value:.3g} of {row.alarm_at:.4g}",
        "p_value": "–" if math.isnan(row.p_value) else f"{row.p_value:.3g}",
        "verdict": row.verdict,
        "own": "alarm" if row.alarmed else "no",
        "fleet": "" if row.alarmed_in_fleet is None else "alarm" if row.alarmed_in_fleet else "no",
        "look": "bad" if decided else "",
    }
