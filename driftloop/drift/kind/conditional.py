"""Tests whether correctness depends on the period given the inputs; if so, P(Y|X) has moved.

Each row gives two residuals given the inputs: correctness minus its predicted probability, and the period's indicator (1 = current)
minus its predicted probability. Their products have mean zero when the period adds no information, and nearly so when only one of
the two probabilities is well estimated; no small denominator lets a few rows dominate. The products are summed unweighted, and again
with the sign and size predicted by other folds, which finds changes of opposite sign in different regions.

Three quantities are estimated for each fold from other folds, cyclically: the probability of being current from its neighbours, the
probability of being right from folds farther away, the weights from the next two. So no row contributes to both probabilities of
another, and no pair of rows counts twice: otherwise the sum would vary more than its terms show.

Shah, Peters: The hardness of conditional independence testing and the generalised covariance measure. Annals of Statistics 48, 2020.
Scheidegger, Hoerrmann, Buehlmann: The weighted generalised covariance measure. JMLR 23, 2022 (predicted weights).
Newey, Robins: Cross-fitting and fast remainder rates for semiparametric estimation. 2018 (other rows for each chance).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
from scipy import special, stats
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from driftloop.drift.inputs import dependence
from driftloop.drift.inputs.domain import Domain
from driftloop.drift.kind import trees
from driftloop.drift.kind.trees import TreeRows


def p_value(rows: TreeRows, correct: np.ndarray, domain: Domain) -> float:
    """The p-value of these sums if correctness depends on the inputs as before: twice the smaller of the two.

    Args:
        rows: the N reference rows, then the M current ones.
        correct: (N + M,) 0.0 or 1.0; or losses, whose expectation then replaces the probability of being right.
        domain: the domain classifier of these rows.
    """
    reference, folds = len(domain.weights), domain.folds.count
    is_current = np.arange(len(correct)) >= reference
    chance = special.expit(domain.log_odds((1, folds - 1)))
    residual = correct - expected(rows, correct, domain, steps=range(2, folds - 1))
    product = residual * (is_current - chance)
    before, now = (expected(rows, correct, domain, of=of, steps=range(1, (folds + 1) // 2)) for of in (~is_current, is_current))
    memory = dependence.memory([residual[:reference], residual[reference:]])
    length = max(domain.folds.block_rows, memory.length)
    wider = math.sqrt(memory.widening(length))
    plain, foretold = (_t_value(values, reference, length) / wider for values in (product, product * (now - before)))
    degrees = max(len(correct) // length - 1, 1)
    return min(1.0, 2 * float(min(2 * stats.t.sf(abs(plain), degrees), stats.t.sf(foretold, degrees))))


def expected(rows: TreeRows, correct: np.ndarray, domain: Domain, *, of: np.ndarray | None = None, steps: Collection[int] = ()) -> np.ndarray:
    """Probability of being right on each row, (N + M,), from fits without the row's fold.

    Args:
        rows: N + M.
        correct: (N + M,).
        domain: whose folds are taken.
        of: (N + M,) True for the rows to fit on; all by default.
        steps: as in `Folds.splits`.
    """
    found = np.empty(len(correct))
    for fitted, held in domain.folds.splits(steps):
        chosen = fitted if of is None else fitted[of[fitted]]
        found[held] = _chance(rows.values[chosen], correct[chosen], rows.values[held], categorical=rows.categorical)
    return found


def _chance(rows: np.ndarray, correct: np.ndarray, asked: np.ndarray, *, categorical: np.ndarray | None) -> np.ndarray:
    if correct.min() == correct.max():
        # Half a row of each kind added: "all right" is not certainty.
        return np.full(len(asked), (correct.sum() + 0.5) / (len(correct) + 1))
    empty = np.isnan(rows).all(axis=0)  # such a column has no bins
    if empty.any():
        rows, asked = (np.where(empty, 0.0, side) for side in (rows, asked))
    size: dict[str, Any] = {"learning_rate": 0.2, "max_iter": 10, "max_leaf_nodes": 8, "l2_regularization": 5, "early_stopping": False}
    size |= {"max_bins": trees.BINS, "categorical_features": categorical}
    if not np.isin(correct, (0, 1)).all():
        return HistGradientBoostingRegressor(**size).fit(rows, correct).predict(asked)
    return HistGradientBoostingClassifier(**size).fit(rows, correct).predict_proba(asked)[:, 1]


def _t_value(values: np.ndarray, reference: int, length: int) -> float:
    """Sum divided by its standard error, from sums of blocks that do not cross from reference to current."""
    sides = (values[:reference], values[reference:])
    sums = np.concatenate([np.add.reduceat(side, dependence.cuts(len(side), length)[:-1]) for side in sides])
    spread = float(np.sqrt(np.square(sums - sums.mean()).sum() * len(sums) / (len(sums) - 1)))
    return float(sums.sum()) / spread if spread > 0 else 0.0
