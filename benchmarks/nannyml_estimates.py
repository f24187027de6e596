"""Estimate the KPI of chunks with NannyML's CBPE or DLE; needs NannyML only, for it runs in its own environment.

    ENV/bin/python nannyml_estimates.py SCORED.npz ROUNDS

Prints a JSON line for each chunk size: the estimates and the CPU seconds of fit and estimate, the best of the rounds.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"


def main(path: str, rounds: int) -> None:
    """Load, run, print."""
    import numpy as np

    warnings.filterwarnings("ignore")
    scored = np.load(path, allow_pickle=False)
    frame = table(scored)
    first, stop = scored["reference"]
    reference = frame[first:stop].reset_index(drop=True)
    analysis = frame[stop:].drop(columns="y_true_").reset_index(drop=True)
    for chunk in scored["chunks"].tolist():
        seconds = []
        for _ in range(rounds):
            made = estimator(scored, int(chunk))
            started = time.process_time()
            made.fit(reference)
            result = made.estimate(analysis)
            seconds.append(time.process_time() - started)
        found = result.filter(period="analysis").to_df(multilevel=False)
        kpi = "mae" if scored["outputs"].ndim == 1 else "accuracy"
        print(json.dumps({"chunk": chunk, "estimates": found[f"{kpi}_value"].tolist(), "seconds": min(seconds)}), flush=True)


def table(scored):  # type: ignore[no-untyped-def]
    """The rows as NannyML takes them: categories as such, the outputs as columns."""
    import numpy as np
    import pandas as pd

    columns = {}
    for name, values, coded in zip(scored["features"], scored["rows"].T, scored["coded"], strict=True):
        columns[str(name)] = pd.Categorical(np.where(np.isnan(values), None, values.astype(str))) if coded else values
    outputs = scored["outputs"]
    regression = outputs.ndim == 1
    columns |= {"y_true_": scored["labels"], "y_pred_": outputs if regression else outputs.argmax(axis=1)}
    return pd.DataFrame(columns | ({} if regression else {f"p{code}_": outputs[:, code] for code in range(outputs.shape[1])}))


def estimator(scored, chunk: int):  # type: ignore[no-untyped-def]
    """DLE for a regression, else CBPE, with their defaults."""
    import nannyml

    common = {"y_true": "y_true_", "y_pred": "y_pred_", "chunk_size": chunk}
    outputs = scored["outputs"]
    if outputs.ndim == 1:
        return nannyml.DLE(feature_column_names=[str(name) for name in scored["features"]], metrics=["mae"], **common)
    classes = outputs.shape[1]
    shares = "p1_" if classes == 2 else {code: f"p{code}_" for code in range(classes)}
    kind = "classification_binary" if classes == 2 else "classification_multiclass"
    return nannyml.CBPE(metrics=["accuracy"], y_pred_proba=shares, problem_type=kind, **common)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
