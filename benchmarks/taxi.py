"""Run the taxi example and write its results, month by month, into benchmarks/taxi.md.

python -m benchmarks.taxi                            # ten minutes on two cores; stores of its own
python -m benchmarks.taxi --folder /tmp/taxi         # keep the stores, the reports and the results there
python -m benchmarks.taxi --folder /tmp/taxi --reuse     # write the page again from those results
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmarks import script, taxi_page
from driftloop.drift.rules import catalogue
from driftloop.metrics.goal import Goal

WATCHES = 400  # of each kind of errors
LEARNER: Final = "examples.nyc_taxi.learner:TAXI"
DEFAULT: Final = "weeks, with follow-ups"
WAYS: Final[dict[str, list[str]]] = {  # to watch the same year; the first is the example's own
    DEFAULT: [],
    "weeks": ["--follow_up", "false"],
    "months, with follow-ups": ["--block_by", "month"],
    "months": ["--block_by", "month", "--follow_up", "false"],
}


def measured(args: argparse.Namespace) -> str:
    """The page of the year."""
    with script.place(args.folder) as folder:
        ways = {}
        for name, flags in WAYS.items():
            own = folder / name.replace(",", "").replace(" ", "-")
            ways[name] = script.kept(own / "measured.json", partial(_lifecycle, own, flags), reuse=args.reuse)
        before = script.kept(folder / "year-before.json", _year_before, reuse=args.reuse)
        false_alarms = script.kept(folder / "false-alarms.json", _false_alarms, reuse=args.reuse)
    return taxi_page.page(ways, year_before=before, false_alarms=false_alarms)


def _lifecycle(folder: Path, flags: list[str]) -> dict[str, Any]:
    words = ["--learner", LEARNER, "--report", "taxi.html", "--mlflow_experiment_name", "taxi", *flags]
    result = script.result_of("lifecycle.py", words, folder=folder)
    return {"result": result, "months": _months(folder, result)}


def _months(folder: Path, result: dict[str, Any]) -> list[dict[str, Any]]:
    """The months of a lifecycle that logged to a folder's store."""
    from benchmarks.taxi_months import answered, by_month
    from driftloop.tracking import mlflow_store
    from examples.nyc_taxi import trips

    with script.inside(folder):
        store = mlflow_store.open_store("taxi")
        (run,) = store.client.search_runs([store.experiment_id], f"tags.`{mlflow_store.ROLE}` = 'deployment'", max_results=1)
        frame = pd.read_csv(store.client.download_artifacts(run.info.run_id, "blocks.csv"), keep_default_na=False)
        table, stream = frame.to_dict(orient="records"), trips.load()
        return by_month(stream, answered(store, stream, result, table), table)


def _year_before() -> dict[str, Any]:
    """2019 with the model fitted on 2018, by which the threshold was chosen: MAE by month, weeks over the threshold, the rule's alarms."""
    import numpy as np

    from driftloop import settings
    from driftloop.data import blocks
    from driftloop.metrics import task
    from driftloop.training import trained_model
    from driftloop.training.base import base_span
    from driftloop.training.fitting import fit
    from examples.nyc_taxi import trips
    from examples.nyc_taxi.learner import DEFAULTS, TAXI, THRESHOLD_MAE

    stream = trips.load()
    first, stop = base_span(stream, until=np.datetime64("2019-01-01"))
    end = int(np.searchsorted(stream.times, np.datetime64("2020-01-01")))
    model = fit(TAXI, stream, TAXI.base_params, train=(first, stop), max_epochs=DEFAULTS["max_epochs"], seed=settings.SEED).model
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
    """Share of watches with an alarm, 40 blocks each with a mean exactly at the threshold, by the kind of errors."""
    from benchmarks.loss_streams import KINDS, alarmed

    return {name: sum(alarmed(draw, seed=seed) is not None for seed in range(WATCHES)) / WATCHES for name, draw in KINDS.items()}


if __name__ == "__main__":
    sys.exit(script.run(script.parser(__file__, __doc__, reusable=True), measured))
