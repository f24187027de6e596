"""Run three lifecycles on ELEC and write their figures into benchmarks/figures.md, and some of them into the README.

python -m benchmarks.figures                              # about 15 minutes on two cores; a store of its own
python -m benchmarks.figures --folder /tmp/figures        # keep the stores, reports and results there
python -m benchmarks.figures --folder /tmp/figures --reuse    # write the page again from those results
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import script
from docs import results as readme_results
from docs import tables
from driftloop import settings
from driftloop.cli import parsing
from driftloop.metrics import kpi
from driftloop.report import wording

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "benchmarks" / "figures.md"
LIFECYCLES = {"default": [], "history-48": ["--history", "48"], "history-0": ["--history", "0"]}


def build_parser() -> parsing.Parser:
    """The flags of the tool."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--folder", type=Path, help="folder for stores, reports and results; default: a temporary one")
    parser.add_argument("--reuse", action="store_true", help="do not run what has a result in --folder already")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run, then write both files; 0, or the exit code of a lifecycle that failed."""
    code = script.run(build_parser(), measured, argv)
    if not code:
        readme = tables.with_block(tables.README.read_text(encoding="utf-8"), "results", readme_results.results_table())
        tables.README.write_text(readme, encoding="utf-8")
    return code


def measured(args: argparse.Namespace, given: str) -> str:
    """The page of the lifecycles."""
    with script.place(args.folder) as folder:
        results = {name: run_lifecycle(flags, folder / name, reuse=args.reuse) for name, flags in LIFECYCLES.items()}
        refitted = refit_every_block(folder / "refitted.json", reuse=args.reuse)
    return figures_text(results, refitted=refitted)


def run_lifecycle(flags: list[str], folder: Path, *, reuse: bool) -> dict[str, Any]:
    """The result of lifecycle.py with these flags, in a store of its own; `folder` gets result.json and report.html.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    kept = folder / "result.json"
    if not (reuse and kept.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(ROOT / "lifecycle.py"), *flags, "--json", "--report", "report.html", "--mlflow_experiment_name", "elec"]
        environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder.resolve() / 'mlflow.db'}"}
        print(f"running lifecycle.py {' '.join(flags)}", file=sys.stderr)
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        kept.write_text(done.stdout.splitlines()[-1], encoding="utf-8")
    result: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return result


def refit_every_block(kept: Path, *, reuse: bool) -> float:
    """Accuracy at history 0 of what needs no loop: refit on the newest week after every block, nothing detected, searched or judged."""
    if not (reuse and kept.exists()):
        from driftloop.data import blocks, streams
        from driftloop.training import trained_model
        from driftloop.training.base import base_span
        from driftloop.training.fitting import fit
        from learner import ELEC

        print("refitting after every block", file=sys.stderr)
        stream = streams.load()
        right = 0
        for block in blocks.cut(base_span(stream)[1], len(stream), block_size=48):
            model = fit(ELEC, stream, settings.RETRAIN_PARAMS, train=(0, block.start), max_epochs=3, seed=settings.SEED).model
            predicted = trained_model.predict(model, stream, block.start, block.stop).argmax(axis=1)
            right += int((predicted == stream.labels[block.start : block.stop]).sum())
        kept.write_text(json.dumps(right / (len(stream) - base_span(stream)[1])), encoding="utf-8")
    return float(json.loads(kept.read_text(encoding="utf-8")))


def figures_text(results: Mapping[str, Mapping[str, Any]], *, refitted: float) -> str:
    """The page: the figures of the lifecycles side by side, and what they do not show by themselves."""
    columns = {name: [f"`{' '.join(['python lifecycle.py', *LIFECYCLES[name]])}`", *_cells(result)] for name, result in results.items()}
    titles = [
        "command",
        "rows, in blocks",
        "**accuracy of the served model, %**",
        "95 % interval, rows taken as independent",
        "base model, never retrained, same rows, %",
        "gain, points",
        "no change, row by row, %",
        "same time yesterday, %",
        "majority class, %",
        "κ-temporal",
        "first alarm of the rule `significant`, block",
        "accuracy from the first swap on, %",
        "blocks called drifted, with those on probation",
        "retrains, promotions",
        "history of the version served at the end, rows",
        "whole run on two cores",
    ]
    lines = ["# Three lifecycles on ELEC", "", "Written by `python -m benchmarks.figures`.", ""]
    lines += ["| | the search may choose a history | a day of history from the start | one row at a time |", "|---|" + "---:|" * len(columns)]
    lines += [f"| {title} | {' | '.join(column[at] for column in columns.values())} |" for at, title in enumerate(titles)]
    lines += [
        "",
        f"One row at a time, refitted on the newest week after every block, with nothing detected, searched or judged: "
        f"{wording.with_sign(refitted)}, with a fit and a swap for each block. So the gain of the last column comes from training on recent "
        "rows; detecting and judging spare fits and swaps, they do not add accuracy (all policies side by side: `benchmarks/policies.md`). "
        "The starting parameters of a retrain, the number of judge rows and the default threshold were chosen on these very rows, which makes "
        "that column optimistic by perhaps a point. The gain of the first column is a change of model: with a day of history from the start "
        "there is nothing to gain. Until the first alarm the base model serves: to be sure that it is bad takes weeks of day blocks.",
    ]
    return "\n".join(lines) + "\n"


def _cells(result: Mapping[str, Any]) -> list[str]:
    accuracy, unretrained, rows = result["accuracy"], result["accuracy_without_retraining"], result["rows"]
    lower, upper = kpi.wilson_interval(round(accuracy * rows), rows)
    free = result["baselines"]
    served = next(version for version in result["versions"] if version["version"] == result["served_version"])
    promoted = sum(record["promoted"] for record in result["retrains"])
    return [
        f"{rows:,} in {result['blocks']:,} of {result['block_size']}",
        f"**{wording.percent(accuracy, digits=2)}**",
        f"{wording.percent(lower, digits=2)} to {wording.percent(upper, digits=2)}",
        wording.percent(unretrained, digits=2),
        wording.points(accuracy - unretrained),
        *(wording.percent(free[name], digits=2) for name in ("no_change", "same_time_yesterday", "majority")),
        wording.number(result["kappa_temporal"]),
        str(result["retrains"][0]["block"]) if result["retrains"] else wording.UNDEFINED,
        wording.percent(_after_first_swap(result), digits=2),
        str(result["drifted_blocks"]),
        f"{len(result['retrains'])}, {promoted}",
        str(served["params"]["history"]),
        wording.duration(result["seconds"]),
    ]


def _after_first_swap(result: Mapping[str, Any]) -> float:
    """Accuracy of all versions but the base model, on the rows that they served; nan when nothing was swapped in."""
    later = [version for version in result["versions"][1:] if version["rows"]]
    rows = sum(version["rows"] for version in later)
    return sum(version["accuracy"] * version["rows"] for version in later) / rows if rows else math.nan


if __name__ == "__main__":
    sys.exit(main())
