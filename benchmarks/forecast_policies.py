"""The retraining policies of benchmarks/forecast.py, played over tables of every fit's correct predictions on every later block."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks import script
from driftloop import settings
from driftloop.data import streams, synthetic
from driftloop.data.blocks import cut
from driftloop.drift.forecast import crossing
from driftloop.drift.forecast.crossing import Lifetime
from driftloop.drift.rules.significant import Significant

TURN, SEASONAL_ROWS, SEASONAL_WINDOW = 16_000, 12_000, 480  # rows per turn, stream, fit
BLOCK = 48
LEAD = settings.LEAD_BLOCKS
CONFIDENCES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)  # of the proactive policy
THRESHOLDS = tuple(np.arange(0.5, 0.93, 0.01).round(2))  # of the reactive rules
Version = tuple[list[float], list[int]]  # accuracies and rows of the blocks that a version served
Table = tuple[np.ndarray, list[int]]  # correct predictions (fits, blocks), rows of each block
Rule = Callable[[list[float], list[int], list[Version]], bool]  # accuracies and rows so far, earlier versions: retrain now?


def elec_table(seed: int) -> Table:
    """Correct predictions of each fit (row 0: the base model, row 1 + b: on the newest week before block b) on each block, and the rows of the blocks."""
    from driftloop.training.fitting import fit
    from learner import ELEC

    stream, first = streams.load(), 31_718
    blocks = list(cut(first, len(stream), block_size=BLOCK))
    edges = np.array([block.start for block in blocks])
    right = np.zeros((len(blocks) + 1, len(blocks)), int)
    for row in range(len(blocks) + 1):
        at, params = max(row - 1, 0), settings.RETRAIN_PARAMS if row else settings.DEFAULT_PARAMS
        model = fit(ELEC, stream, params, train=(0, int(edges[at])), max_epochs=3, seed=seed).model
        hit = model.probabilities(stream.rows[edges[at] :]).argmax(axis=1) == stream.labels[edges[at] :]
        right[row, at:] = np.add.reduceat(hit.astype(int), edges[at:] - edges[at])
    return right, [block.rows for block in blocks]


def seasonal_table(seed: int) -> Table:
    """The same for a logistic regression on the newest 480 rows of a turning hyperplane; the base model is the first fit."""
    from sklearn.linear_model import LogisticRegression

    stream = synthetic.make("hyperplane", rows=SEASONAL_ROWS, seed=seed, drift="seasonal", width=TURN).stream
    edges = np.arange(SEASONAL_WINDOW, SEASONAL_ROWS - BLOCK + 1, BLOCK)
    right = np.zeros((len(edges) + 1, len(edges)), int)
    for at, edge in enumerate(edges):
        model = LogisticRegression().fit(stream.rows[edge - SEASONAL_WINDOW : edge], stream.labels[edge - SEASONAL_WINDOW : edge])
        hit = model.predict(stream.rows[edge : edges[-1] + BLOCK]) == stream.labels[edge : edges[-1] + BLOCK]
        right[at + 1, at:] = hit.reshape(-1, BLOCK).sum(axis=1)
    right[0] = right[1]
    return right, [BLOCK] * len(edges)


def walk(table: Table, rule: Rule) -> tuple[np.ndarray, list[Version]]:
    """Accuracy of each block under a policy, and the blocks of each version; a retrain at a block's end is in service from the next one."""
    right, rows = table
    version, born, served = 0, 0, []
    earlier: list[Version] = []
    mine: list[float] = []
    for block, size in enumerate(rows):
        mine.append(float(right[version, block] / size))
        served.append(mine[-1])
        if block + 1 < len(rows) and rule(mine, rows[born : block + 1], earlier):
            earlier.append((mine, rows[born : block + 1]))
            version, born, mine = block + 2, block + 1, []
    return np.array(served), [*earlier, (mine, rows[born:])]


def plain(threshold: float) -> Rule:
    """Retrain when the block KPI is under the threshold."""
    return lambda accuracies, *_: accuracies[-1] < threshold


def significant(threshold: float) -> Rule:
    """Retrain at an alarm of the rule "significant" at alpha 0.05; only the number of a block's errors is known, so their order is random."""
    rule, rng = Significant(threshold=threshold), np.random.default_rng(settings.SEED)

    def alarm(accuracies: list[float], rows: list[int], _: object) -> bool:
        if len(accuracies) == 1:
            rule.reset()
        wrong = np.arange(rows[-1]) < round((1 - accuracies[-1]) * rows[-1])
        return rule.update(rng.permutation(wrong).astype(int)).drift

    return alarm


def proactive(threshold: float, confidence: float) -> Rule:
    """Retrain when the KPI of the next block is forecast to be under the threshold; without a forecast, the plain rule."""

    def alarm(accuracies: list[float], rows: list[int], earlier: list[Version]) -> bool:
        forecast = crossing.ahead(accuracies, rows, threshold=threshold, earlier=earlier, lead_blocks=LEAD, confidence=confidence)
        return accuracies[-1] < threshold if forecast.source == "none" else crossing.due(forecast, LEAD)

    return alarm


def lifetimes(earlier: list[Version], threshold: float) -> list[Lifetime]:
    """The lifetimes of earlier versions."""
    return [crossing.lifetime(accuracies, threshold=threshold) for accuracies, _ in earlier]


def counts(tables: list[Table], rule: Callable[[], Rule], threshold: float) -> tuple[float, float]:
    """Mean retrains and mean blocks under the threshold."""
    walked = [walk(table, rule()) for table in tables]
    return float(np.mean([len(versions) - 1 for _, versions in walked])), float(np.mean([np.sum(served < threshold) for served, _ in walked]))


def rows(name: str, tables: list[Table], threshold: float) -> list[list[str]]:
    """The rows of the proactive policy: its figures, and the reactive rules' blocks under the threshold at its number of retrains."""
    rivals = (plain, significant)
    curves = [[counts(tables, partial(rule, at), threshold) for at in THRESHOLDS] for rule in rivals]
    retrains, under = counts(tables, partial(plain, threshold), threshold)
    made = [[name, f"plain rule at {threshold:g}", f"{retrains:.1f}", f"{under:.1f}", "–", "–"]]
    for confidence in CONFIDENCES:
        retrains, under = counts(tables, partial(proactive, threshold, confidence), threshold)
        cells = ("–" if math.isnan(value) else f"{value:.1f}" for value in (at_count(curve, retrains) for curve in curves))
        made.append([name, f"proactive, confidence {confidence:g}", f"{retrains:.1f}", f"{under:.1f}", *cells])
        script.say(" ".join(made[-1]))
    return made


def at_count(curve: list[tuple[float, float]], retrains: float) -> float:
    """Blocks under the threshold at a number of retrains, interpolated between a rule's thresholds; nan out of their range."""
    xs, ys = np.array(sorted(curve)).T
    return float(np.interp(retrains, xs, ys, left=math.nan, right=math.nan))
