"""Living with model drift: train, serve, score block by block, retrain, judge, swap.

Each folder is a layer and imports only those below it (`.importlinter` holds them to it):

    watch, backtest            the loop over a served model; a stream under every retraining policy
    serving                    a trained model behind TorchServe, and the swap
    training                   fits, searches, retrains, and their record
    tracking, report, cli      MLflow; what people read; command lines
    drift                      has the model drifted, and how?
    metrics                    tasks, goals, KPIs, baselines, scores
    data, system               tables and streams; processes, signals, files
    errors, settings
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - users of an older one need the message
    raise SystemExit(f"error: driftloop needs Python 3.11, this is {sys.version.split()[0]}: run `make setup`, then `source .venv/bin/activate`")

__version__ = "0.1.0"
