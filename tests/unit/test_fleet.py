"""One false-alarm rate over all streams of the monitor: its parts, its alarms, what resets them, and the list by evidence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from monitor_records import ELEC, labelled
from monitor_sample import feed

from driftloop.errors import SettingsError
from monitoring import stream_settings
from monitoring.fleet import ranking, shared_alpha
from monitoring.online.monitor import Monitor
from monitoring.stream_settings import StreamConfig

BLOCK = ELEC.block_size


def fleet_of(streams: int, *, fleet_alpha: float | None, **changed: Any) -> Monitor:
    """Monitors elec, and copies of it that get no records."""
    names = ["elec", *(f"other_{number}" for number in range(streams - 1))]
    return Monitor({name: replace(ELEC, name=name, **changed) for name in names}, fleet_alpha=fleet_alpha)


def row_of(made: Monitor, stream: str = "elec") -> ranking.FleetRow:
    return made.watchers[stream].known().fleet_row


def blocks_until(made: Monitor, alarmed: str, records: list[dict[str, Any]]) -> int:
    """Blocks after which elec has alarmed, by its own rule or by the fleet."""
    for block in range(len(records) // (2 * BLOCK)):
        made.ingest("elec", records[2 * BLOCK * block : 2 * BLOCK * (block + 1)])
        if getattr(row_of(made), alarmed):
            return block + 1
    raise AssertionError("no alarm")


# the rate


@pytest.mark.parametrize("fleet_alpha", [0, 1, -0.1, 1.5, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused(fleet_alpha: float) -> None:
    with pytest.raises(SettingsError, match="--fleet_alpha"):
        shared_alpha.each(fleet_alpha, 3)


def test_a_rate_that_leaves_too_little_for_each_stream_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"over 100 streams leaves 1e-10 each: give at least 1e-07"):
        shared_alpha.each(1e-8, 100)


def test_the_parts_add_up_to_the_rate_and_without_a_rate_nothing_changes() -> None:
    streams = stream_settings.load()
    assert sum(config.shared_alpha or 0 for config in shared_alpha.shared(streams, 0.05).values()) == pytest.approx(0.05)
    assert shared_alpha.shared(streams, None) == streams
    assert shared_alpha.shared({}, 0.05) == {}


def test_a_streams_file_cannot_set_the_part_of_a_stream(tmp_path: Any) -> None:
    path = tmp_path / "streams.yaml"
    path.write_text(stream_settings.BUNDLED.read_text().replace("  alpha: 0.05\n", "  alpha: 0.05\n  shared_alpha: 0.5\n"))
    with pytest.raises(SettingsError, match="unknown setting shared_alpha"):
        stream_settings.load(path)


# the alarms


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
def test_a_fleet_of_one_is_the_streams_own_rule_at_that_rate(alpha: float) -> None:
    records = labelled(range(25 * BLOCK), share_right=0.85) + labelled(range(25 * BLOCK, 40 * BLOCK), share_right=0.4, seed=2)
    records += labelled(range(40 * BLOCK, 130 * BLOCK), share_right=0.99, seed=3)  # proves that it is good: the alarm ends
    alone, fleet = fleet_of(1, fleet_alpha=None, alpha=alpha), fleet_of(1, fleet_alpha=alpha)
    alarms = []
    for start in range(0, len(records), 2 * BLOCK):
        for made in (alone, fleet):
            made.ingest("elec", records[start : start + 2 * BLOCK])
        own, found = row_of(alone), row_of(fleet)
        assert found.alarmed_in_fleet == own.alarmed
        if not own.alarmed and not math.isnan(own.e_value):
            assert (found.e_value, found.alarm_at, found.p_value) == (own.e_value, own.alarm_at, own.p_value)
        alarms.append(own.alarmed)
    assert (alarms[0], any(alarms), alarms[-1]) == (False, True, False)


def test_among_many_streams_an_alarm_takes_more_and_the_streams_own_decision_stays_visible() -> None:
    records = labelled(range(60 * BLOCK), share_right=0.68)
    own, found = blocks_until(fleet_of(50, fleet_alpha=0.05), "alarmed", records), blocks_until(fleet_of(50, fleet_alpha=0.05), "alarmed_in_fleet", records)
    assert own < found
    made = fleet_of(50, fleet_alpha=0.05)
    feed(made, records[: 2 * BLOCK * own])
    state, row = made.watchers["elec"].known().as_json(), row_of(made)
    assert (row.alarmed, row.alarmed_in_fleet, row.alarm_at) == (True, False, pytest.approx(1000))
    assert (state["kinds"]["performance"], state["fleet"]["alarmed"]) == (True, False)
    feed(made, records[2 * BLOCK * own : 2 * BLOCK * found])
    row = row_of(made)
    assert (row.alarmed, row.alarmed_in_fleet) == (True, True)
    assert row.evidence >= 1 and row.p_value <= 0.001


def test_the_alert_reads_the_fleets_decision_from_the_first_moment_and_nothing_without_a_fleet() -> None:
    def series(made: Monitor) -> list[str]:
        return [line for line in made.metrics.text().decode().splitlines() if line.startswith("driftloop_fleet")]

    assert series(fleet_of(2, fleet_alpha=0.05)) == [
        "driftloop_fleet_alpha 0.05",
        'driftloop_fleet_alarm{stream="elec"} 0.0',
        'driftloop_fleet_alarm{stream="other_0"} 0.0',
    ]
    made = fleet_of(1, fleet_alpha=0.05)
    feed(made, labelled(range(20 * BLOCK), share_right=0.4))
    assert 'driftloop_fleet_alarm{stream="elec"} 1.0' in series(made)
    assert any(line.startswith("driftloop_fleet_evidence") for line in series(made))
    plain = fleet_of(2, fleet_alpha=None)
    feed(plain, labelled(range(20 * BLOCK), share_right=0.4))
    assert series(plain) == []


def test_the_version_after_an_alarm_starts_without_evidence_and_a_bad_block_of_it_is_no_alarm() -> None:
    made = fleet_of(2, fleet_alpha=0.05)
    feed(made, labelled(range(20 * BLOCK), share_right=0.4))
    assert row_of(made).alarmed_in_fleet
    feed(made, labelled(range(20 * BLOCK, 21 * BLOCK), share_right=0.7, version="2"))
    row = row_of(made)
    assert (row.version, row.alarmed, row.alarmed_in_fleet) == ("2", True, False)  # its own rule has put it on probation
    assert row.evidence < 0.1
    feed(made, labelled(range(21 * BLOCK, 50 * BLOCK), share_right=0.4, version="2"))
    assert row_of(made).alarmed_in_fleet


def test_the_fleet_judges_every_kpi() -> None:
    taxi = stream_settings.load()["taxi"]
    settings: dict[str, StreamConfig] = {
        "f1": replace(ELEC, name="f1", kpi="f1", shares=(0.5, 0.5)),
        "brier": replace(ELEC, name="brier", kpi="brier", threshold=0.3),
        "taxi": taxi,
    }
    made = Monitor(settings, fleet_alpha=0.05)
    records = labelled(range(40 * BLOCK), share_right=0.3)
    for start in range(0, len(records), 2 * BLOCK):
        for name in ("f1", "brier"):
            made.ingest(name, [{**record, "stream": name} for record in records[start : start + 2 * BLOCK]])
    row = row_of(made, "f1")
    assert row.evidence > 0 and row.alarm_at == pytest.approx(60)
    assert row_of(made, "brier").alarmed_in_fleet
    assert math.isnan(row_of(made, "taxi").evidence) and row_of(made, "taxi").alarmed_in_fleet is False


def test_hundred_streams_at_their_threshold_raise_no_alarm_of_the_fleet() -> None:
    """A sample of benchmarks/fleet.md."""
    part = shared_alpha.each(0.05, 100)
    scoring = Monitor({"elec": replace(ELEC, shared_alpha=part)}).watchers["elec"].intake.scoring
    for stream in range(100):
        evidence, rng = scoring.fleet_evidence(), np.random.default_rng(stream)
        assert evidence is not None
        for _ in range(12):
            evidence.update(rng.random(BLOCK) < 1 - ELEC.threshold)
        assert not evidence.state.alarmed


# the list


def row(name: str, evidence: float, *, alarmed: bool = False, fleet: bool | None = None) -> ranking.FleetRow:
    made = row_of(fleet_of(1, fleet_alpha=None))
    return replace(made, stream=name, evidence=evidence, alarmed=alarmed, alarmed_in_fleet=fleet)


def names(rows: list[ranking.FleetRow]) -> list[str]:
    return [one.stream for one in ranking.ranked(rows)]


def test_streams_are_ordered_by_evidence_alarms_first_unknown_last_and_names_decide() -> None:
    rows = [row("d", math.nan), row("b", 0.5), row("a", 0.5), row("c", math.nan), row("e", 0.0), row("f", 3.0)]
    assert names(rows) == ["f", "a", "b", "e", "c", "d"]
    assert names([row("a", 0.9), row("b", math.nan, alarmed=True)]) == ["b", "a"]  # on probation no evidence is counted
    assert names([row("a", 0.9, fleet=False), row("b", math.nan, alarmed=True, fleet=False), row("c", 1.0, fleet=True)]) == ["c", "a", "b"]


@pytest.mark.parametrize(("streams", "per_page", "sizes"), [(0, 50, [0]), (1, 50, [1]), (4, 2, [2, 2]), (5, 2, [2, 2, 1])])
def test_the_pages_joined_are_the_list(streams: int, per_page: int, sizes: list[int]) -> None:
    rows = [row(f"s{number}", number / 10) for number in range(streams)]
    pages = [ranking.page_of(rows, fleet_alpha=None, page=number + 1, per_page=per_page) for number in range(len(sizes))]
    assert [len(page.rows) for page in pages] == sizes
    assert {page.pages for page in pages} == {len(sizes)}
    assert [one.stream for page in pages for one in page.rows] == names(rows)
