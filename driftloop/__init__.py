"""Living with model drift: train, serve, score block by block, retrain, judge, swap.

Layers, each importing only what stands below it (a test proves it):

    lifecycle, report                           compose
    training, tuning, evaluation, swap          do one job, collaborators come as arguments
    streams, tracking, registry, archive, torchserve      the outside world, one library each
    results, blocks, kpi, baselines, drift      pure values and arithmetic, no I/O
    settings, errors
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - who runs an older one must be told
    raise SystemExit(f"error: driftloop needs Python 3.11, this is {sys.version.split()[0]}: run `make setup`, then `source .venv/bin/activate`")

__version__ = "0.1.0"
