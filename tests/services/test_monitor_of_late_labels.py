"""Late labels through a real monitor and a real prediction log: replayed day by day, and known again after a restart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import yaml
from mongo_fixtures import Mongo, needs_mongodb
from monitor_records import ELEC, label, prediction, when
from monitor_sample import some_reference
from prediction_fixtures import wait_for

from driftloop.settings import ROOT
from driftloop.system.ports import free_ports
from driftloop.system.processes import Server
from driftloop.training import reference
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PredictionLog
from monitoring.records import events
from monitoring.stream_settings import BUNDLED

DAY = ELEC.block_size
DELAY = 10  # days
STREAMS = ("elec", "late")  # the same rows, without and with a delay

pytestmark = needs_mongodb


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    settings = yaml.safe_load(BUNDLED.read_text())["elec"]
    (tmp_path / "streams.yaml").write_text(yaml.safe_dump({"elec": settings, "late": settings | {"label_delay": f"{DELAY}d"}}))
    for stream in STREAMS:
        (tmp_path / "references" / stream).mkdir(parents=True)
        reference.write(some_reference(), tmp_path / "references" / stream)
    return tmp_path


@contextmanager
def monitor_of(folder: Path, uri: str) -> Iterator[str]:
    port = free_ports()[0]
    command = [sys.executable, "-m", "monitoring", "monitor", "--port", str(port), "--reference", "references", "--mongodb_uri", uri]
    env = {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": ""}
    with Server([*command, "--streams_file", "streams.yaml"], log=folder / "monitor.log", folder=folder, env=env) as server:
        url = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            assert server.code is None, server.log.read_text()
            try:
                return bool(requests.get(f"{url}/ready", timeout=5).json()["refilled"])
            except requests.ConnectionError:
                return False

        wait_for(ready, what="the monitor", timeout_s=120)
        yield url
        assert "Traceback" not in server.log.read_text()


def day_of(day: int, right: np.ndarray) -> list[dict[str, Any]]:
    """A day's predictions, the labels of its wrong ones, and those of the right ones of ten days before."""
    rows, old = range(day * DAY, (day + 1) * DAY), range(max(0, day - DELAY) * DAY, max(0, day - DELAY + 1) * DAY)
    records = [prediction(row, right=bool(right[row])) for row in rows]
    records += [label(row, labelled_at=when(row)) for row in rows if not right[row]]
    return records + [label(row, labelled_at=when(rows[-1])) for row in old if right[row] and day >= DELAY]


def test_biased_early_labels_alarm_only_without_the_delay_and_a_drift_is_found_with_it_also_after_a_restart(folder: Path, mongo: Mongo) -> None:
    uri = mongo.fresh_uri()
    right = np.random.default_rng(2).random(60 * DAY) < np.where(np.arange(60 * DAY) < 30 * DAY, 0.88, 0.5)

    def replay(url: str, log: PredictionLog, days: range) -> None:
        for day in days:
            for stream in STREAMS:
                records = [record | {"stream": stream} for record in day_of(day, right)]
                assert requests.post(f"{url}/ingest/{stream}", json={"records": records}, timeout=30).ok
                log.add([events.from_json(record) for record in records])

    def state(url: str, stream: str) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{url}/streams/{stream}", timeout=5).json()
        return found

    with PredictionLog(Database(uri)) as log:
        log.ready()
        with monitor_of(folder, uri) as url:
            replay(url, log, range(12))
            wait_for(lambda: state(url, "elec")["kinds"].get("performance"), what="the false alarm of early labels", timeout_s=60)
            found = state(url, "late")
            assert (found["blocks"], found["kinds"]["performance"], found["coverage"]) == (2, False, 1.0)
            assert found["labels"]["early"] > 40 and "early labels are seldom like the others" in found["note"]
            replay(url, log, range(12, 40))
            calm = state(url, "late")
            assert (calm["blocks"], calm["kinds"]["performance"], calm["health"]) == (30, False, "good")
            page = requests.get(url, headers={"Accept": "text/html"}, timeout=5).text
            assert "judged 10 days after their row, 100.00 % of the older rows have one" in page
            assert page.count("early labels are seldom like the others") == 1
            replay(url, log, range(40, 46))  # the labels of the first days of the drift
            drifted = state(url, "late")
            assert drifted["kinds"]["performance"] and drifted["blocks"] <= 36
            metrics = requests.get(f"{url}/metrics", timeout=5).text.splitlines()
            assert 'driftloop_label_coverage{stream="late"} 1.0' in metrics
            assert f'driftloop_labels_not_judged{{reason="early",stream="late"}} {drifted["labels"]["early"]}.0' in metrics
        with monitor_of(folder, uri) as url:
            wait_for(lambda: state(url, "late")["blocks"] == drifted["blocks"], what="the blocks to be judged again", timeout_s=60)
            again = state(url, "late")
            same = ("kpi", "coverage", "newest_labelled_time", "message", "evidence", "labels")
            assert {key: again[key] for key in same} == {key: drifted[key] for key in same}
