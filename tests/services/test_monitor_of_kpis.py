"""A monitor over HTTP whose streams file names a KPI: its state, its metrics, and how wrong settings end it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import described_stream
import numpy as np
import pytest

from driftloop.cli.call import read
from driftloop.errors import SettingsError
from driftloop.metrics import block_kpis
from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.task import CLASSIFICATION
from driftloop.system.ports import free_ports
from monitoring.__main__ import main
from monitoring.http.gunicorn import CLOSE
from monitoring.online import api
from monitoring.records import events
from prediction_service.__main__ import main as serve

COST, ROWS = "0:1=1,1:0=5", 60


def written(folder: Path, kpi: str, threshold: float, cost: str = "") -> list[str]:
    """The flags of a monitor whose stream is judged by this KPI."""
    settings = f"model: cars_model, kpi: {kpi}, threshold: {threshold}, block_size: 20, fallback_by: [fuel type]" + (f', cost: "{cost}"' if cost else "")
    path, references = described_stream.write(folder, f"cars: {{{settings}}}\n")
    return ["--streams_file", str(path), "--reference", str(references)]


def records(labels: np.ndarray, outputs: np.ndarray) -> list[dict[str, Any]]:
    found = []
    for at, (label, output) in enumerate(zip(labels.tolist(), outputs.tolist(), strict=True)):
        moment = f"2024-01-01T{at // 60:02}:{at % 60:02}:00.000Z"
        made = events.Prediction(
            f"r{at}", "cars", moment, moment, "cars_model", "1", described_stream.ROW, int(np.argmax(output)), max(output), output, 0, "", 1.0
        )
        found += [made.as_json(), events.Label(f"r{at}", "cars", label, moment).as_json()]
    return found


@pytest.mark.parametrize("kpi", [name for name, kpi in KPIS.items() if kpi.task == "classification"])
def test_the_state_and_the_metrics_are_of_the_streams_kpi(tmp_path: Path, kpi: str) -> None:
    rng = np.random.default_rng(3)
    positive = rng.random(ROWS)
    outputs, labels = np.column_stack([1 - positive, positive]), (rng.random(ROWS) < positive).astype(int)
    flags = written(tmp_path, kpi, 0.7, COST if kpi == "cost" else "")
    app = api.app_of(read(api.MonitorFlags, api.build_parser().parse_args(flags)))()
    client = app.test_client()
    try:
        assert client.post("/ingest/cars", json={"records": records(labels, outputs)}).status_code == 200
        state, metrics = client.get("/streams/cars").json, client.get("/metrics").text
    finally:
        app.extensions[CLOSE]()
    known = described_stream.some_reference().labels
    doing = block_kpis.named(kpi, known, (0, 1), cost=COST if kpi == "cost" else "") or CLASSIFICATION
    losses = doing.losses_of(labels, outputs)
    assert state["kpi"]["name"] == kpi and state["kpi"]["rows"] == ROWS
    np.testing.assert_allclose([state["kpi"][name] for name in ("value", "lower", "upper")], [doing.value(losses), *doing.interval(losses)], atol=1e-9)
    assert f'driftloop_kpi{{kpi="{kpi}",stream="cars",version="1"}} {doing.value(losses)!r}'[:60] in metrics
    assert f'driftloop_stream_info{{kpi="{kpi}",stream="cars",task="classification",unit=""}} 1.0' in metrics


@pytest.mark.parametrize(
    ("kpi", "threshold", "cost", "said"),
    [
        ("gini", 0.5, "", "there is no kpi 'gini': give accuracy"),
        ("cost", 0.5, "", "kpi cost needs cost"),
        ("cost", 0.5, "good:bad=5", "is not true:predicted=cost with labels of this table (0, 1)"),
        ("brier", 2.0, "", "threshold 2 must be below 1 for the Brier score"),
        ("rmse", 2.0, "", "its model 'cars_model' is for classification"),
    ],
)
def test_settings_that_no_model_can_be_judged_by_end_it_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kpi: str, threshold: float, cost: str, said: str
) -> None:
    flags, (port,) = written(tmp_path, kpi, threshold, cost), free_ports()
    assert main(["monitor", *flags, "--port", str(port)]) == SettingsError.exit_code
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert serve([*flags, "--streams", "cars", "--port", str(port)]) == SettingsError.exit_code
    assert said in capsys.readouterr().err
