"""Every query of every board (panels, variables, annotations) gives data in a real Prometheus that reads what our exporters export, with our rules.

Two streams are bundled, one of an accuracy and one of minutes; three more have other units. Drift, a failed retrain and a change of the version are on record.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from board_fixtures import Asked, asked, panels

from driftloop.drift.estimate.confidence import Estimate
from driftloop.drift.forecast.crossing import Forecast
from driftloop.drift.inputs.distribution import FeatureTest
from driftloop.metrics.kpi_names import KPIS
from driftloop.settings import ROOT
from driftloop.system.ports import free_ports
from driftloop.system.processes import Server
from monitoring import stream_settings
from monitoring.fleet.evidence import FleetState
from monitoring.local.parts import prometheus_config
from monitoring.online.gaps import Gap
from monitoring.online.judging import Figure
from monitoring.online.label_progress import LabelCounts
from monitoring.online.segments.served_segments import SegmentKnown
from monitoring.online.state import Known
from monitoring.prometheus import HookMetrics, MonitorMetrics, Sample, ServiceMetrics
from monitoring.records import events
from monitoring.retrain.commands import Command
from monitoring.retrain.retrains import Retrain, Retrains

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed: apt-get install prometheus")

STREAMS = stream_settings.load()
RULES = [rule for group in yaml.safe_load((ROOT / "ops" / "prometheus" / "rules" / "recording.yml").read_text())["groups"] for rule in group["rules"]]
OF_UNIT = {unit: replace(STREAMS["taxi"], name=f"of_{number}", unit=unit) for number, unit in enumerate(("kWh", "boxes", "Seconds", ""))}
OF_KPI = {
    "of_brier": (replace(STREAMS["elec"], name="of_brier", kpi="brier", threshold=3.5), "short", (3.5 - 3.0) / 3.5),
    "of_cost": (replace(STREAMS["elec"], name="of_cost", kpi="cost", cost="1:0=5", threshold=3.5, unit="EUR"), "currencyEUR", (3.5 - 3.0) / 3.5),
    "of_f1": (replace(STREAMS["elec"], name="of_f1", kpi="f1", shares=(0.5, 0.5)), "short", (0.7 - 0.8) / 0.8),
    "of_rmse": (replace(STREAMS["taxi"], name="of_rmse", kpi="rmse"), "m", (3.5 - 3.0) / 3.5),
}
PATIENCE_S = 60.0


def known(stream: stream_settings.StreamConfig, *, drifts: bool) -> Known:
    """What the monitor may know of a stream: a classification has an estimate, and its forecast is not in sight."""
    accuracy = stream.higher_is_better
    return Known(
        config=replace(stream, shared_alpha=0.01),
        version="2",
        champion="2",
        drift=dict.fromkeys(("performance", "data", "concept", "both", "quality"), drifts),
        verdict=None,
        told=None,
        evidence=1.0 if drifts else 0.1,
        note="",
        kpi=Figure(0.7, 0.6, 0.8, 48) if accuracy else Figure(3.0, 2.9, 3.1, 500),
        baselines={"no_change": Figure(0.6, 0.5, 0.7, 48), "fallback": Figure(0.65, 0.5, 0.8, 48)},
        blocks=3,
        newest_labelled="",
        coverage=0.8,
        estimate=Estimate(0.75, 0.03, trustworthy=True, message="") if stream.kpi == "accuracy" else None,
        forecast=Forecast(math.inf, math.inf, math.inf, 0.8, "trend", "") if accuracy else Forecast(1, 2, 4, 0.8, "trend", ""),
        features=tuple(FeatureTest(name, "ks", 0.1 * place, 0.01, 0.05, place > 2, "") for place, name in enumerate(stream.feature_names)),
        gaps=tuple(Gap(name, 0.02 * place, 0.01 * place) for place, name in enumerate(stream.feature_names)),
        invalid=Figure(0.02, 0.01, 0.03, 100),
        last={kind: events.now() for kind in ("prediction", "label", "rejected")},
        fleet=FleetState(drifts, 120.0 if drifts else 0.5, 100.0, 1 / 120),
        labels=LabelCounts(3600.0, early=20, late=3, corrected=1),
        segments=(SegmentKnown("fuel=gas", 300, 0.6, 0.8, 50.0, 0.02, drifts, "2024-01-30T00:00:00.000Z" if drifts else ""),),
    )


def service_under_traffic() -> Callable[[], bytes]:
    """The prediction service's metrics; some more of everything is counted whenever they are read."""
    metrics = ServiceMetrics()

    def read() -> bytes:
        for status in ("200", "503"):
            metrics.requests.labels("/predict", status).inc()
        metrics.request_seconds.labels("/predict").observe(0.02)
        for stream in STREAMS:
            metrics.model_up.labels(stream).set(1)
            metrics.predictions.labels(stream, "2", "model").inc(20)
            metrics.predictions.labels(stream, "2", "fallback").inc()
            metrics.rows_without_context.labels(stream, "2").inc()
            metrics.rejected_rows.labels(stream, "out_of_range").inc()
            metrics.unseen_values.labels(stream, "zone").inc()
            metrics.resolve_failures.labels(stream).inc()
        for consumer in ("mongodb", "monitor"):
            metrics.spool_records.labels(consumer).set(3)
            metrics.spool_oldest_seconds.labels(consumer).set(1.5)
        metrics.spool_bytes.set(4096)
        return metrics.text()

    return read


