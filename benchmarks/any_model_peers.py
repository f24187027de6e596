"""Runs `driftloop.watch`, NannyML and Evidently on NannyML's tables with NannyML's own predictions: time, memory, and what each says.

Each tool runs in a process of its own, the peers in their own environments, and reads TABLE.csv and SPEC.json:

    {"task", "target", "prediction", "probability": [column, …], "classes": [class of each of them, …], "time", "until": end of the reference period,
     "features", "numerical": those that are numbers, "categorical": the others}

What a tool says of the reference period is found with the period's older half as the reference and its newer half to judge.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmarks import distances, estimate, full_tables, script
from driftloop.errors import DataError

HERE: Final = Path(__file__).parent
PERIODS: Final = ("reference", "analysis")
OURS, CELL, LOGGED, NANNYML, EVIDENTLY = "ours", "ours, in a notebook's cell", "ours, logged to MLflow", "NannyML", "Evidently"
TICK_S: Final = 0.02  # between two looks at a process


@dataclass(frozen=True)
class ToolRun:
    """One run of one tool."""

    seconds: float  # from the process's start to its end; of a notebook's cell, those of the cell
    mib: float  # peak of the resident memory
    said: Mapping[str, Any]


@dataclass(frozen=True)
class OnTable:
    """All tools on one table."""

    name: str
    rows: int
    inputs: int
    runs: dict[str, ToolRun] = field(default_factory=dict)  # by tool, the fastest of its rounds on the whole table
    first_log_s: float = 0.0  # of the first run with MLflow, which makes its store
    reference: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # what a tool says of the reference period


def measured(tables: Path, folder: Path | None, *, rounds: int) -> list[OnTable]:
    """Run everything on the tables of a folder; those that are missing are left out.

    Args:
        tables: folder with car_loan.csv.gz, car_loan_dq.csv.gz, cards.csv.gz and car_price.csv.gz.
        folder: where the peers' environments stand or are built, each in a folder of its name; None: a temporary one.
        rounds: runs of each tool on each table, of which the fastest counts.

    Raises:
        DataError: no table is there, or it is another one.
        subprocess.CalledProcessError: a tool failed, or an environment could not be built.
    """
    there = [name for name in estimate.TABLES if (tables / f"{name}.csv.gz").exists()]
    if not there:
        raise DataError(f"--tables {tables}: none of {', '.join(f'{name}.csv.gz' for name in estimate.TABLES)} is there")
    with script.place(None) as scratch:
        pythons = {
            NANNYML: script.environment((folder or scratch) / "nannyml", estimate.PINS),
            EVIDENTLY: script.environment((folder or scratch) / "evidently", distances.PINS),
        }
        return [_on_table(name, tables / f"{name}.csv.gz", scratch / name, pythons, rounds) for name in there]


def _on_table(name: str, path: Path, scratch: Path, pythons: Mapping[str, Path], rounds: int) -> OnTable:
    """All tools on one table."""
    frame, until = with_predictions(name, path, pythons[NANNYML])
    before = frame[frame["timestamp"] < until]
    parts = {"analysis": (frame, until), "reference": (before, str(before["timestamp"].iloc[len(before) // 2]))}
    for period, (part, end) in parts.items():
        (scratch / period).mkdir(parents=True)
        part.to_csv(scratch / period / f"{name}.csv", index=False)
        (scratch / period / "spec.json").write_text(json.dumps(spec(part, estimate.TABLES[name], end)), encoding="utf-8")
    found = OnTable(name, len(frame), len(spec(frame, estimate.TABLES[name], until)["features"]))
    commands = {tool: command(tool, scratch / "analysis", name, pythons) for tool in (OURS, CELL, LOGGED, NANNYML, EVIDENTLY)}
    first_log_s = 0.0
    for at in range(rounds):
        for tool, words in commands.items():
            run = watched(words, folder=scratch)
            first_log_s = run.seconds if tool == LOGGED and not at else first_log_s
            if tool not in found.runs or run.seconds < found.runs[tool].seconds:
                found.runs[tool] = run
        script.say(f"{name}, round {at + 1}: {', '.join(f'{tool} {run.seconds:.1f} s' for tool, run in found.runs.items())}")
    for tool in (OURS, NANNYML, EVIDENTLY):
        found.reference[tool] = watched(command(tool, scratch / "reference", name, pythons), folder=scratch).said
    return OnTable(found.name, found.rows, found.inputs, found.runs, first_log_s, found.reference)


def with_predictions(name: str, path: Path, nannyml: Path) -> tuple[pd.DataFrame, str]:
    """A table with the predictions that NannyML's package has of its rows, and when its reference period ends.

    Args:
        name: of the table.
        path: of the table, without predictions.
        nannyml: Python of NannyML's environment.

    Raises:
        DataError: a row of the table has no prediction.
    """
    (data,) = nannyml.parent.parent.glob(f"lib/python*/site-packages/{full_tables.DATA}")
    reference, analysis = (pd.read_csv(data / f"{part}.csv") for part in full_tables.PARTS[name][:2])
    both = pd.concat([reference, analysis], ignore_index=True)
    predictions = [column for column in both if column.startswith(full_tables.PREDICTIONS)]
    frame = pd.read_csv(path).merge(both[["id", *predictions]], on="id", how="left", validate="one_to_one")
    if frame[predictions].isna().any(axis=None):
        raise DataError(f"{path}: not NannyML's table {name}: rows have no prediction there")
    target = estimate.TABLES[name]
    if name.startswith("car_loan"):
        frame[target] = frame[target].astype(int)  # Evidently takes 1.0 and 1 for two classes
    return frame.drop(columns="id"), str(analysis["timestamp"].min())


def spec(frame: pd.DataFrame, target: str, until: str) -> dict[str, Any]:
    """The description of a table, see the module's docstring."""
    prediction, time_column = full_tables.PREDICTIONS, "timestamp"
    probability = [name for name in frame if name.startswith(f"{prediction}_proba")]
    features = [name for name in frame if name not in (target, prediction, time_column, *probability)]
    numerical = [name for name in features if pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name])]
    several = len(probability) > 1
    return {
        "task": "classification" if probability else "regression",
        "target": target,
        "prediction": prediction,
        "probability": probability,
        "classes": [name.removeprefix(f"{prediction}_proba_") for name in probability] if several else [],
        "time": time_column,
        "until": until,
        "features": features,
        "numerical": numerical,
        "categorical": [name for name in features if name not in numerical],
    }


