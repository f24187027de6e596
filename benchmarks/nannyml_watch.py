"""Judge a table of predictions with NannyML and its defaults; needs NannyML only, for it runs in its own environment.

    ENV/bin/python nannyml_watch.py TABLE.csv SPEC.json REPORT.html

SPEC.json is described in `any_model_peers`. Prints a JSON line with what NannyML says, and writes its three figures to REPORT.html.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"


def main(path: str, spec_path: str, report: str) -> None:
    """Read, calculate the realised KPI, estimate it without labels, compare the inputs, write the figures."""
    import nannyml
    import pandas as pd

    warnings.filterwarnings("ignore")
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    frame = pd.read_csv(path, parse_dates=[spec["time"]])
    before = frame[spec["time"]] < spec["until"]
    reference, analysis = frame[before].reset_index(drop=True), frame[~before].reset_index(drop=True)

    common = {"y_true": spec["target"], "y_pred": spec["prediction"], "timestamp_column_name": spec["time"]}
    if spec["task"] == "regression":
        performance = nannyml.PerformanceCalculator(problem_type="regression", metrics=["mae"], **common)
        estimator = nannyml.DLE(feature_column_names=spec["features"], metrics=["mae"], **common)
    else:
        several = len(spec["classes"]) > 2
        given = dict(zip(spec["classes"], spec["probability"], strict=True)) if several else spec["probability"][0]
        common |= {"problem_type": f"classification_{'multiclass' if several else 'binary'}", "y_pred_proba": given, "metrics": ["accuracy"]}
        performance, estimator = nannyml.PerformanceCalculator(**common), nannyml.CBPE(**common)
    drift = nannyml.UnivariateDriftCalculator(column_names=spec["features"], timestamp_column_name=spec["time"])

    performance.fit(reference)
    estimator.fit(reference)
    drift.fit(reference)
    results = [performance.calculate(analysis), estimator.estimate(analysis.drop(columns=spec["target"])), drift.calculate(analysis)]
    figures = [result.plot().to_html(full_html=False, include_plotlyjs=not at) for at, result in enumerate(results)]
    Path(report).write_text(f"<html><body>{''.join(figures)}</body></html>", encoding="utf-8")
    realised, estimated = (alerts(result) for result in results[:2])
    print(json.dumps({"realised": realised, "estimated": estimated, "drifted": drifted(results[2])}), flush=True)


def alerts(result) -> dict:  # type: ignore[no-untyped-def]
    """Chunks of the analysis, those with an alert, and when the first of these has ended; and the alerts of the reference's own chunks."""
    found = result.to_df(multilevel=False)
    (alert,) = (name for name in found if name.endswith("_alert"))
    later = found[found["chunk_period"] == "analysis"]
    ended = later.loc[later[alert].astype(bool), "chunk_end_date"]
    own = found.loc[found["chunk_period"] == "reference", alert]
    return {"chunks": len(later), "alarms": len(ended), "first": str(ended.min())[:16] if len(ended) else "", "own": int(own.sum()), "own_chunks": len(own)}


def drifted(result) -> dict[str, int]:  # type: ignore[no-untyped-def]
    """Of each input with an alert, the chunks of the analysis that have one."""
    found = result.filter(period="analysis").to_df(multilevel=False)
    columns = {name.removesuffix("_jensen_shannon_alert"): int(found[name].sum()) for name in found if name.endswith("_alert")}
    return {name: count for name, count in columns.items() if count}


if __name__ == "__main__":
    main(*sys.argv[1:])
