"""Run the taxi example and write what it reached, month by month, into benchmarks/taxi.md.

python -m benchmarks.taxi                            # ten minutes on two cores; stores of its own
python -m benchmarks.taxi --folder /tmp/taxi         # keep the stores, the reports and the results there
python -m benchmarks.taxi --folder /tmp/taxi --reuse     # write the page again from those results
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmarks import script, taxi_page
from driftloop.cli import parsing
from driftloop.drift.rules import catalogue
from driftloop.metrics.goal import Goal

ROOT = Path(__file__).resolve().parent.parent
WATCHES = 400  # of each kind of errors
LEARNER: Final = "examples.nyc_taxi.learner:TAXI"
DEFAULT: Final = "weeks, with follow-ups"
WAYS: Final[dict[str, list[str]]] = {  # of watching the same year; the first is the example's own
    DEFAULT: [],
    "weeks": ["--follow_up", "false"],
    "months, with follow-ups": ["--block_by", "month"],
    "months": ["--block_by", "month", "--follow_up", "false"],
}


def build_parser() -> parsing.Parser:
    """The flags of the tool."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--folder", type=Path, help="folder for the stores, the reports and the results; default: a temporary one")
    parser.add_argument("--reuse", action="store_true", help="do not run what has a result in --folder already")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run, then write the page; 0, or the exit code of a lifecycle that failed."""
    return script.run(build_parser(), measured, argv)


def measured(args: argparse.Namespace, given: str) -> str:
    """The page of the year."""
    with script.place(args.folder) as folder:
        return taxi_page.page(found_in(folder, reuse=args.reuse))


def found_in(folder: Path, *, reuse: bool) -> dict[str, Any]:
    """The lifecycle's result and months for each of `WAYS`, 2019 by a model of 2018, and the false alarms.

    Raises:
        subprocess.CalledProcessError: a lifecycle failed.
    """
    ways = {name: _kept(folder / f"{name.replace(', ', ' ').replace(' ', '-')}", _lifecycle, flags, reuse=reuse) for name, flags in WAYS.items()}
    year_before = _kept(folder / "year-before", lambda *_: _year_before(), [], reuse=reuse)
    false_alarms = _kept(folder / "false-alarms", lambda *_: _false_alarms(), [], reuse=reuse)
    return {"ways": ways, "year_before": year_before, "false_alarms": false_alarms}


def _kept(folder: Path, measure: Any, flags: list[str], *, reuse: bool) -> Any:
    """What was measured in a folder of its own, from the file there when it may be reused."""
    kept = folder / "measured.json"
    if not (reuse and kept.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(measure(folder, flags)), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def _lifecycle(folder: Path, flags: list[str]) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "lifecycle.py"), "--learner", LEARNER, "--json", "--report", "taxi.html", "--mlflow_experiment_name", "taxi", *flags]
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"result": result, "months": _months(folder, result)}


def _months(folder: Path, result: dict[str, Any]) -> list[dict[str, Any]]:
    """The months of a lifecycle that logged to a folder's store."""
    from benchmarks.taxi_months import answered, by_month
    from driftloop.tracking import mlflow_store
    from examples.nyc_taxi import trips

    with _inside(folder):
        store = mlflow_store.open_store("taxi")
        (run,) = store.client.search_runs([store.experiment_id], f"tags.`{mlflow_store.ROLE}` = 'deployment'", max_results=1)
        frame = pd.read_csv(store.client.download_artifacts(run.info.run_id, "blocks.csv"), keep_default_na=False)
        table, stream = frame.to_dict(orient="records"), trips.load()
        return by_month(stream, answered(store, stream, result, table), table)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """The folder as working folder and its store as MLflow's, which names its artifacts relative to where it was made."""
    here, before = Path.cwd(), os.environ.get("MLFLOW_TRACKING_URI")
    os.chdir(folder)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.pop("MLFLOW_TRACKING_URI")
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


def _year_before() -> dict[str, Any]:
    """2019 by the model fitted on 2018, what the threshold was chosen by: MAE by month, the weeks over the threshold, and the rule's alarms."""
    import numpy as np

    from driftloop import settings
    from driftloop.data import blocks
    from driftloop.metrics import task
    from driftloop.training import trained_model
    from driftloop.training.base import base_span
    from driftloop.training.fitting import fit
    from examples.nyc_taxi import trips
    from examples.nyc_taxi.learner import BASE_PARAMS, DEFAULTS, TAXI, THRESHOLD_MAE

    stream = trips.load()
    first, stop = base_span(stream, until=np.datetime64("2019-01-01"))
    end = int(np.searchsorted(stream.times, np.datetime64("2020-01-01")))
    model = fit(TAXI, stream, BASE_PARAMS, train=(first, stop), max_epochs=DEFAULTS["max_epochs"], seed=settings.SEED).model
    losses = trained_model.losses(model, stream, first, end)
    months, weeks = ([losses[block.start : block.stop] for block in blocks.cut_calendar(stream.times, stop, end, by=by)] for by in ("month", "week"))
    rule = catalogue.for_goal(DEFAULTS["drift_rule"], Goal(task.of(stream.task), THRESHOLD_MAE), probation=True)
    largest = max(len(week) for week in weeks)
    rule.prepare(losses[max(0, stop - settings.REFERENCE_BLOCKS * largest) : stop], block_size=largest)
    return {
        "months": {f"2019-{month:02d}": float(one.mean()) for month, one in enumerate(months, 1)},
        "weeks": len(weeks),
        "weeks_over": sum(float(week.mean()) > THRESHOLD_MAE for week in weeks),
        "alarms": sum(rule.update(week).drift for week in weeks),
    }


def _false_alarms() -> dict[str, float]:
    """Share of watches of 40 blocks with a mean exactly at the threshold in which the rule alarms, by the kind of errors."""
    from benchmarks.loss_streams import KINDS, alarmed

    return {name: sum(alarmed(draw, seed=seed) is not None for seed in range(WATCHES)) / WATCHES for name, draw in KINDS.items()}


if __name__ == "__main__":
    sys.exit(main())
