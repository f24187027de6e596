"""Run three lifecycles on ELEC and write their figures into benchmarks/figures.md, and some of them into the README.

python -m benchmarks.figures                              # about 15 minutes on two cores; a store of its own
python -m benchmarks.figures --folder /tmp/figures        # keep the stores, reports and results there
python -m benchmarks.figures --folder /tmp/figures --reuse    # write the page again from those results
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import script
from docs import tables
from driftloop import settings
from driftloop.metrics import kpi
from driftloop.report import wording

LIFECYCLES = {"default": [], "history-48": ["--history", "48"], "history-0": ["--history", "0"]}


def measured(args: argparse.Namespace) -> str:
    """The page of the lifecycles."""
    with script.place(args.folder) as folder:
        results = {name: run_lifecycle(flags, folder / name, reuse=args.reuse) for name, flags in LIFECYCLES.items()}
        refitted = script.kept(folder / "refitted.json", refit_every_block, reuse=args.reuse)
    return figures_text(results, refitted=refitted)


def run_lifecycle(flags: list[str], folder: Path, *, reuse: bool) -> dict[str, Any]:
    """The result of lifecycle.py with these flags, in a store of its own; `folder` gets result.json and report.html.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    words = [*flags, "--report", "report.html", "--mlflow_experiment_name", "elec"]
    result: dict[str, Any] = script.kept(folder / "result.json", lambda: script.result_of("lifecycle.py", words, folder=folder), reuse=reuse)
    return result


def refit_every_block() -> float:
    """Accuracy at history 0 without a loop: refitted on the newest week after every block, without detection, search or judge."""
    from driftloop.data import blocks, streams
    from driftloop.training import trained_model
    from driftloop.training.base import base_span
    from driftloop.training.fitting import fit
    from learner import ELEC

    stream = streams.load()
    first, correct = base_span(stream)[1], 0
    for block in blocks.cut(first, len(stream), block_size=48):
        model = fit(ELEC, stream, settings.RETRAIN_PARAMS, train=(0, block.start), max_epochs=3, seed=settings.SEED).model
        predicted = trained_model.predict(model, stream, block.start, block.stop).argmax(axis=1)
        correct += int((predicted == stream.labels[block.start : block.stop]).sum())
    return correct / (len(stream) - first)


def figures_text(results: Mapping[str, Mapping[str, Any]], *, refitted: float) -> str:
    """The page: the figures of the lifecycles, and what they do not show."""
    columns = [_cells(LIFECYCLES[name], result) for name, result in results.items()]
    titles = " | the search may choose a history: | a day of history from the start: | one row at a time:"
    return script.page(
        "Three lifecycles on ELEC",
        "Written by `python -m benchmarks.figures`.",
        script.table(titles, ([title, *(column[title] for column in columns)] for title in columns[0])),
        f"One row at a time, refitted on the newest week after every block, without detection, search or judge: "
        f"{wording.with_sign(refitted)}, with a fit and a swap for each block. So the gain of the last column comes from training on recent "
        "rows; detection and judge save fits and swaps but add no accuracy (all policies: `benchmarks/policies.md`). "
        "The starting parameters of a retrain, the number of judge rows and the default threshold were chosen on these very rows, which makes "
        "that column optimistic by perhaps a point. The gain of the first column is a change of model: with a day of history from the start "
        "there is nothing to gain. The base model serves until the first alarm: the proof that it is bad takes weeks of day blocks.",
    )


def _cells(flags: list[str], result: Mapping[str, Any]) -> dict[str, str]:
    """Row of the table: the lifecycle's cell."""
    accuracy, unretrained, rows = result["accuracy"], result["accuracy_without_retraining"], result["rows"]
    lower, upper = kpi.wilson_interval(round(accuracy * rows), rows)
    served = next(version for version in result["versions"] if version["version"] == result["served_version"])
    promoted = sum(record["promoted"] for record in result["retrains"])
    baselines = {f"{wording.BASELINE_NAMES[name]}, %": wording.percent(share, digits=2) for name, share in result["baselines"].items()}
    return {
        "command": f"`{' '.join(['python lifecycle.py', *flags])}`",
        "rows, in blocks": f"{rows:,} in {result['blocks']:,} of {result['block_size']}",
        "**accuracy of the served model, %**": f"**{wording.percent(accuracy, digits=2)}**",
        "95 % interval, assuming independent rows": f"{wording.percent(lower, digits=2)} to {wording.percent(upper, digits=2)}",
        "base model, never retrained, same rows, %": wording.percent(unretrained, digits=2),
        "gain, points": wording.points(accuracy - unretrained),
        **baselines,
        "κ-temporal": wording.number(result["kappa_temporal"]),
        "first alarm of the rule `significant`, block": str(result["retrains"][0]["block"]) if result["retrains"] else wording.UNDEFINED,
        "accuracy from the first swap on, %": wording.percent(_after_first_swap(result), digits=2),
        "drifted blocks, including those on probation": str(result["drifted_blocks"]),
        "retrains, promotions": f"{len(result['retrains'])}, {promoted}",
        "history of the version served at the end, rows": str(served["params"]["history"]),
        "whole run on two cores": wording.duration(result["seconds"]),
    }


def _after_first_swap(result: Mapping[str, Any]) -> float:
    """Accuracy of all versions except the base model, on the rows they served; nan without a swap."""
    later = [version for version in result["versions"][1:] if version["rows"]]
    rows = sum(version["rows"] for version in later)
    return sum(version["accuracy"] * version["rows"] for version in later) / rows if rows else math.nan


if __name__ == "__main__":
    code = script.run(script.parser(__file__, __doc__, reusable=True), measured)
    sys.exit(code or tables.main([]))
