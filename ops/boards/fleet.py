"""Fleet: which of many models are bad, at one false-alarm rate over all of them, most evidence first?"""

from __future__ import annotations

from typing import Final

from ops.boards import Board, Choice, Row
from ops.overview import COUNT_OF_BAD, STREAM, VERDICT
from ops.panels import BAD, GOOD, Column, Panel, Query, chart, linked_rows, listing, tile, timeline

CHOSEN: Final = 'driftloop_stream_info{stream=~"$stream",kpi=~"$kpi"}'
ALARM: Final = ((0, "no", GOOD), (1, "alarm", BAD))
ABOUT: Final = (
    "Evidence against the model in service, as a share of what an alarm takes: by the fleet's rule where the monitor has --fleet_alpha, else by the "
    "stream's own."
)


def _chosen(expr: str) -> str:
    """The largest value of each chosen stream."""
    return f"max by (stream) ({expr}) and on (stream) {CHOSEN}"


VERDICTS: Final = 'driftloop_drift{stream=~"$stream",kind="performance"}'
WITHOUT_FLEET: Final = "unless on (stream) driftloop_fleet_alarm"
OWN: Final = _chosen(VERDICTS)
FLEET: Final = _chosen(f"driftloop_fleet_alarm{STREAM}")
DECISION: Final = f"({FLEET}) or ({_chosen(f'{VERDICTS} {WITHOUT_FLEET}')})"
EVIDENCE: Final = f"({_chosen(f'driftloop_fleet_evidence{STREAM}')}) or ({_chosen(f'driftloop_drift_evidence{STREAM} {WITHOUT_FLEET}')})"


def board() -> Board:
    """The board of all streams together."""
    return Board(
        "fleet",
        "driftloop: fleet",
        "All streams by the evidence against them, and the alarms at one false-alarm rate over all of them.",
        (Choice("stream", "Stream", "driftloop_stream_info"), Choice("kpi", "KPI", "driftloop_stream_info")),
        (Row("How many are bad?", _counts()), Row("Which?", _table()), Row("Since when?", _history())),
        overview=False,
    )


def _counts() -> tuple[Panel, ...]:
    streams = Query(f"count(count by (stream) ({CHOSEN}))", "streams")
    rate = Query("max(driftloop_fleet_alpha)", "fleet alpha")
    return (
        tile("Streams", "Streams chosen above.", streams, width=6),
        tile("Fleet alpha", "Maximum probability that any stream without a change ever alarms, over all of them. unknown: no such rate.", rate, width=6),
        tile(
            "Alarms of the fleet",
            "Streams in alarm by the fleet's decision. The alert KpiBelowThreshold fires for these.",
            Query(f"sum({FLEET})", "alarms"),
            width=6,
            steps=COUNT_OF_BAD,
        ),
        tile("Alarms of own rules", "Streams in alarm by their own rule, each at its own alpha: some may be chance.", Query(f"sum({OWN})", "alarms"), width=6),
    )


def _table() -> tuple[Panel, ...]:
    table = listing(
        "Streams by evidence",
        f"{ABOUT} Own rule: the decision of the stream's rule at its own alpha. Margin: by how much the KPI is better than its threshold, as a share of "
        "the threshold.",
        (
            Column("Evidence", EVIDENCE, unit="percentunit", bar=True),
            Column("Fleet", FLEET, states=ALARM),
            Column("Own rule", OWN, states=ALARM),
            Column("Margin", _chosen(f"stream:driftloop_kpi_margin:ratio{STREAM}"), unit="percentunit"),
            Column("Label coverage", _chosen(f"driftloop_label_coverage{STREAM}"), unit="percentunit"),
        ),
        width=24,
        height=16,
    )
    return (linked_rows(table, {"Drift": "drift", "Model performance": "performance", "Data quality": "quality"}),)


def _history() -> tuple[Panel, ...]:
    return (
        chart("Evidence", ABOUT, Query(EVIDENCE, "{{stream}}"), unit="percentunit", limit=1),
        timeline(
            "Decision",
            "The fleet's decision where the monitor has --fleet_alpha, else that of the stream's own rule: what the alert KpiBelowThreshold follows.",
            Query(DECISION, "{{stream}}"),
            states=VERDICT,
            height=8,
        ),
    )
