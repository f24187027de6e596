"""Lists streams by the evidence against them, as values and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from driftloop.system.json_values import plain


@dataclass(frozen=True)
class FleetRow:
    """One stream: figures of the version in service. nan, None or "" where unknown."""

    stream: str
    model: str
    version: str
    kpi: str
    value: float
    lower: float  # of its 95 % interval
    upper: float
    rows: int  # that it was measured on
    threshold: float
    unit: str
    blocks: int  # judged
    last_block: str  # time of the newest judged block's last row
    evidence: float  # share of what an alarm takes, by the rule that decides: the fleet's, else the stream's own
    e_value: float
    alarm_at: float
    p_value: float  # anytime-valid, of this stream alone
    verdict: str  # words of the stream's own verdict
    alpha: float  # of the stream's own rule
    alarmed: bool  # by its own rule
    alarmed_in_fleet: bool | None  # None without a rate over all streams

    def as_json(self) -> dict[str, Any]:
        """JSON values; undefined figures are null."""
        kpi = {"name": self.kpi, "value": self.value, "lower": self.lower, "upper": self.upper, "rows": self.rows, "threshold": self.threshold}
        values = {
            **{name: getattr(self, name) for name in ("stream", "model", "version")},
            "kpi": {**kpi, "unit": self.unit},
            **{name: getattr(self, name) for name in ("blocks", "last_block", "evidence", "e_value", "alarm_at", "p_value", "verdict")},
            "alarmed": {"stream": self.alarmed, "fleet": self.alarmed_in_fleet},
        }
        made: dict[str, Any] = plain(values)
        return made


@dataclass(frozen=True)
class FleetPage:
    """One page of the list, and the figures of all of it."""

    fleet_alpha: float | None
    streams: int
    alarmed: int  # by their own rules
    alarmed_in_fleet: int | None
    allowed: float  # false alarms that the streams' own rates allow in all first versions together
    page: int  # from 1
    pages: int  # at least 1
    rows: Sequence[FleetRow]

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "fleet_alpha": self.fleet_alpha,
            "streams": self.streams,
            "alarmed": {"stream": self.alarmed, "fleet": self.alarmed_in_fleet},
            "allowed_false_alarms": self.allowed,
            "page": self.page,
            "pages": self.pages,
            "rows": [row.as_json() for row in self.rows],
        }


def ranked(rows: Iterable[FleetRow]) -> list[FleetRow]:
    """The streams, most evidence first; those without evidence last, by name."""
    return sorted(rows, key=lambda row: (-_weight(row), row.stream))


def _weight(row: FleetRow) -> float:
    """The evidence; at least 1 in an alarm, also on probation, where no evidence is counted."""
    known = row.evidence if row.evidence >= 0 else -1.0  # nan
    decided = row.alarmed if row.alarmed_in_fleet is None else row.alarmed_in_fleet
    return max(known, 1.0) if decided else known


def page_of(rows: Iterable[FleetRow], *, fleet_alpha: float | None, page: int, per_page: int) -> FleetPage:
    """A page of the ranked streams.

    Args:
        rows: all streams.
        fleet_alpha: the rate over all of them; None without one.
        page: from 1; beyond the last there are no rows.
        per_page: at least 1.
    """
    found = ranked(rows)
    return FleetPage(
        fleet_alpha=fleet_alpha,
        streams=len(found),
        alarmed=sum(row.alarmed for row in found),
        alarmed_in_fleet=None if fleet_alpha is None else sum(bool(row.alarmed_in_fleet) for row in found),
        allowed=round(sum(row.alpha for row in found), 6),
        page=page,
        pages=max(1, -(-len(found) // per_page)),
        rows=found[(page - 1) * per_page : page * per_page],
    )
