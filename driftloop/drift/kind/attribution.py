"""Attributes a change of the KPI to the inputs by feature, and to segments: what moved inputs explain (P(X)), and what is left (P(Y|X)).

A model of the KPI of a row given its inputs is learned on the reference rows (gradient boosting, each row predicted without its own stretch of
time). Then, exactly,

    change = (mean prediction of the current rows - that of the reference rows)     the inputs' part
           + (mean residual of the current rows - that of the reference rows)       the rest: the labels depend on the inputs in another way

The inputs' part is split by Shapley values: starting from a reference row, its features are replaced one by one, in random order, by those of a
current row; a feature's share is the mean change of the prediction when it is replaced. Joint moves are shared among the features (Shapley 1953;
Budhathoki, Janzing, Bloebaum, Ng: Why did the distribution change? AISTATS 2021). Both parts are split by segment as sums over its rows.

The importance of a feature is the share of the predictions' variance that is lost without it (total effect; Jansen: Analysis of variance designs for
model output, Computer Physics Communications 117, 1999). A feature that drifts far and matters little explains nothing.

The intervals are from a bootstrap of stretches of rows, with the model's own error from its fits without one stretch each (delete-a-group jackknife;
Kott: The delete-a-group jackknife, Journal of Official Statistics 17, 2001).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import dependence, distances, levels
from driftloop.drift.kind import trees
from driftloop.drift.kind.decomposition import KpiPart
from driftloop.drift.kind.trees import TreeRows

LEAST_ROWS: Final = 200  # of each side
STRETCHES: Final = 5  # of the reference rows: each is predicted by a model of the others
MOST_FITTED: Final = 100_000  # reference rows that the model is learned from, at equal distances
PAIRS: Final = 1500  # of a reference and a current row, each in `ORDERS` orders of the features and their reverses
ORDERS: Final = 2
MOST_PREDICTED: Final = 400_000  # rows along all paths
BOOTSTRAPS: Final = 499
MOST_BLOCKS: Final = 200  # of a side, in the bootstrap
BINS: Final = 128  # of a number, at least those of `trees`
LEVEL: Final = 0.05


@dataclass(frozen=True)
class FeaturePart:
    """What a feature's move did to the KPI, how far it moved (KS, total variation) and how much the KPI depends on it, 0..1."""

    name: str
    change: KpiPart
    distance: float
    importance: float


@dataclass(frozen=True)
class SegmentPart:
    """What a segment did to the KPI of all rows: by its inputs or its share of the rows, and by the rest."""

    column: str
    segment: str
    data: KpiPart
    concept: KpiPart


@dataclass(frozen=True)
class Attribution:
    """change = data + concept; the features' changes sum to `data`, the segments' of a column to `data` and to `concept`."""

    kpi: str  # what was split, in words
    change: KpiPart
    data: KpiPart
    concept: KpiPart
    features: tuple[FeaturePart, ...]  # the largest change first
    segments: tuple[SegmentPart, ...]  # the largest change first, by column

    def __str__(self) -> str:
        first = self.features[0]
        return f"{self.kpi} {self.change}: moved inputs explain {self.data}, the largest share {first.name} {first.change}; the rest is {self.concept}"


def attribute(
    reference: np.ndarray,
    current: np.ndarray,
    values: tuple[np.ndarray, np.ndarray],
    *,
    names: Sequence[str],
    columns: Sequence[Column] = (),
    segments: Mapping[str, tuple[np.ndarray, Sequence[str]]] = {},
    kpi: str = "accuracy",
    seed: int = 7,
) -> Attribution | None:
    """Attribute the change of the mean of `values`; None with fewer than `LEAST_ROWS` rows on a side or without a feature.

    Args:
        reference: (N, F) inputs in time order, nan where missing.
        current: (M, F) likewise.
        values: each row's part in the KPI, (N,) and (M,), such as 1 where the model was right.
        names: (F,) of the features.
        columns: (F,) what they hold; by default numbers.
        segments: by column the segment of each of the N + M rows, and the segments' names.
        kpi: what the mean of `values` is, in words.
        seed: of pairs, orders and resampling.

    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.standard_normal((3000, 2)), rng.standard_normal((3000, 2)) + [0.8, 0.8]
    >>> right = [(rng.random(3000) < np.where(rows[:, 0] > 0.5, 0.6, 0.9)).astype(float) for rows in (old, new)]
    >>> found = attribute(old, new, (right[0], right[1]), names=["hard", "idle"])  # the second moved as far, and does not matter
    >>> found.features[0].name, found.data.upper < 0, found.concept.lower < 0 < found.concept.upper
    ('hard', True, True)
    """
    if min(len(reference), len(current)) < LEAST_ROWS or not reference.shape[1]:
        return None
    rng, rows = np.random.default_rng(seed), trees.of(np.concatenate([reference, current]), columns)
    model = _LossModel(rows, values[0])
    sides = _Sides(model, np.concatenate(values), rng)
    whole = np.zeros(len(sides.values), np.int64)
    data, rest = (drawn[0] for drawn in sides.parts(whole, 1))
    moved = _shapley(model, sides, rng, whole=data)
    coded = [bool(columns) and levels.are_levels(column) for column in columns] or [False] * reference.shape[1]
    parts = [
        FeaturePart(str(name), _part(part), _distance(reference[:, at], current[:, at], coded=coded[at]), model.importance(at, rng))
        for at, (name, part) in enumerate(zip(names, moved, strict=True))
    ]
    found = []
    for column, (codes, labels) in segments.items():
        by = sides.parts(codes, len(labels))
        some = [SegmentPart(column, label, _part(inputs), _part(others)) for label, inputs, others in zip(labels, *by, strict=True)]
        found += sorted(some, key=lambda one: -abs(one.data.change + one.concept.change))
    return Attribution(kpi, _part(data + rest), _part(data), _part(rest), tuple(sorted(parts, key=lambda one: -abs(one.change.change))), tuple(found))


