"""Every record reaches MongoDB and the monitor, once, whichever of the three is unreachable, slow or killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mongo_fixtures import START, Mongo, label, needs_mongodb, prediction, rejected, wait_for

from driftloop.errors import SettingsError
from driftloop.settings import ROOT
from driftloop.system import processes
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import REJECTED, PredictionLog
from monitoring.records.events import time_text
from monitoring.spool import segments, shipper
from monitoring.spool.delivery import AwayError, ToMonitor
from monitoring.spool.writer import Spool

pytestmark = needs_mongodb


class Monitor:
    """What the shipper sees of the monitoring service: real HTTP, and answers that a test can choose."""

    def __init__(self) -> None:
        self.ids: Counter[tuple[str, str, str]] = Counter()
        self.poison = ""  # an id that is answered with 400
        self.streams = ("elec", "taxi")
        self.status = 200
        self.port = 0
        self.start()

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, stream: str, records: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        if self.status != 200:
            return self.status, {}
        if stream not in self.streams:
            return 404, {"error": {"code": "unknown_stream", "message": "there is no such stream"}}
        if any(record["id"] == self.poison for record in records):
            return 400, {"error": {"code": "bad_record", "message": "does not fit"}}
        assert len(records) <= 1000 and {record["stream"] for record in records} == {stream}
        self.ids.update((record["kind"], stream, record["id"]) for record in records)
        return 200, {"taken": len(records)}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, said = monitor.answer(self.path.removeprefix("/ingest/"), body["records"])
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    started = Monitor()
    yield started
    started.stop()


@pytest.fixture
def own_mongo(tmp_path: Path) -> Iterator[Mongo]:
    """A server that a test may kill."""
    started = Mongo(tmp_path / "mongo")
    yield started
    started.server.stop()


def start_shipper(spool: Spool, uri: str, monitor: Monitor | None = None, *more: str) -> processes.Server:
    command = [sys.executable, "-u", "-m", "monitoring", "shipper", "--spool", str(spool.folder), "--mongodb_uri", uri, *more]
    return processes.Server([*command, *(["--monitor_url", monitor.url] if monitor else [])], log=spool.folder / "log", folder=ROOT)


def put(spool: Spool, *records: Any) -> None:
    spool.append([record.as_json() for record in records])


def emptied(spool: Spool, *consumers: str) -> None:
    wait_for(lambda: not any(spool.length(consumer) for consumer in consumers))


def said(spool: Spool) -> list[str]:
    return (spool.folder / "log").read_text().splitlines()


def ids_in(uri: str, stream: str = "elec") -> list[str]:
    with PredictionLog(Database(uri)) as log:
        return [row["id"] for row in log.read(stream)]


def test_records_of_all_kinds_reach_both_and_the_spool_is_emptied(tmp_path, mongo, monitor):
    uri = mongo.fresh_uri()
    spool = Spool(tmp_path / "spool", segment_bytes=4000)
    put(spool, label(1, 0), *[prediction(number) for number in range(100)], rejected(1), prediction(1, stream="taxi"))
    with start_shipper(spool, uri, monitor):
        emptied(spool, "mongodb", "monitor")
        put(spool, prediction(100), label(2, 1))
        emptied(spool, "mongodb", "monitor")
        spool.close()
        wait_for(lambda: not segments.listed(spool.folder))
    counted = json.loads((spool.folder / "shipper.json").read_text())  # written once more at the end
    with PredictionLog(Database(uri)) as log:
        rows = list(log.read("elec"))
        assert [row["id"] for row in rows] == [f"p{number}" for number in range(101)]
        assert [row.get("label") for row in rows[:4]] == [None, 0, 1, None]
        assert [row["id"] for row in log.read("elec", collection=REJECTED)] == ["r1"]
    assert set(monitor.ids.values()) == {1} and len(monitor.ids) == 105
    assert (counted["mongodb"]["new"], counted["mongodb"]["read"], counted["monitor"]["read"]) == (103, 105, 105)


def survive(own_mongo: Mongo, spool: Spool, monitor: Monitor, *, away_s: float) -> None:
    """50 predictions a second, each labelled a second later, while MongoDB is killed, away, and started again."""
    number, dead, back, waiting = 0, False, False, 0
    with start_shipper(spool, own_mongo.uri, monitor):
        emptied(spool, "mongodb")
        began = time.monotonic()
        restart = threading.Thread(target=own_mongo.start)
        while (passed := time.monotonic() - began) < away_s + 2:
            if passed > 1 and not dead:
                own_mongo.kill()
                dead = True
            if passed > away_s + 1 and not back:
                waiting = spool.length("mongodb")
                restart.start()
                back = True
            put(spool, prediction(number), *([label(number - 50, 0)] if number >= 50 else []))
            number += 1
            time.sleep(max(0.0, began + number / 50 - time.monotonic()))
        assert waiting >= 50 * away_s * 0.5  # it was unreachable indeed
        restart.join()
        emptied(spool, "mongodb", "monitor")
    with PredictionLog(Database(own_mongo.uri)) as log:
        rows = list(log.read("elec"))
        assert [row["id"] for row in rows] == [f"p{number}" for number in range(number)]
        assert [row.get("label") for row in rows] == [0] * (number - 50) + [None] * 50
    assert len(monitor.ids) == 2 * number - 50 and set(monitor.ids.values()) == {1}
    lines = [line for line in said(spool) if "mongodb: " in line]
    assert len(lines) == 2 and "records wait in the spool" in lines[0] and lines[1].endswith("mongodb: back")


def test_mongodb_killed_and_away_for_five_seconds_under_50_predictions_a_second_costs_none_and_doubles_none(tmp_path, own_mongo, monitor):
    survive(own_mongo, Spool(tmp_path / "spool"), monitor, away_s=5)


@pytest.mark.slow
def test_mongodb_killed_and_away_for_a_minute_under_50_predictions_a_second_costs_none_and_doubles_none(tmp_path, own_mongo, monitor):
    survive(own_mongo, Spool(tmp_path / "spool"), monitor, away_s=60)


def test_the_monitor_may_be_away_while_mongodb_gets_its_records_and_then_gets_all_of_its_own(tmp_path, mongo, monitor):
    uri, spool = mongo.fresh_uri(), Spool(tmp_path / "spool")
    with start_shipper(spool, uri, monitor):
        put(spool, prediction(0))
        emptied(spool, "mongodb", "monitor")
        monitor.stop()
        put(spool, *[prediction(number) for number in range(1, 50)])
        emptied(spool, "mongodb")
        wait_for(lambda: "is unreachable; records wait in the spool" in said(spool)[-1])
        assert spool.length("monitor") == 49
        monitor.status = 503
        monitor.start()
        time.sleep(0.5)
        monitor.status = 200
        emptied(spool, "monitor")
    assert ids_in(uri) == [f"p{number}" for number in range(50)]
    assert len(monitor.ids) == 50 and set(monitor.ids.values()) == {1}
    assert [line.split(": ")[1] for line in said(spool) if "mongodb: " in line or "monitor: " in line] == ["monitor", "monitor"]


def test_records_that_will_never_be_taken_go_aside_with_the_reason_and_hold_up_nobody(tmp_path, mongo, monitor):
    uri, spool = mongo.fresh_uri(), Spool(tmp_path / "spool")
    monitor.poison = "p7"
    hostile = prediction(50).as_json() | {"features": {"$where": 1}}
    put(spool, *[prediction(number) for number in range(20)], prediction(1, stream="other"))
    spool.append([hostile, {"kind": "nonsense"}])
    put(spool, prediction(20))
    with start_shipper(spool, uri, monitor):
        emptied(spool, "mongodb", "monitor")
    assert ids_in(uri) == [f"p{number}" for number in range(21)]
    aside = {name: [json.loads(line) for line in (spool.folder / f"refused-{name}.jsonl").read_text().splitlines()] for name in ("mongodb", "monitor")}
    assert [one["record"] for one in aside["mongodb"]] == [hostile, {"kind": "nonsense"}]
    assert "not starting with $" in aside["mongodb"][0]["reason"]
    assert {one["record"].get("id") for one in aside["monitor"]} == {"p50", None, "p7", "p1"}
    assert [one["reason"] for one in aside["monitor"] if one["record"].get("id") == "p7"] == ["400 bad_record: does not fit"]
    assert len(monitor.ids) == 20


def test_a_killed_shipper_is_followed_by_one_that_loses_nothing_and_doubles_nothing(tmp_path, mongo):
    uri, spool = mongo.fresh_uri(), Spool(tmp_path / "spool", segment_bytes=50_000)
    put(spool, *[label(number, 0) for number in range(0, 1500, 100)])
    put(spool, *[prediction(number) for number in range(1500)])
    for _ in range(2):
        before = spool.length("mongodb")
        with start_shipper(spool, uri) as server:
            wait_for(lambda before=before: spool.length("mongodb") < before)
            os.kill(server.pid, signal.SIGKILL)
    put(spool, prediction(1500))
    with start_shipper(spool, uri):
        emptied(spool, "mongodb")
    with PredictionLog(Database(uri)) as log:
        rows = list(log.read("elec"))
    assert [row["id"] for row in rows] == [f"p{number}" for number in range(1501)]
    assert [row["id"] for row in rows if "label" in row] == [f"p{number}" for number in range(0, 1500, 100)]


def test_one_shipper_serves_one_spool(tmp_path, mongo):
    spool, uri = Spool(tmp_path / "spool"), mongo.fresh_uri()
    with start_shipper(spool, uri):
        wait_for(lambda: any("serving" in line for line in said(spool)))
        command = [sys.executable, "-m", "monitoring", "shipper", "--spool", str(spool.folder), "--mongodb_uri", uri]
        second = processes.run(command, timeout_s=60, folder=ROOT)
    assert second.code == SettingsError.exit_code
    assert second.output.strip().endswith("another shipper serves this spool; stop it first")


def test_sigterm_ships_what_is_there_and_ends_also_while_mongodb_is_away(tmp_path, mongo):
    uri, spool = mongo.fresh_uri(), Spool(tmp_path / "spool")
    server = start_shipper(spool, uri)
    put(spool, prediction(0))
    emptied(spool, "mongodb")
    put(spool, *[prediction(number) for number in range(1, 20)])
    os.kill(server.pid, signal.SIGTERM)
    wait_for(lambda: server.code is not None)
    assert server.code == 143 and ids_in(uri) == [f"p{number}" for number in range(20)]
    server.stop()

    put(spool, prediction(20))
    away = start_shipper(spool, "mongodb://127.0.0.1:1/none")
    wait_for(lambda: "records wait in the spool" in said(spool)[-1])
    os.kill(away.pid, signal.SIGTERM)
    wait_for(lambda: away.code is not None, within_s=10)
    away.stop()
    assert away.code == 143 and spool.length("mongodb") == 1


def test_a_shipper_without_a_uri_keeps_an_embedded_server_and_starts_it_again_when_it_dies(tmp_path):
    spool, folder = Spool(tmp_path / "spool"), tmp_path / "log"
    with start_shipper(spool, "", None, "--log_folder", str(folder)):
        put(spool, prediction(0))
        emptied(spool, "mongodb")
        os.kill(json.loads((folder / "server.json").read_text())["pid"], signal.SIGKILL)
        put(spool, prediction(1))
        emptied(spool, "mongodb")
        assert ids_in(json.loads((folder / "server.json").read_text())["uri"]) == ["p0", "p1"]


def test_old_predictions_are_deleted_when_a_retention_is_set(tmp_path, mongo):
    uri, spool = mongo.fresh_uri(), Spool(tmp_path / "spool")
    put(spool, prediction(0), prediction(1, served=datetime.now(UTC) - timedelta(days=1)))
    with start_shipper(spool, uri, None, "--keep_days", "30"):
        wait_for(lambda: ids_in(uri) == ["p1"])


class Slow:
    """A place that takes no more than ten records at once: a server that is too slow for more."""

    name = "mongodb"

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.sizes: list[int] = []
        self.taken: list[str] = []

    def deliver(self, records: list[Any]) -> list[Any]:
        self.sizes.append(len(records))
        if len(records) > 10:
            raise AwayError("too slow", slow=True)
        self.taken += [record.id for record in records]
        return []

    def tend(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_place_that_is_too_slow_for_a_batch_gets_smaller_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(shipper, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(shipper, "LONGEST_WAIT_S", 0.001)
    slow, stopping = Slow(), threading.Event()
    with Spool(tmp_path) as spool:
        put(spool, *[prediction(number) for number in range(100)])
        lane = shipper.Lane(tmp_path, slow, stopping)
        lane.start()
        emptied(spool, "mongodb")
    stopping.set()
    lane.join(10)
    assert slow.taken == [f"p{number}" for number in range(100)]
    assert slow.sizes[0] == 100 and max(slow.sizes[5:]) <= 20


@pytest.mark.parametrize("url", ["", "127.0.0.1:8010", "file:///etc/passwd"])
def test_an_address_of_the_monitor_that_is_none_is_refused(url):
    with pytest.raises(SettingsError, match="must look like http"):
        ToMonitor(url)


def test_an_answer_that_is_not_the_monitors_counts_as_away_and_throws_nothing_away(monitor):
    for status in (301, 401, 404, 413, 429, 500):
        monitor.status = status
        with pytest.raises(AwayError, match=f"answers {status}"):
            ToMonitor(monitor.url).deliver([prediction(0)])
    monitor.status = 200
    assert ToMonitor(f"{monitor.url}/").deliver([prediction(0)]) == []
    assert monitor.ids == {("prediction", "elec", "p0"): 1}
    assert prediction(0).time == time_text(START)
