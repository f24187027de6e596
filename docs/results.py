"""The README's table of results, from the pages of the benchmarks: the taxi's year, then two lifecycles on ELEC."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Final

from driftloop.errors import DriftloopError

BENCHMARKS: Final = Path(__file__).resolve().parent.parent / "benchmarks"
NONE: Final = "–"


def results_table(folder: Path = BENCHMARKS) -> str:
    """The three columns as a Markdown table.

    Raises:
        DriftloopError: a page lacks a figure that the table shows.
    """
    try:
        taxi, elec = _taxi((folder / "taxi.md").read_text(encoding="utf-8")), _elec((folder / "figures.md").read_text(encoding="utf-8"))
    except (KeyError, ValueError, IndexError, StopIteration) as exc:
        raise DriftloopError(f"{folder}: taxi.md or figures.md lacks a figure of the README ({exc}): run the benchmarks again") from exc
    lines = ["| | taxi: how long is a ride? | ELEC, history searched | ELEC, one row at a time |", "|---|---:|---:|---:|"]
    lines += [f"| {title} | {' | '.join([cell, *elec[title]])} |" for title, cell in taxi.items()]
    return "\n".join(lines) + "\n"


def _taxi(page: str) -> dict[str, str]:
    """Row of the README: the taxi's cell."""
    months, ways = _rows(page, "month"), _rows(page, "blocks")
    served, unretrained, linear = (months["month"].index(name) for name in ("**model**", "never retrained", "linear: refitted"))
    year, drifted = months["**year**"], months["2020-04"]
    way, retrains = ways["weeks, with follow-ups"], ways["blocks"].index("retrains")
    alarms = re.findall(r"first alarm: (the week of [\d-]+)", page)
    return {
        "command": "`make taxi`",
        "KPI": "MAE, minutes",
        "rows": year[1],
        "**served model**": year[served],
        "base model, never retrained, same rows": year[unretrained],
        "difference": f"{float(year[served].strip('*')) - float(year[unretrained]):+.2f} minutes".replace("-", "−"),
        "best baseline, labels by block": f"{year[linear]} (linear regression, refitted, too)",
        "no change, row by row (needs each label at once)": NONE,
        "first alarm": alarms[0],
        "month of the drift, served and never retrained": f"{drifted[served].strip('*')} and {drifted[unretrained]}",
        "retrains, promotions": f"{way[retrains]}, {way[retrains + 1]}",
        "history of the last version, rows": NONE,
    }


def _elec(page: str) -> dict[str, list[str]]:
    """Row of the README: the cells of the default lifecycle and of that at history 0."""
    columns = [_elec_column({title: cells[at] for title, cells in _rows(page, "").items()}) for at in (1, 3)]
    return {title: [column[title] for column in columns] for title in columns[0]}


def _elec_column(cells: dict[str, str]) -> dict[str, str]:
    baselines = {name: cells[f"{name}, %"] for name in ("same time yesterday", "majority class")}
    best = max(baselines, key=lambda name: float(baselines[name]))
    return {
        "command": cells["command"].replace("`python lifecycle.py`", "`make run`"),
        "KPI": "accuracy, %",
        "rows": cells["rows, in blocks"].partition(" ")[0],
        "**served model**": f"{cells['**accuracy of the served model, %**']} ({cells['95 % interval, assuming independent rows']})",
        "base model, never retrained, same rows": cells["base model, never retrained, same rows, %"],
        "difference": f"{cells['gain, points']} points",
        "best baseline, labels by block": f"{baselines[best]} ({best})",
        "no change, row by row (needs each label at once)": cells["no change, row by row, %"],
        "first alarm": f"block {cells['first alarm of the rule `significant`, block']}",
        "month of the drift, served and never retrained": NONE,
        "retrains, promotions": cells["retrains, promotions"],
        "history of the last version, rows": cells["history of the version served at the end, rows"],
    }


def _rows(page: str, head: str) -> dict[str, list[str]]:
    """The rows of the page's table whose header starts with `head`, by their first cell; the header is the first row."""
    lines = page.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {head} |" if head else "| |"))
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    return {cells[0]: cells for line in rows if (cells := [cell.strip() for cell in line.strip("|").split("|")])}