class _LossModel:
    """The KPI of a row given its inputs, from the reference rows: one fit for each stretch, without it."""

    def __init__(self, rows: TreeRows, values: np.ndarray) -> None:
        self.values, self.reference = rows.values, len(values)
        self.stretch = np.arange(self.reference) * STRETCHES // self.reference
        empty = np.isnan(rows.values[: self.reference]).all(axis=0)  # such a column has no bins
        self.values = np.where(empty, 0.0, self.values) if empty.any() else self.values
        size: dict[str, Any] = {"learning_rate": 0.1, "max_iter": 40, "max_leaf_nodes": 8, "min_samples_leaf": 20, "l2_regularization": 5}
        size |= {"early_stopping": False, "max_bins": BINS, "categorical_features": rows.categorical}
        step = -(-self.reference // MOST_FITTED)
        fitted = [np.flatnonzero(self.stretch != at)[::step] for at in range(STRETCHES)]
        self.fits = [HistGradientBoostingRegressor(**size).fit(self.values[: self.reference][some], values[some]) for some in fitted]

    def ask(self, rows: np.ndarray, stretch: np.ndarray) -> np.ndarray:
        """Predictions by the fits without these stretches."""
        found = np.empty(len(rows))
        for at, fit in enumerate(self.fits):
            if (stretch == at).any():
                found[stretch == at] = fit.predict(rows[stretch == at])
        return found

    def of_current(self) -> np.ndarray:
        """The current rows as each fit predicts them, (fits, M)."""
        return np.array([fit.predict(self.values[self.reference :]) for fit in self.fits])

    def importance(self, at: int, rng: np.random.Generator) -> float:
        """The share of the variance of the reference rows' predictions that is lost without the feature."""
        chosen = rng.integers(self.reference, size=min(PAIRS, self.reference))
        rows, stretch = self.values[chosen], self.stretch[chosen]
        other = rows.copy()
        other[:, at] = self.values[rng.permutation(chosen), at]
        predicted, changed = self.ask(rows, stretch), self.ask(other, stretch)
        spread = float(predicted.var())
        return min(float(np.square(predicted - changed).mean()) / 2 / spread, 1.0) if spread > 0 else 0.0


class _Sides:
    """Reference and current rows in stretches of time, and sums over them: as observed, then resampled."""

    def __init__(self, model: _LossModel, values: np.ndarray, rng: np.random.Generator) -> None:
        self.reference, self.values, self.now = model.reference, values, model.of_current()
        before = model.ask(model.values[: model.reference], model.stretch)
        self.mean, self.expected = before.mean(), np.concatenate([before, self.now.mean(axis=0)])
        residual = values - self.expected
        length = dependence.memory([residual[: model.reference], residual[model.reference :]]).length
        self.blocks = [_blocks(rows, length) for rows in (model.reference, len(values) - model.reference)]
        self.times = []  # how often each stretch of either side is drawn, (1 + B, stretches): once, then resampled
        for count in (int(block[-1]) + 1 for block in self.blocks):
            self.times.append(np.vstack([np.ones(count), rng.multinomial(count, np.full(count, 1 / count), BOOTSTRAPS)]))
        fits = len(self.now)
        heavy = np.sqrt((fits - 1) / rng.chisquare(fits - 1, (BOOTSTRAPS, 1)))  # few fits: Student's
        self.errors = np.vstack([np.zeros(fits), heavy * rng.standard_normal((BOOTSTRAPS, fits))]) * np.sqrt((fits - 1) / fits)

    def parts(self, codes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """For each code the inputs' part and the rest, (count, 1 + B): sums over its current rows, as a share of all, less those over the reference rows."""
        found = []
        for values in (self.expected - self.mean, self.values - self.expected):
            sides = zip((slice(0, self.reference), slice(self.reference, None)), self.blocks, self.times, strict=True)
            before, now = (_drawn_means(values[side], codes[side], count, block, times) for side, block, times in sides)
            found.append(now - before)
        by_fit = np.array([np.bincount(codes[self.reference :], weights=one, minlength=count) / self.now.shape[1] for one in self.now])
        unsure = self.errors @ (by_fit - by_fit.mean(axis=0))  # of the model: what it gives to one part it takes from the other
        return (found[0] + unsure).T, (found[1] - unsure).T


def _blocks(rows: int, length: int) -> np.ndarray:
    """The stretch of each row."""
    cuts = dependence.cuts(rows, max(length, rows // MOST_BLOCKS))
    return np.repeat(np.arange(len(cuts) - 1), np.diff(cuts))


def _drawn_means(values: np.ndarray, codes: np.ndarray, count: int, block: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The sum over the rows of each code, as a share of all rows, (1 + B, count)."""
    sums = np.zeros((int(block[-1]) + 1, count))
    np.add.at(sums, (block, codes), values)
    found: np.ndarray = (times @ sums) / (times @ np.bincount(block))[:, None]
    return found


def _part(drawn: np.ndarray) -> KpiPart:
    """The observed value, then the bootstrap's."""
    lower, upper = np.quantile(drawn[1:], [LEVEL / 2, 1 - LEVEL / 2])
    return KpiPart(float(drawn[0]), float(lower), float(upper))


def _shapley(model: _LossModel, sides: _Sides, rng: np.random.Generator, *, whole: np.ndarray) -> np.ndarray:
    """The share of each feature in the inputs' part, `whole`, (F, 1 + B): observed, then resampled."""
    features, current = model.values.shape[1], len(model.values) - model.reference
    pairs = max(min(PAIRS, MOST_PREDICTED // (2 * ORDERS * (features + 1))), 50)
    old = np.arange(pairs) * model.reference // pairs  # at equal distances, so that all of the time counts
    new, gained = model.reference + rng.permutation(np.arange(pairs) * current // pairs), np.zeros((pairs, features))
    for _ in range(ORDERS):
        order = rng.permuted(np.tile(np.arange(features), (pairs, 1)), axis=1)
        for way in (order, order[:, ::-1]):
            rows, before = model.values[old].copy(), model.ask(model.values[old], model.stretch[old])
            for step in way.T:
                rows[np.arange(pairs), step] = model.values[new, step]
                now = model.ask(rows, model.stretch[old])
                gained[np.arange(pairs), step] += (now - before) / (2 * ORDERS)
                before = now
    first, second = sides.times
    weights = first[:, sides.blocks[0][old]] * second[:, sides.blocks[1][new - model.reference]]
    drawn = (weights @ gained) / np.maximum(weights.sum(axis=1), 1)[:, None]
    sizes = np.abs(drawn[0])
    # Pairs are a sample of the rows: what they miss of each draw is shared in proportion.
    shared = sizes / sizes.sum() if sizes.sum() > 0 else np.full(features, 1 / features)
    found: np.ndarray = (drawn + (whole - drawn.sum(axis=1))[:, None] * shared).T
    return found


def _distance(reference: np.ndarray, current: np.ndarray, *, coded: bool) -> float:
    """KS of numbers, total variation of categories; or the difference of the shares of missing values, if that is larger."""
    absent = [np.isnan(side) for side in (reference, current)]
    missing = abs(float(absent[0].mean() - absent[1].mean()))
    old, new = (side[~gone] for side, gone in zip((reference, current), absent, strict=True))
    if not len(old) or not len(new):
        return missing
    both = np.concatenate([old, new])
    means, codes = (np.empty(0), levels.numbered(both)[0]) if coded else _binned(both)
    size = int(codes.max()) + 1
    before, now = (np.bincount(part, minlength=size).astype(float) for part in (codes[: len(old)], codes[len(old) :]))
    return max(missing, float(distances.distance("tv" if coded else "ks", before, now, means)))


def _binned(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    grid, codes = distances.grid(values, distances.BINS["ks"])
    return grid.means, codes
