"""Judge a table of predictions with Evidently's presets, in Evidently's own environment: imports only pandas and Evidently.

    ENV/bin/python evidently_watch.py TABLE.csv SPEC.json REPORT.html

SPEC.json is described in `any_model_peers`. Prints a JSON line with what Evidently says, and writes its report.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

os.environ["DO_NOT_TRACK"] = "1"


def main(path: str, spec_path: str, report: str) -> None:
    """Read, compare the rows after the reference period with those in it, write the report."""
    import pandas as pd
    from evidently import Dataset, Report
    from evidently.presets import ClassificationPreset, DataDriftPreset, RegressionPreset

    warnings.filterwarnings("ignore")
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    frame = pd.read_csv(path, parse_dates=[spec["time"]])
    if len(spec["classes"]) > 2:  # Evidently finds the probabilities of several classes by the classes' names
        frame = frame.rename(columns=dict(zip(spec["probability"], spec["classes"], strict=True)))
    before = frame[spec["time"]] < spec["until"]
    regression = spec["task"] == "regression"
    described = definition(spec)
    reference, current = (Dataset.from_pandas(frame[rows].reset_index(drop=True), data_definition=described) for rows in (before, ~before))
    presets = [DataDriftPreset(columns=spec["features"]), RegressionPreset() if regression else ClassificationPreset()]
    done = Report(presets, include_tests=True).run(current, reference)
    done.save_html(report)
    found = done.dict()
    tests = {test["name"]: str(test["status"]) for test in found["tests"]}
    failed = [name for name, status in tests.items() if "FAIL" in status]
    inputs = [name for name in failed if name.startswith("Value Drift")]
    scores = [name for name in failed if not name.startswith(("Value Drift", "Share of Drifted"))]
    whole = any(name.startswith("Share of Drifted") for name in failed)
    name = "Mean Absolute Error" if regression else "Accuracy"
    kpi_test = next((f"{test}: {'failed' if test in failed else 'passed'}" for test in tests if test.startswith(name)), "")
    print(json.dumps({"drifted": [test.split()[-1] for test in inputs], "scores": scores, "whole": whole, "kpi": kpi_test, "tests": len(tests)}), flush=True)


def definition(spec):  # type: ignore[no-untyped-def]
    """The columns in Evidently's terms."""
    from evidently import BinaryClassification, DataDefinition, MulticlassClassification, Regression

    columns = {"numerical_columns": spec["numerical"], "categorical_columns": spec["categorical"], "timestamp": spec["time"]}
    if spec["task"] == "regression":
        return DataDefinition(regression=[Regression(target=spec["target"], prediction=spec["prediction"])], **columns)
    common = {"target": spec["target"], "prediction_labels": spec["prediction"]}
    if len(spec["classes"]) > 2:
        return DataDefinition(classification=[MulticlassClassification(prediction_probas=spec["classes"], **common)], **columns)
    return DataDefinition(classification=[BinaryClassification(prediction_probas=spec["probability"][0], **common)], **columns)


if __name__ == "__main__":
    main(*sys.argv[1:])
