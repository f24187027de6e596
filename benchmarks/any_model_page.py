"""The section of `benchmarks.any_model` on NannyML and Evidently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks import distances, estimate, full_tables, script
from benchmarks.any_model_peers import CELL, EVIDENTLY, LOGGED, NANNYML, OURS, OnTable
from driftloop.report import wording

REPORT_S, CELL_S, ROWS = 10.0, 5.0, 100_000  # the targets, for so many rows
NAMES: Final = {
    OURS: "`driftloop.watch(file).report(…)`",
    LOGGED: "`watch_table.py --report`, logged to MLflow",
    CELL: "`driftloop.watch(frame)` and its HTML in a notebook's cell",
    NANNYML: "NannyML",
    EVIDENTLY: "Evidently",
}


def section(found: Sequence[OnTable], *, rounds: int) -> str:
    """The section as Markdown."""
    pins = sorted({*estimate.PINS, *distances.PINS})
    return script.section(
        "Beside NannyML and Evidently",
        f"NannyML's public quick-start tables with NannyML's own predictions, {full_tables.rows_used({one.name: one.rows for one in found})}. Everything "
        f"ran in the same run on the same machine, NannyML and Evidently in their own environments: {', '.join(pins)}.",
        script.bullets(
            [
                "*ours*: the defaults, no threshold; blocks of a hundredth of the rows to judge, at most 1,000.",
                "*NannyML*: the realised KPI, its estimate without labels (CBPE, of a regression DLE) and the univariate drift of all inputs, with the "
                "defaults: 10 chunks, and alerts in both directions. Its three figures are written to one HTML file.",
                "*Evidently*: DataDriftPreset and ClassificationPreset or RegressionPreset with their tests, both periods as a whole.",
            ]
        ),
        "### Time and memory",
        f"Seconds from the start of the process to the end of the HTML report, the best of {wording.count(rounds, 'round')}; of the notebook's cell without "
        "the imports of pandas and driftloop and the reading of the file. Peak of the process's resident memory.",
        script.table("table | rows: | tool | seconds: | MiB:", (_cost(one, tool) for one in found for tool in NAMES)),
        f"The first log to MLflow also makes its store: {', '.join(f'{one.first_log_s:.1f} s ({one.name})' for one in found)}.",
        behind(found),
        f"Targets, for {ROWS:,} rows:",
        script.targets(targets(found)),
        "### What each says",
        "Reference period: its older half is the reference, its newer half is judged. Nothing is known to change there: an alarm is a false one. Analysis: "
        "the whole reference period, and NannyML's analysis period. An alarm is dated by the end of its block or chunk, when it can first be seen.",
        script.table("table | tool | reference period | analysis period", (row for one in found for row in says(one))),
        script.bullets(map(truth, found)),
    )


def targets(found: Sequence[OnTable]) -> list[tuple[str, bool]]:
    """Each target in words, and whether it is met on every table."""
    slowest = {tool: max(one.runs[tool].seconds for one in found) for tool in (OURS, LOGGED, CELL)}
    noisy = [one.name for one in found if one.reference[OURS]["alarms"]]
    return [
        (f"from the shell to the report in at most {REPORT_S:.0f} s: at most {slowest[OURS]:.1f} s", slowest[OURS] <= REPORT_S),
        (f"the same, logged to MLflow: at most {slowest[LOGGED]:.1f} s", slowest[LOGGED] <= REPORT_S),
        (f"a notebook's cell in at most {CELL_S:.0f} s: at most {slowest[CELL]:.1f} s", slowest[CELL] <= CELL_S),
        (f"no alarm in the reference period{': ' + ', '.join(noisy) if noisy else ''}", not noisy),
    ]


def behind(found: Sequence[OnTable]) -> str:
    """Where the report of ours takes longer, or more memory, than a peer's; "" where it never does."""
    words = []
    for peer in (NANNYML, EVIDENTLY):
        pairs = [(one.name, one.runs[OURS], one.runs[peer]) for one in found]
        slower = [f"{name} ({ours.seconds:.1f} against {theirs.seconds:.1f} s)" for name, ours, theirs in pairs if ours.seconds > theirs.seconds]
        larger = [f"{name} ({ours.mib:.0f} against {theirs.mib:.0f} MiB)" for name, ours, theirs in pairs if ours.mib > theirs.mib]
        words += [f"slower than {peer} on {', '.join(slower)}"] * bool(slower) + [f"more memory than {peer} on {', '.join(larger)}"] * bool(larger)
    return f"Where ours is behind, without MLflow: {'; '.join(words)}." if words else ""


def says(one: OnTable) -> list[list[str]]:
    """The lines of a table: what each tool says of both periods."""
    words = {OURS: _ours, NANNYML: _nannyml, EVIDENTLY: _evidently}
    return [[one.name, tool, *(word(said, one.inputs) for said in (one.reference[tool], one.runs[tool].said))] for tool, word in words.items()]


def truth(one: OnTable) -> str:
    """What the KPI did, which the reader needs to weigh the alarms."""
    said = one.runs[OURS].said
    return f"{one.name}: the {said['kpi']} was {said['before']:.4g} in the reference period and {said['after']:.4g} in the analysis, {said['change']}."


def _cost(one: OnTable, tool: str) -> list[str]:
    run = one.runs[tool]
    return [one.name, f"{one.rows:,}", NAMES[tool], f"{run.seconds:.1f}", f"{run.mib:.0f}"]


def _ours(said: Mapping[str, Any], _: int) -> str:
    if not said["alarms"]:
        return f"no alarm in {said['blocks']} blocks"
    return f"{said['alarms']} of {said['blocks']} blocks, the first until {said['first']}; kind: {said['kind']}"


def _nannyml(said: Mapping[str, Any], inputs: int) -> str:
    alerts = [f"{name} KPI: {_chunks(said[key])}" for key, name in (("realised", "realised"), ("estimated", "estimated"))]
    moved = said["drifted"]
    chunks = ", ".join(f"{name} {count}" for name, count in moved.items())
    return "; ".join([*alerts, f"inputs: {len(moved)} of {inputs} with alerts{f' (chunks: {chunks})' if moved else ''}"])


def _chunks(found: Mapping[str, Any]) -> str:
    return f"{found['alarms']} of {found['chunks']} chunks, the first until {found['first']}" if found["alarms"] else f"no alert in {found['chunks']} chunks"


def _evidently(said: Mapping[str, Any], inputs: int) -> str:
    moved = f"inputs drifted: {len(said['drifted'])} of {inputs}{' (' + ', '.join(said['drifted']) + ')' if said['drifted'] else ''}"
    failed = f"failed tests of the predictions: {', '.join(said['scores']) or 'none'}"
    kpi = f"test {said['kpi']}" if said["kpi"] else "no test of the KPI"
    return f"{kpi}; {failed}; {moved}; data set drift: {'yes' if said['whole'] else 'no'}"
