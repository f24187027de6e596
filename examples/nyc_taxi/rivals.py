"""Baselines of the taxi model: plain means, and the linear regression of the course behind this example.

Each is fitted on trips (N, F), the zones and hours as codes, and minutes (N,), and returns a function from trips to minutes.

Raises:
    SettingsError: the trips have other columns.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.linear_model import LinearRegression

from driftloop.errors import SettingsError
from examples.nyc_taxi.cleaning import FEATURES

Guess = Callable[[np.ndarray], np.ndarray]
ZONES, HOURS = 1000, 100  # factors to encode a zone pair and an hour as one number


def mean_by_zones_and_hour(rows: np.ndarray, minutes: np.ndarray) -> Guess:
    """The mean by pick-up zone, drop-off zone and hour; if unseen, the mean of the two zones, or of all trips."""
    pairs, hours = _pairs(rows), _pairs(rows) * HOURS + rows[:, 3].astype(np.int64)
    given = pd.Series(minutes)
    by_hour, by_pair, mean = given.groupby(hours).mean(), given.groupby(pairs).mean(), float(given.mean())

    def guess(asked: np.ndarray) -> np.ndarray:
        pair = pd.Series(_pairs(asked))
        return (pair * HOURS + asked[:, 3].astype(np.int64)).map(by_hour).fillna(pair.map(by_pair)).fillna(mean).to_numpy()

    return guess


def linear_regression(rows: np.ndarray, minutes: np.ndarray) -> Guess:
    """Least squares on the zone pair (one-hot; all zeros for an unknown pair) and the distance."""
    pairs = pd.Index(np.unique(_pairs(rows)))

    def encoded(trips: np.ndarray) -> sparse.csr_matrix:
        found = pairs.get_indexer(_pairs(trips))
        known = np.flatnonzero(found >= 0)
        one_hot = sparse.csr_matrix((np.ones(len(known)), (known, found[known])), shape=(len(trips), len(pairs)))
        return sparse.hstack([one_hot, trips[:, 2:3].astype(np.float64)]).tocsr()

    model = LinearRegression().fit(encoded(rows), minutes)
    return lambda asked: model.predict(encoded(asked))


def _pairs(rows: np.ndarray) -> np.ndarray:
    if rows.shape[1] != len(FEATURES):
        raise SettingsError(f"the taxi's baselines need the features {', '.join(FEATURES)}: omit --features and --leave_out")
    return rows[:, 0].astype(np.int64) * ZONES + rows[:, 1].astype(np.int64)
