"""Compare the retraining policies on ELEC, served and back-tested, and the online learner with river's adaptive random forest.

python -m benchmarks.policies                               # about an hour and a quarter on two cores; a store of its own
python -m benchmarks.policies --folder /tmp/policies        # keep the stores, fits and results there
python -m benchmarks.policies --folder /tmp/policies --reuse    # write the page again from those results

Scoring is blockwise: the labels of a block arrive when it ends.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import policies_page, script
from driftloop import settings
from driftloop.cli import parsing

if TYPE_CHECKING:
    from driftloop.backtest.online_learner import OnlineLearner
    from driftloop.data.streams import Stream

SEEDS = (0, 1)  # of the fits, in addition to the default seed, with which the parameters of a retrain were chosen
DAY, BATCH = 48, 1007
PROTOCOL = ["--first_rows", str(BATCH), "--block_size", str(BATCH), "--window", str(2 * BATCH)]
RUNS = {
    "default": [],
    **{f"seed-{seed}": ["--seed", str(seed)] for seed in SEEDS},
    "protocol": PROTOCOL,
    "protocol-history": [*PROTOCOL, "--history", str(DAY)],
}
SERVED = ["--policy", "continuous", "--history", "0"]  # lifecycle.py, through TorchServe
ARF_MODELS = 10
# Updates of the online learner: after every n-th batch with an accuracy under a threshold (1.1: always).
LAZY = (
    (1, 1.1),
    (2, 1.1),
    (2, 0.86),
    (2, 0.84),
    (2, 0.82),
    (3, 1.1),
    *((1, threshold) for threshold in (0.84, 0.82, 0.81, 0.8, 0.79, 0.78, 0.77, 0.76, 0.75, 0.74, 0.7)),
)


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__, reusable=True)
    parser.add_argument("--jobs", type=parsing.whole(1, 64), default=1, help="processes that fit")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page of all back-tests."""
    with script.place(args.folder) as place:
        shared = ["--jobs", str(args.jobs), "--resume", "--mlflow_experiment_name"]
        make: dict[str, Callable[[], Any]] = {"stream": learn_all_rows}
        for seed in (settings.SEED, *SEEDS):
            served = [*SERVED, "--seed", str(seed), "--mlflow_experiment_name", f"served-{seed}"]
            make[f"served-{seed}"] = partial(script.result_of, "lifecycle.py", served, folder=place)
        make |= {name: partial(script.result_of, "backtest.py", [*flags, *shared, name], folder=place) for name, flags in RUNS.items()}
        results = {name: script.kept(place / f"{name}.json", one, reuse=args.reuse) for name, one in make.items()}
    return policies_page.page(results, runs=RUNS, seeds=SEEDS, default_seed=settings.SEED)


def learn_all_rows() -> dict[str, Any]:
    """The online learner and river's adaptive random forest in day blocks, and the former in the protocol's batches.

    Each predicts a block, then learns it; the first block is only learned. Accuracy on the other rows, and rows per second of
    predicting and learning together.
    """
    from river import forest

    from driftloop.backtest.online_learner import OnlineLearner
    from driftloop.data import streams

    stream = streams.load()
    online, whole = (OnlineLearner(features=len(stream.features), classes=2, period=stream.period, fast=True) for _ in range(2))
    arf = forest.ARFClassifier(n_models=ARF_MODELS, seed=settings.SEED)
    rows: list[dict[Hashable, Any]] = [dict(zip(stream.features, row, strict=True)) for row in stream.rows.tolist()]

    def predict(start: int, stop: int) -> np.ndarray:
        return np.array([arf.predict_one(row) or 0 for row in rows[start:stop]])

    def learn(start: int, stop: int) -> None:
        for row, label in zip(rows[start:stop], stream.labels[start:stop].tolist(), strict=True):
            arf.learn_one(row, label)

    return {
        "online": blockwise(
            stream.labels,
            predict=lambda start, stop: online.predict(stream.rows[start:stop], stream.times[start:stop]),
            learn=lambda start, stop: learn_parts(online, stream, start, stop),
        ),
        "online_whole": blockwise(
            stream.labels,
            predict=lambda start, stop: whole.predict(stream.rows[start:stop], stream.times[start:stop]),
            learn=lambda start, stop: whole.learn(stream.rows[start:stop], stream.labels[start:stop], stream.times[start:stop]),
        ),
        "arf": blockwise(stream.labels, predict=predict, learn=learn),
        "protocol": [lazily(stream, every=every, threshold=threshold) for every, threshold in LAZY],
    }


def learn_parts(learner: OnlineLearner, stream: Stream, start: int, stop: int) -> None:
    """Learn a block as backtest.py does: a few rows at once."""
    size = learner.most_rows or stop - start
    for at in range(start, stop, size):
        rows = slice(at, min(at + size, stop))
        learner.learn(stream.rows[rows], stream.labels[rows], stream.times[rows])


def lazily(stream: Stream, *, every: int, threshold: float) -> dict[str, float]:
    """The online learner in the protocol's batches, updated only after every `every`-th batch with an accuracy under `threshold`.

    An update learns all new rows, in steps of a day as in backtest.py.
    """
    from driftloop.backtest.online_learner import OnlineLearner

    learner = OnlineLearner(features=len(stream.features), classes=2, period=stream.period)
    correct, updates, learned = 0, 0, 0
    for start in range(0, len(stream), BATCH):
        stop = min(start + BATCH, len(stream))
        good = int((learner.predict(stream.rows[start:stop], stream.times[start:stop]) == stream.labels[start:stop]).sum()) if start else 0
        correct += good
        if stop == len(stream) or start // BATCH % every or good / (stop - start) >= threshold:
            continue
        updates += start > 0
        for at in range(learned, stop, DAY):
            rows = slice(at, min(at + DAY, stop))
            learner.learn(stream.rows[rows], stream.labels[rows], stream.times[rows])
        learned = stop
    return {"every": every, "threshold": threshold, "updates": updates, "right": correct, "rows": len(stream) - BATCH}


def blockwise(labels: np.ndarray, *, predict: Callable[[int, int], np.ndarray], learn: Callable[[int, int], None]) -> dict[str, float]:
    """Correct predictions after the first block, their number of rows, and the rows per second of CPU."""
    started = time.process_time()
    correct = 0
    for start in range(0, len(labels), DAY):
        stop = min(start + DAY, len(labels))
        if start:
            correct += int((predict(start, stop) == labels[start:stop]).sum())
        learn(start, stop)
    seconds = time.process_time() - started
    return {"right": correct, "rows": len(labels) - DAY, "rows_per_second": len(labels) / seconds}


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