def command(tool: str, folder: Path, name: str, pythons: Mapping[str, Path]) -> list[str]:
    """The command line of a tool on a folder's table; it writes its report beside it."""
    table, described, report = str(folder / f"{name}.csv"), folder / "spec.json", str(folder / "report.html")
    if tool in pythons:
        return [str(pythons[tool]), str(HERE / f"{tool.lower()}_watch.py"), table, str(described), report]
    if tool != LOGGED:
        return [sys.executable, str(HERE / "our_watch.py"), table, str(described), *([report] if tool == OURS else [])]
    told = json.loads(described.read_text(encoding="utf-8"))
    flags = ["--target", told["target"], "--prediction", told["prediction"], "--time_column", told["time"], "--reference_until", told["until"]]
    flags += ["--probability", ",".join(told["probability"])] if told["probability"] else []
    return [sys.executable, str(script.ROOT / "watch_table.py"), "--data_path", table, *flags, "--report", report, "--json"]


def watched(words: Sequence[str], *, folder: Path) -> ToolRun:
    """Run a command in the folder, with the folder's MLflow store.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    peak = 0.0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as faults:
        started = time.perf_counter()
        process = subprocess.Popen(words, cwd=folder, env=os.environ | script.store_in(folder), stdout=out, stderr=faults)
        while process.poll() is None:
            peak = max(peak, peak_mib(process.pid))
            time.sleep(TICK_S)
        seconds = time.perf_counter() - started
        out.seek(0)
        faults.seek(0)
        if process.returncode:
            script.say(faults.read()[-1000:])
            raise subprocess.CalledProcessError(process.returncode, list(words))
        said = json.loads(out.read().splitlines()[-1])
    return ToolRun(said.get("cell_seconds") or seconds, peak, said)


def peak_mib(pid: int) -> float:
    """The peak of a process's resident memory so far, in MiB; 0 when it has ended. (`ru_maxrss` of a child counts its parent's memory, too.)"""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
