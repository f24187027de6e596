"""Judge a table of predictions with `driftloop.watch`, in a process of its own.

python benchmarks/our_watch.py TABLE.csv SPEC.json REPORT.html        # from the file to the report
python benchmarks/our_watch.py TABLE.csv SPEC.json                    # a notebook's cell: the table is read before

SPEC.json is described in `any_model_peers`. Prints a JSON line with what the watch says, and the seconds of the cell.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import driftloop as dl


def main(path: str, spec_path: str, report: str = "") -> None:
    """Judge, write the report or what a notebook shows, print."""
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    columns = {"target": spec["target"], "prediction": spec["prediction"], "probability": spec["probability"], "time": spec["time"]}
    seconds = 0.0
    if report:
        found = dl.watch(path, reference=spec["until"], **columns)
        found.report(report)
    else:
        import pandas as pd

        frame = pd.read_csv(path)
        started = time.perf_counter()
        found = dl.watch(frame, reference=spec["until"], **columns)
        found._repr_html_()
        seconds = time.perf_counter() - started
    judged = found.blocks.query("period == 'judged'")
    first = str(judged.query("drift").end.min())[:16] if found.drift else ""
    name, before, after = "MAE" if found.result.task == "regression" else "accuracy", found.result.period.kpi, found.result.kpi
    change = "better" if (after > before) == (name == "accuracy") else "worse"
    alarms = {"blocks": len(judged), "alarms": int(judged.drift.sum()), "first": first, "kind": found.kind}
    print(json.dumps(alarms | {"kpi": name, "before": before, "after": after, "change": change, "cell_seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
