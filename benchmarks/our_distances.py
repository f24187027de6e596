"""Time our tests of single features on a pair of tables, in a process of its own to measure its memory.

    python -m benchmarks.our_distances STATISTIC REFERENCE.npy CURRENT.npy

Prints one JSON line: seconds (best of three), and MiB at the peak on top of the tables.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np

from benchmarks.evidently_preset import resident_mib


def main(statistic: str, reference_path: str, current_path: str) -> None:
    """Load, run, print."""
    from driftloop.drift.inputs.distribution import compare

    reference, current = np.load(reference_path), np.load(current_path)
    names = [f"x{i}" for i in range(reference.shape[1])]
    before = resident_mib()
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        compare(reference, current, names=names, statistic=statistic)  # type: ignore[arg-type]
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"seconds": min(seconds), "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
