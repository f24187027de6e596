"""The parts of the batch flow by themselves: the list of reports, links, the retrain that a window asks for, the monitor's link."""

from __future__ import annotations

import csv
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from batch_fixtures import hostile, taxi
from mongo_fixtures import needs_mongodb
from werkzeug.serving import make_server

from driftloop.errors import DataError, SettingsError
from monitoring import stream_settings
from monitoring.batch import measure_store, window_retrain
from monitoring.batch.report import evidently_report, index
from monitoring.log import report_links
from monitoring.log.prediction_log import PredictionLog
from monitoring.online.api import build_app
from monitoring.online.monitor import Monitor
from monitoring.retrain import commands
from monitoring.retrain.commands import Command
from monitoring.retrain.retrains import Retrains
from monitoring.retrain.webhook import build_app as build_hook
from monitoring.stream_settings import StreamConfig

APRIL, MAY = taxi(27), taxi(28)
BAD = replace(APRIL, verdict=replace(APRIL.verdict, drift=True, kpi_drift=True))


def test_the_list_of_reports_names_every_window_and_links_to_its_report() -> None:
    link = "http://127.0.0.1:5000/#/experiments/0/runs/a/artifacts/report.html"
    lines = list(csv.DictReader(index.table([APRIL, MAY], {APRIL.id: link}).splitlines()))
    assert [(line["window"], line["link"]) for line in lines] == [(APRIL.window.name, link), (MAY.window.name, "")]
    assert [float(line["kpi"]) for line in lines] == pytest.approx([APRIL.kpi.value, MAY.kpi.value], rel=1e-5)
    page = index.html("taxi", [APRIL, MAY], {APRIL.id: link})
    assert page.index(MAY.window.name) < page.index(APRIL.window.name)
    assert f'<a href="{link}">' in page


def test_no_name_and_no_address_breaks_the_list() -> None:
    bad = hostile()
    page = index.html(bad.stream, [bad], {bad.id: "javascript:alert(1)"})
    assert "<script>alert" not in page
    assert "javascript:" not in page
    assert index.table([replace(bad, verdict=replace(bad.verdict, sentence="=1+1"))], {}).count(",'=1+1,") == 1


@needs_mongodb
def test_the_newest_report_is_that_of_the_newest_rows_and_its_link_outlives_a_new_measure(log: PredictionLog) -> None:
    assert report_links.newest(log, "taxi") is None
    for measures in (MAY, APRIL):
        measure_store.write(log, measures)
        report_links.write(log, measures.id, f"http://127.0.0.1/{measures.window.name}")
    assert report_links.newest(log, "taxi") == f"http://127.0.0.1/{MAY.window.name}"
    measure_store.write(log, MAY)
    assert set(report_links.read(log, "taxi")) == {APRIL.id, MAY.id}


@pytest.mark.parametrize(
    ("found", "status", "said"), [("http://127.0.0.1:5000/#/x", 302, ""), (None, 404, "no_report"), ("javascript:alert(1)", 404, "no_report")]
)
def test_the_monitor_leads_from_an_alert_to_the_newest_report(found: str | None, status: int, said: str) -> None:
    client = build_app(Monitor(stream_settings.load()), newest_report={"taxi": found}.get).test_client()
    answer = client.get("/reports/taxi")
    assert answer.status_code == status
    assert answer.headers.get("Location") == (found if status == 302 else None)
    assert not said or answer.get_json()["error"]["code"] == said
    assert client.get("/reports/nobody").get_json()["error"]["code"] == "unknown_stream"


@pytest.mark.parametrize(
    ("measures", "others", "why"),
    [
        (BAD, (), ""),
        (BAD, (BAD,), ""),
        (BAD, (BAD, MAY), "newer rows"),
        (replace(BAD, verdict=replace(BAD.verdict, kpi_drift=False)), (), "worse than its threshold is not proven"),
    ],
)
def test_a_retrain_is_wanted_when_the_kpi_of_the_newest_window_has_drifted(measures, others, why: str) -> None:  # type: ignore[no-untyped-def]
    assert why in window_retrain.wanted(measures, others)
    assert bool(why) == bool(window_retrain.wanted(measures, others))


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StreamConfig:
    """Taxi, with a script in the place of the retrain's that notes what it was given."""
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    (tmp_path / "retrain_model.py").write_text(
        f"import json, sys\nopen({str(tmp_path / 'noted.txt')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        "print(json.dumps({'promoted': True, 'decision': 'better', 'version': '9'}))\n"
    )
    return stream_settings.load()["taxi"]


def test_a_window_and_its_verdict_start_one_retrain_on_the_rows_before_its_end(tmp_path: Path, stream: StreamConfig) -> None:
    for _ in range(2):
        one = window_retrain.run_here(BAD, stream, folder=tmp_path / "retrains", torchserve_url="", timeout_s=120)
        assert (one.state, one.version, one.until_time) == ("promoted", "9", BAD.window.stop)
    (line,) = (tmp_path / "noted.txt").read_text().splitlines()
    assert line.startswith("--learner examples.nyc_taxi.learner:TAXI ") and f"--until_time {BAD.window.stop}" in line
    other = replace(BAD, verdict=replace(BAD.verdict, kind="concept"))
    assert window_retrain.alert_of(other).key != window_retrain.alert_of(BAD).key


def test_a_window_of_a_model_served_elsewhere_starts_its_own_command(tmp_path: Path, stream: StreamConfig) -> None:
    script = "import os; print(os.environ['DRIFTLOOP_REASON'], os.getcwd()); print('{\"version\": 4}')"
    own = replace(stream, served="elsewhere", retrain=(sys.executable, "-c", script), folder=str(tmp_path))
    one = window_retrain.run_here(BAD, own, folder=tmp_path / "retrains", torchserve_url="", timeout_s=120)
    assert (one.state, one.version, one.until_time) == ("retrained", "4", BAD.window.stop)
    assert Path(one.log).read_text().splitlines()[0] == f"BatchDrift {tmp_path}"


def test_a_hook_takes_what_a_window_asks_of_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import json; print(json.dumps({'promoted': False, 'decision': 'no better', 'version': '1'}))"]
    retrains = Retrains(tmp_path / "hook", command=lambda *_: Command(command), until=lambda _: "2020-05-01T00:00:00.000Z", cool_down_s=0)
    server = make_server("127.0.0.1", 0, build_hook(retrains, ["taxi"]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        told = [window_retrain.ask_hook(BAD, f"http://127.0.0.1:{server.port}") for _ in range(2)]
    finally:
        server.shutdown()
        retrains.close()
    assert told[0]["key"] == told[1]["key"] == window_retrain.alert_of(BAD).key


def test_a_hook_that_is_away_is_told() -> None:
    with pytest.raises(window_retrain.HookAwayError, match="no retrain hook answers"):
        window_retrain.ask_hook(BAD, "http://127.0.0.1:1")


def test_evidently_that_is_absent_is_told_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="requirements-evidently"):
        evidently_report.check()


def test_evidently_has_nothing_to_compare_without_rows() -> None:
    with pytest.raises(DataError, match="no rows of a model"):
        evidently_report.html(None, stream_settings.load()["taxi"], replace(APRIL, versions=()), references=None)  # type: ignore[arg-type]
