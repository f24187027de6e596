"""Is a row's being right related to its period, given its inputs? If so, P(Y|X) has moved.

Each row gives two residuals: right or wrong less the chance of being right, and current or not less the chance of being current,
both given the inputs. Their products have mean zero when the period tells nothing more, and still nearly so when only one of
the two chances is well estimated; no small denominator lets a few rows decide. The products are summed plainly, and once more
with the sign and size that other folds foretell, which finds a change that is up here and down there.

Three things are estimated for each fold, from other folds in a circle: the chance of being current from those beside it, the chance
of being right from those farther off, what is foretold from the next two. So no row tells both chances of another, and no pair of
rows counts twice, once either way round: else the sum would vary more than its terms show.

Shah, Peters: The hardness of conditional independence testing and the generalised covariance measure. Annals of Statistics 48, 2020.
Scheidegger, Hoerrmann, Buehlmann: The weighted generalised covariance measure. JMLR 23, 2022 (foretold weights).
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


def p_value(rows: np.ndarray, correct: np.ndarray, domain: Domain) -> float:
    """The chance of such sums if right and wrong depend on the inputs as before, the smaller of the two doubled.

    Args:
        rows: (N + M, F) the reference rows, then the current ones.
        correct: (N + M,) 0.0 or 1.0; or what each row costs, whose expectation is then meant by "the chance of being right".
        domain: the domain classifier of these rows.
    """
    reference, folds = len(domain.weights), domain.folds.count
    is_current = np.arange(len(rows)) >= reference
    chance = special.expit(domain.log_odds((1, folds - 1)))
    residual = correct - expected(rows, correct, domain, steps=range(2, folds - 1))
    product = residual * (is_current - chance)
    before, now = (expected(rows, correct, domain, of=of, steps=range(1, (folds + 1) // 2)) for of in (~is_current, is_current))
    memory = dependence.memory([residual[:reference], residual[reference:]])
    length = max(domain.folds.block_rows, memory.length)
    wider = math.sqrt(memory.widening(length))
    plain, foretold = (_t_value(values, reference, length) / wider for values in (product, product * (now - before)))
    degrees = max(len(rows) // length - 1, 1)
    return min(1.0, 2 * float(min(2 * stats.t.sf(abs(plain), degrees), stats.t.sf(foretold, degrees))))


def expected(rows: np.ndarray, correct: np.ndarray, domain: Domain, *, of: np.ndarray | None = None, steps: Collection[int] = ()) -> np.ndarray:
    """Chance of being right on each row, (N + M,), by fits without the row's fold.

    Args:
        rows: (N + M, F).
        correct: (N + M,).
        domain: whose folds are taken.
        of: (N + M,) True for the rows that are fitted on; without it all are.
        steps: as in `Folds.splits`.
    """
    found = np.empty(len(rows))
    for fitted, held in domain.folds.splits(steps):
        chosen = fitted if of is None else fitted[of[fitted]]
        found[held] = _chance(rows[chosen], correct[chosen], rows[held])
    return found


def _chance(rows: np.ndarray, correct: np.ndarray, asked: np.ndarray) -> np.ndarray:
    if correct.min() == correct.max():
        # Half a row of each kind more: all right is no certainty.
        return np.full(len(asked), (correct.sum() + 0.5) / (len(correct) + 1))
    size: dict[str, Any] = {"learning_rate": 0.2, "max_iter": 10, "max_leaf_nodes": 8, "max_bins": 31, "l2_regularization": 5, "early_stopping": False}
    if not np.isin(correct, (0, 1)).all():
        return HistGradientBoostingRegressor(**size).fit(rows, correct).predict(asked)
    return HistGradientBoostingClassifier(**size).fit(rows, correct).predict_proba(asked)[:, 1]


def _t_value(values: np.ndarray, reference: int, length: int) -> float:
    """Sum over its standard error, from sums of blocks that do not cross from reference to current."""
    sides = (values[:reference], values[reference:])
    sums = np.concatenate([np.add.reduceat(side, dependence.cuts(len(side), length)[:-1]) for side in sides])
    spread = float(np.sqrt(np.square(sums - sums.mean()).sum() * len(sums) / (len(sums) - 1)))
    return float(sums.sum()) / spread if spread > 0 else 0.0
