"""Estimates of the KPI without labels beside NannyML's CBPE and DLE: their errors against the realised KPI, and their time.

    python -m benchmarks.estimate --tables FOLDER                   # builds NannyML's environment; writes benchmarks/estimate.md
    python -m benchmarks.estimate --tables FOLDER --folder env      # keeps that environment in env/ for the next time
    python -m benchmarks.estimate --tables data/tables --out /tmp/estimate.md

The committed page is of NannyML's public quick-start tables with all their rows, which `benchmarks.full_tables` writes into FOLDER. The bundled
data/tables holds a tenth or a twelfth of the rows: its chunks have 400 or 80 rows instead of 4,000 or 800 (cards and car_price: 4,800 or 960), and its
result is another one. Tables that are missing are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import full_tables, script
from driftloop.cli import parsing
from driftloop.errors import DataError
from driftloop.report import wording

THEIRS: Final = Path(__file__).with_name("nannyml_estimates.py")
PINS: Final = (
    "nannyml==0.13.1",
    "numpy==2.4.6",
    "pandas==2.3.3",
    "scipy==1.17.1",
    "scikit-learn==1.9.1",
    "lightgbm==4.5.0",
    "plotly==5.24.1",
    "statsmodels==0.15.0",
)
TABLES: Final = {"car_loan": "repaid", "car_loan_dq": "repaid", "cards": "y_true", "car_price": "y_true"}
TRAINED: Final = 0.4  # share of the rows that the model learns from
REFERENCE: Final = 0.2  # share of the rows after these
CHUNKS: Final = (10, 50)  # that the rest is cut into
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
TIMES: Final = 3  # as fast as the peer, at least


@dataclass(frozen=True)
class Way:
    """One way on one table and chunk size."""

    table: str
    kpi: str
    chunk: int
    name: str
    error: float  # mean absolute difference of estimate and realised KPI over the chunks
    bias: float
    seconds: float


def build_parser() -> parsing.Parser:
    """The flags of the tool."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--tables", type=Path, required=True, help="folder with car_loan.csv.gz, car_loan_dq.csv.gz, cards.csv.gz and car_price.csv.gz")
    parser.add_argument("--rounds", type=parsing.whole(1), default=5, help="rounds of which the fastest counts (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where NannyML's environment is built, or stands already; default: a temporary one")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page."""
    paths = {name: args.tables / f"{name}.csv.gz" for name in TABLES}
    found = {name: path for name, path in paths.items() if path.exists()}
    if not found:
        raise DataError(f"--tables {args.tables}: none of {', '.join(path.name for path in paths.values())} is there")
    ways: list[Way] = []
    rows: dict[str, int] = {}
    with script.place(None) as scratch:
        python = script.environment(args.folder or scratch / "nannyml", PINS)
        for name, path in found.items():
            scored = scratch / f"{name}.npz"
            rows[name] = score(path, TABLES[name], scored)
            ways += compare(name, scored, python, args.rounds)
    return page(ways, rows, rounds=args.rounds)


def score(path: Path, target: str, out: Path) -> int:
    """Train a model on the oldest rows, and write its outputs for all rows beside them; the number of rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    from driftloop.data import streams

    stream = streams.load(path, target=target, task_name="", values_as_they_are=True)
    trained, stop = (int(share * len(stream)) for share in (TRAINED, TRAINED + REFERENCE))
    coded = np.array([bool(column.categories) for column in stream.columns])
    regression = stream.task == "regression"
    model = (HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier)(categorical_features=coded, random_state=0)
    model.fit(stream.rows[:trained], stream.labels[:trained])
    np.savez(
        out,
        rows=stream.rows,
        labels=stream.labels,
        outputs=model.predict(stream.rows) if regression else model.predict_proba(stream.rows),
        coded=coded,
        features=np.array(stream.features),
        reference=np.array([trained, stop]),
        chunks=np.array([(len(stream) - stop) // count for count in CHUNKS]),
    )
    return len(stream)


def compare(name: str, path: Path, python: Path, rounds: int) -> list[Way]:
    """Ours and the peer's estimates of the same chunks, one after the other."""
    scored = np.load(path)
    regression = scored["outputs"].ndim == 1
    kpi, peer = ("MAE", "NannyML's DLE") if regression else ("accuracy", "NannyML's CBPE")
    right = np.abs(scored["outputs"] - scored["labels"]) if regression else scored["outputs"].argmax(axis=1) == scored["labels"]
    ways, start = [], int(scored["reference"][1])
    for found in (*ask([sys.executable, "-m", "benchmarks.our_estimates", str(path), str(rounds)]), *ask([str(python), str(THEIRS), str(path), str(rounds)])):
        chunk, whole = found["chunk"], (len(right) - start) // found["chunk"]
        realised = right[start : start + whole * chunk].reshape(whole, chunk).mean(axis=1)
        off = np.array(found["estimates"][:whole]) - realised
        label = f"ours, {found['way']}" if "way" in found else peer
        ways.append(Way(name, kpi, chunk, label, float(np.abs(off).mean()), float(off.mean()), found["seconds"]))
        if "way" not in found:
            guess = float(right[int(scored["reference"][0]) : start].mean()) - realised
            ways.append(Way(name, kpi, chunk, "guess: the reference's KPI", float(np.abs(guess).mean()), float(guess.mean()), 0.0))
    return ways


def ask(command: list[str]) -> list[dict]:
    """What a way prints, run on one thread."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | ONE_THREAD)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def page(ways: list[Way], rows: Mapping[str, int], *, rounds: int) -> str:
    """The figures as Markdown; the command stands without paths, which are of one machine."""
    return script.page(
        "Estimates without labels: ours beside NannyML's",
        f"Written by `python -m benchmarks.estimate --tables FOLDER`. NannyML 0.13.1 ran in the same run, in its own environment: {', '.join(PINS)}.",
        f"The tables are NannyML's public quick-start tables, {full_tables.rows_used(rows)}. "
        f"A HistGradientBoosting model learns from the oldest {TRAINED:.0%} of a table, the next {REFERENCE:.0%} are the labelled reference of every way, "
        f"and the rest is cut into {CHUNKS[0]} and into {CHUNKS[1]} chunks whose KPI is estimated. The error is the mean absolute difference to the realised "
        "KPI (accuracy as a share). Seconds are CPU time of fit and all estimates together, on one thread each, the best of "
        f"{wording.count(rounds, 'round')}.",
        script.bullets(
            [
                "*default*: confidence re-weighted by a density ratio; of a regression a model of the loss. *without the rows' values*: calibrated "
                "confidence alone.",
                "*as labels come*: the default, with each chunk's labels learned after its estimate, which NannyML does not do; it measures its own "
                "error on the way, and its seconds hold that.",
                f"Targets for the default: an error not larger than NannyML's, and at most 1/{TIMES} of its time; {verdict(ways)}.",
                "The ridge and the bins were chosen on the same tables, with models trained on the first 30 %: their predictions were others, the rows "
                "overlap. That re-weighting takes fewer pairs of bins than the model of the loss was chosen on these very chunks. NannyML ran with its "
                "defaults.",
            ]
        ),
        script.table(
            "table | KPI | rows a chunk: | way | error: | bias: | seconds: | share of NannyML's time:",
            (_row(way, peer_of(way, ways)) for way in sorted(ways, key=lambda way: (list(TABLES).index(way.table), -way.chunk))),
        ),
    )


def peer_of(way: Way, ways: list[Way]) -> Way:
    """NannyML on the same chunks."""
    return next(other for other in ways if other.name.startswith("NannyML") and (other.table, other.chunk) == (way.table, way.chunk))


def verdict(ways: list[Way]) -> str:
    """Where the targets are missed, in words."""
    missed = []
    for way in (way for way in ways if way.name == "ours, default"):
        peer = peer_of(way, ways)
        faults = ["error"] * (way.error > peer.error) + ["time"] * (TIMES * way.seconds > peer.seconds)
        missed += [f"{' and '.join(faults)} of {way.table} in chunks of {way.chunk:,}"] * bool(faults)
    return f"NOT met: {'; '.join(missed)}" if missed else "met on every table and chunk size"


def _row(way: Way, peer: Way) -> list[str]:
    digits = 1 if way.kpi == "MAE" else 4
    share = f"{way.seconds / peer.seconds:.2f}" if way.seconds and way is not peer else ""
    seconds = f"{way.seconds:.3f}" if way.seconds else ""
    return [way.table, way.kpi, f"{way.chunk:,}", way.name, f"{way.error:.{digits}f}", f"{way.bias:+.{digits}f}", seconds, share]


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
