"""Living with model drift: train, serve, score block by block, retrain, judge, swap.

Layers, each importing only what stands below it (a test proves it):

    lifecycle, report                           compose
    training, tuning, evaluation, swap          do one job, collaborators come as arguments
    streams, tracking, registry, archive, torchserve      the outside world, one library each
    results, blocks, kpi, baselines, drift      pure values and arithmetic, no I/O
    settings, errors
"""

__version__ = "0.1.0"
