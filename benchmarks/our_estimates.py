"""Estimate the KPI of chunks with our ways, in a process of its own, as the peer's runs in one.

    python -m benchmarks.our_estimates SCORED.npz ROUNDS

Prints a JSON line for each chunk size and way: the estimates, and the CPU seconds, the best of the rounds. "as labels come" learns each chunk after
its estimate, as the monitor does.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from driftloop.drift.estimate.confidence import LabelFree
from driftloop.drift.estimate.row_kpi import ACCURACY, MAE


def main(path: str, rounds: int) -> None:
    """Load, run, print."""
    scored = dict(np.load(path, allow_pickle=False))
    regression = scored["outputs"].ndim == 1
    for chunk in scored["chunks"].tolist():
        for way in ("default", "as labels come") if regression else ("default", "without the rows' values", "as labels come"):
            seconds = []
            for _ in range(rounds):
                started = time.process_time()
                found = estimates(scored, chunk, way)
                seconds.append(time.process_time() - started)
            print(json.dumps({"chunk": chunk, "way": way, "estimates": found, "seconds": min(seconds)}), flush=True)


def estimates(scored: dict[str, np.ndarray], chunk: int, way: str) -> list[float]:
    """The estimates of all whole chunks after the reference."""
    outputs, labels = scored["outputs"], scored["labels"]
    rows = None if way == "without the rows' values" else scored["rows"]
    label_free = LabelFree(MAE if outputs.ndim == 1 else ACCURACY, coded=() if rows is None else scored["coded"].tolist())

    def learn(first: int, stop: int) -> None:
        label_free.learn(outputs[first:stop], labels[first:stop], None if rows is None else rows[first:stop])

    first, stop = scored["reference"].tolist()
    size = chunk if way == "as labels come" else stop - first
    for start in range(first, stop, size):
        learn(start, min(start + size, stop))
    found = []
    for start in range(stop, len(labels) - chunk + 1, chunk):
        found.append(label_free.estimate(outputs[start : start + chunk], None if rows is None else rows[start : start + chunk]).value)
        if way == "as labels come":
            learn(start, start + chunk)
    return found


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
