"""Run Evidently's drift preset on pairs of tables, in Evidently's own environment: imports only numpy, pandas and Evidently.

    ENV/bin/python evidently_preset.py REFERENCE.npy CURRENT.npy [REFERENCE.npy CURRENT.npy ...]

Prints a JSON line for each pair: seconds, MiB at the peak on top of the tables, and the method, value and threshold of each column.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from pathlib import Path

os.environ["DO_NOT_TRACK"] = "1"


def main(paths: list[str]) -> None:
    """Load, run, print."""
    import numpy as np
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    for pair in zip(paths[::2], paths[1::2], strict=True):
        reference, current = (pd.DataFrame(np.load(path)).rename(columns="x{}".format) for path in pair)
        before = resident_mib()
        started = time.perf_counter()
        found = Report([DataDriftPreset()]).run(current, reference).dict()
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
        columns = [column(metric) for metric in found["metrics"] if metric["metric_name"].startswith("ValueDrift")]
        print(json.dumps({"seconds": seconds, "mib": peak, "columns": columns}), flush=True)


def column(metric: dict) -> dict:
    """Method, value, threshold, and whether Evidently calls it drift: a p-value under, or a distance of at least the threshold."""
    config, value = metric["config"], float(metric["value"])
    is_p_value = re.search("p_value", config["method"]) is not None
    drift = value < config["threshold"] if is_p_value else value >= config["threshold"]
    return {"method": config["method"], "value": value, "threshold": config["threshold"], "drift": bool(drift)}


def resident_mib() -> float:
    """Memory of this process now, in MiB."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main(sys.argv[1:])