def monitor_under_traffic() -> Callable[[], bytes]:
    """The monitor's metrics: of elec, which drifts, of taxi, which is fine, and of the streams of other units."""
    everything = [known(stream, drifts=name == "elec") for name, stream in STREAMS.items()]
    everything += [known(stream, drifts=False) for stream in (*OF_UNIT.values(), *(stream for stream, _, _ in OF_KPI.values()))]
    metrics = MonitorMetrics(lambda: [Sample("driftloop_fleet_alpha", (), 0.05), *(sample for one in everything for sample in one.samples())])

    def read() -> bytes:
        for stream in STREAMS:
            for kind in ("prediction", "label", "rejected"):
                metrics.records.labels(stream, kind).inc(10)
            metrics.latency_seconds.labels(stream).observe(0.01)
            metrics.blocks.labels(stream).inc()
        return metrics.text()

    return read


def hook_after_retrains(folder: Path) -> Callable[[], bytes]:
    """The retrain hook's metrics after two retrains, as it reads them from its folder when it starts."""
    began, ended = events.now(), events.now()
    (folder / "retrains.json").write_text(
        json.dumps(
            [
                asdict(Retrain(f"key-{stream}", "KpiBelowThreshold", stream, began, began, state, ended_at=ended))
                for stream, state in (("elec", "failed"), ("taxi", "promoted"))
            ]
        )
    )
    retrains = Retrains(folder, command=lambda *_: Command(()), until=lambda _: "", cool_down_s=0)
    retrains.close()
    return HookMetrics(retrains.samples).text


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that reads our exporters."""

    url: str

    def get(self, path: str, **query: Any) -> Any:
        response = requests.get(f"{self.url}/api/v1/{path}", params=query, timeout=10)
        assert response.ok, response.text
        return response.json()["data"]

    def series(self, expr: str, *, instant: bool) -> list[dict[str, str]]:
        """Labels of the series that the expression gives, now or in the last minute, leaving out those without a number that can be drawn."""
        now = time.time()
        answer = self.get("query", query=expr, time=now) if instant else self.get("query_range", query=expr, start=now - 60, end=now, step=1)
        return [one["metric"] for one in answer["result"] if any(math.isfinite(float(value)) for _, value in one.get("values", [one.get("value")]))]

    def found(self, one: Asked, *, stream: str) -> list[Any]:
        """What a query of a board gives: values of a variable, else labels of series."""
        if one.part != "variable":
            return self.series(one.of(stream), instant=one.instant)
        metric, _, label = one.of(stream).removeprefix("label_values(").removesuffix(")").rpartition(", ")
        return list(self.get(f"label/{label}/values", **{"match[]": metric}))


def serve(read: Callable[[], bytes]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = read()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def write_history(folder: Path, *, until: float) -> None:
    """Version 1 answered for half an hour, until five minutes ago: Prometheus shows the last value of a series for that long."""
    lines = [
        f'driftloop_model_version{{instance="before",job="monitor",stream="{stream}",version="1"}} 1 {moment}'
        for stream in STREAMS
        for moment in range(int(until) - 1860, int(until) - 310, 15)
    ]
    text = "\n".join(["# TYPE driftloop_model_version gauge", *lines, "# EOF", ""])
    (folder / "history").write_text(text)
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "history"), str(folder / "data")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    write_history(folder, until=time.time())
    exporters = {"prediction_service": service_under_traffic(), "monitor": monitor_under_traffic(), "retrain_hook": hook_after_retrains(folder)}
    servers = {job: serve(read) for job, read in exporters.items()}
    targets = {job: f"127.0.0.1:{server.server_port}" for job, server in servers.items()}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(prometheus_config(targets, alertmanager="", scrape_s=1)))
    (port,) = free_ports()
    flags = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    one = Prometheus(f"http://127.0.0.1:{port}")
    try:
        with Server(["prometheus", *flags], log=folder / "log"):
            until(lambda: firing(one), f"Prometheus to scrape and to judge: see {folder / 'log'}")
            yield one
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()


def firing(one: Prometheus) -> bool:
    """Whether rates, recorded rules and alerts are there by now."""
    try:
        return bool(one.series("route:driftloop_request_seconds:p99_5m and on () ALERTS", instant=True))
    except requests.ConnectionError:
        return False


def until(found: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.2)
    return value


@pytest.mark.parametrize("one", asked(), ids=str)
def test_a_query_gives_data(prometheus: Prometheus, one: Asked) -> None:
    assert until(lambda: prometheus.found(one, stream=".*"), f"data of {one.of('.*')}")


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("one", [one for one in asked() if one.each_stream], ids=str)
def test_a_query_of_a_repeated_row_gives_data_of_each_stream(prometheus: Prometheus, one: Asked, stream: str) -> None:
    found = prometheus.found(one, stream=stream)
    assert found
    assert {labels["stream"] for labels in found if "stream" in labels} <= {stream}


def test_a_row_of_one_stream_shows_its_kpi_in_its_own_unit(prometheus: Prometheus) -> None:
    (expr,) = {one.expr for one in asked() if one.ref == "unit"}
    names = {"kWh": "kwatth", "boxes": "suffix: boxes", "Seconds": "s", "": "short"}
    wanted = {"elec": "percentunit", "taxi": "m"} | {OF_UNIT[unit].name: name for unit, name in names.items()}
    wanted |= {name: unit for name, (_, unit, _) in OF_KPI.items()}
    for stream, unit in wanted.items():
        assert prometheus.series(expr.replace("$stream", stream), instant=True) == [{"unit": unit}]


def test_a_panel_without_a_unit_of_the_stream_never_draws_kpis_of_two_units(prometheus: Prometheus) -> None:
    in_kpi_units = (
        "driftloop_kpi{",
        "driftloop_kpi_lower",
        "driftloop_kpi_upper",
        "driftloop_kpi_threshold{",
        "driftloop_kpi_baseline",
        "driftloop_kpi_estimate",
    )
    seen = 0
    for one in asked():
        if one.part != "panel" or one.each_stream or not any(name in one.expr for name in in_kpi_units):
            continue
        seen += 1
        streams = {labels["stream"] for labels in prometheus.found(one, stream=".*")}
        assert streams == {"elec"}, f"{one}: of classification only, whose unit is that of the panel"
    assert seen
    for panel, repeated in (found for board in ("performance", "drift", "quality", "service") for found in panels(board)):
        draws = any(name in target["expr"] for target in panel["targets"] for name in in_kpi_units[:5])
        assert not (draws and repeated) or panel["targets"][-1]["refId"] == "unit"


def test_a_margin_below_zero_is_worse_than_the_threshold_for_an_accuracy_and_for_an_error(prometheus: Prometheus) -> None:
    def margin(stream: str) -> float:
        (sample,) = prometheus.get("query", query=f'stream:driftloop_kpi_margin:ratio{{stream="{stream}"}}')["result"]
        return float(sample["value"][1])

    assert margin("elec") == pytest.approx((0.7 - 0.8) / 0.8)
    assert margin("taxi") == pytest.approx((3.5 - 3.0) / 3.5)
    for name, (_, _, ahead) in OF_KPI.items():
        assert margin(name) == pytest.approx(ahead), name


def test_the_rule_of_the_margin_knows_which_kpis_are_better_when_higher() -> None:
    (rule,) = [one for one in RULES if one["record"] == "stream:driftloop_kpi_margin:ratio"]
    higher = "|".join(name for name, kpi in KPIS.items() if kpi.higher)
    assert rule["expr"].count(f'{{kpi=~"{higher}"}}') == rule["expr"].count(f'{{kpi!~"{higher}"}}') == 1


def test_the_promotion_is_marked_once_a_stream_and_names_the_new_version(prometheus: Prometheus) -> None:
    (expr,) = {one.of(".*") for one in asked() if one.title == "Promotions"}
    assert {(labels["stream"], labels["version"]) for labels in prometheus.series(expr, instant=False)} == {("elec", "2"), ("taxi", "2")}


def test_the_board_of_the_fleet_orders_streams_by_evidence_and_names_the_alarm_of_the_fleet(prometheus: Prometheus) -> None:
    by_column = {one.ref: one.of(".*") for one in asked() if (one.board, one.title) == ("fleet", "Streams by evidence")}

    def values(ref: str) -> dict[str, float]:
        found = prometheus.get("query", query=by_column[ref])["result"]
        return {sample["metric"]["stream"]: float(sample["value"][1]) for sample in found}

    evidence, alarms = values("A"), values("B")
    assert set(evidence) == set(alarms) >= {"elec", "taxi", *OF_KPI}
    assert (evidence["elec"], max(value for name, value in evidence.items() if name != "elec")) == (1.2, 0.005)
    assert [name for name, alarm in alarms.items() if alarm] == ["elec"]
