"""Tests whether the joint distribution of the features has moved: a classifier of current against reference rows.

When nothing has moved, its area under the ROC curve (AUC) on held-out rows is about 0.5. It detects changes that single features do
not show, such as a correlation that changed sign. Its odds are also the density ratio that reweights the reference rows to the
current inputs.

Each fold is a stretch of time of both sides; the blocks next to a fold are left out of its fit, so that nothing leaks from
neighbouring rows. The null permutes whole blocks inside the folds and refits each time.

Lopez-Paz, Oquab: Revisiting classifier two-sample tests. ICLR 2017. Bickel, Brueckner, Scheffer: Discriminative learning under
covariate shift. JMLR 10, 2009 (odds as density ratio). Kish: Survey Sampling. Wiley, 1965 (effective sample size).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import dependence, design
from driftloop.drift.inputs.distribution import checked

FOLDS: Final = 5
_LEAST_BLOCKS = 8  # of each side: four folds of two
LARGEST_WEIGHT: Final = 20.0  # largest weight of a reference row
_RIDGE = 100.0  # of the discriminant that is tested
_PENALTY = 0.05  # sklearn's C: fits little noise, and weights stay near 1 where nothing moved


@dataclass(frozen=True, eq=False)
class Folds:
    """Stretches of time: fold k has the k-th stretch of the reference and of the current rows, in whole blocks.

    >>> folds = Folds.cut(6, 6, block_rows=1, most=3)
    >>> [(fitted.tolist(), held.tolist()) for fitted, held in folds.splits()][0]
    ([3, 4, 5, 9, 10, 11], [0, 1, 6, 7])
    >>> [(fitted.tolist(), held.tolist()) for fitted, held in folds.splits([1])][0]
    ([3, 9], [0, 1, 6, 7])
    """

    count: int
    block_rows: int
    first: int  # the first current block
    block: np.ndarray  # (N + M,) each row's block, numbered across both sides, the reference first
    of_block: np.ndarray  # (blocks,) 0..count-1

    @classmethod
    def cut(cls, reference: int, current: int, *, block_rows: int, most: int) -> Folds:
        """At most `most` folds of at least two blocks of each side."""
        cuts = [dependence.cuts(side, block_rows) for side in (reference, current)]
        blocks = [len(one) - 1 for one in cuts]
        count = min(most, min(blocks) // 2)
        block = np.repeat(np.arange(sum(blocks)), np.concatenate([np.diff(one) for one in cuts]))
        return cls(count, block_rows, blocks[0], block, np.concatenate([np.arange(side) * count // side for side in blocks]))

    def splits(self, steps: Collection[int] = ()) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices of the rows to fit on and of those held out, for each fold; the blocks next to the fold are in neither.

        The fit uses all other folds, or only those `steps` further on, cyclically: 1 is the next, `count` - 1 the last.
        """
        for fold in range(self.count):
            held = np.flatnonzero(self.of_block == fold)
            near = np.concatenate([held, held[held != self.first] - 1, held[held != self.first - 1] + 1])
            further = (self.of_block - fold) % self.count
            allowed = np.isin(further, list(steps)) if steps else further > 0
            allowed[near[(near >= 0) & (near < len(allowed))]] = False
            yield np.flatnonzero(allowed[self.block]), np.flatnonzero(self.of_block[self.block] == fold)


@dataclass(frozen=True, eq=False)
class Domain:
    """How well current rows are separated from reference rows."""

    auc: float  # mean of the folds, 0.5: not separable; nan without enough rows
    p_value: float  # one-sided, from permuted blocks
    weights: np.ndarray  # (N,) density ratio current to reference at each reference row, mean 1
    reached: float  # share of the current inputs covered by reference rows, 0..1
    effective_rows: float  # effective sample size of the N reference rows under the current inputs
    inputs: np.ndarray  # (N + M, columns) what the classifier sees, reference rows first
    folds: Folds
    message: str

    def log_odds(self, steps: Collection[int] = ()) -> np.ndarray:
        """Log odds that each row is current, (N + M,), from logistic fits that exclude its fold; `steps` as in `Folds.splits`."""
        return _log_odds(self.inputs, self.folds, reference=len(self.weights), steps=steps)


def classify(
    reference: np.ndarray,
    current: np.ndarray,
    *,
    columns: Sequence[Column] = (),
    folds: int = FOLDS,
    permutations: int = 499,
    seed: int = 7,
    block_rows: int | None = None,
) -> Domain:
    """Fit the classifier fold by fold and test its area under the curve.

    Args:
        reference: (N, F) finite numbers in time order.
        current: (M, F) likewise.
        columns: (F,) what they hold. By default numbers; otherwise categories are taken as such, and nan is a missing value.
        folds: stretches of time, at least 4; fewer are made when there are fewer than two blocks a fold.
        permutations: permutations of the blocks.
        seed: of the permutations.
        block_rows: rows a block; by default the longest that any column's autocorrelation requires.

    Returns:
        the test and the weights. With fewer than eight blocks on a side the statistics are nan and the weights 1.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or an argument outside its range.

    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.standard_normal((400, 2)), rng.standard_normal((400, 2)) @ [[1, 0.9], [0, 0.4]]
    >>> found = classify(old, new)  # each column for itself has hardly moved
    >>> found.auc > 0.6, found.p_value
    (True, 0.002)
    """
    if folds < 4 or permutations < 1 or (block_rows is not None and block_rows < 1):
        raise ValueError(f"folds {folds}, permutations {permutations}, block_rows {block_rows}: at least 4, 1 and 1")
    reference, current = checked(reference, current, features=np.shape(reference)[1] if np.ndim(reference) == 2 else 0, missing=bool(columns))
    memory = dependence.Memory(block_rows, 0.0) if block_rows else design.memory(reference, current, columns)
    if min(len(reference), len(current)) < _LEAST_BLOCKS * memory.length:
        return _unknown(reference, current, memory.length)
    rows = dependence.equal_rows(len(reference), len(current), memory.length)
    split = Folds.cut(len(reference), len(current), block_rows=rows, most=folds)
    inputs = design.of(np.concatenate([reference, current]), columns)
    auc, null = _auc(split, inputs, permutations=permutations, seed=seed)
    p = dependence.p_value(auc, 0.5 + (null - 0.5) * memory.widening(rows))  # the AUC without drift is a product of two deviations
    odds = _log_odds(inputs, split, reference=len(reference))
    weights = density_ratio(odds[: len(reference)], len(reference) / len(current))
    # Over the reference a density ratio has mean 1; the shortfall is current mass without reference rows.
    reached = min(1.0, float(weights.mean()))
    effective = reached * float(weights.sum() ** 2 / np.square(weights).sum())
    weights /= weights.mean()
    message = f"domain classifier AUC {auc:.3f}, {dependence.told(p)} from {permutations} permutations of {len(split.of_block)} blocks of {rows} rows"
    return Domain(auc, p, weights, reached, effective, inputs, split, message)


def least_rows(reference: np.ndarray, current: np.ndarray, *, columns: Sequence[Column] = ()) -> int:
    """Rows that each side needs for `classify`, given the autocorrelation of the columns. Arguments as there."""
    return _LEAST_BLOCKS * design.memory(reference, current, columns).length


def density_ratio(score: np.ndarray, reference_per_current: float) -> np.ndarray:
    """Density of current to reference inputs from the log odds at reference rows, at most `LARGEST_WEIGHT`.

    >>> density_ratio(np.log([0.5, 1.0, 1000.0]), 1.0).tolist()
    [0.5, 1.0, 20.0]
    """
    return np.minimum(np.exp(np.minimum(score, 50.0)) * reference_per_current, LARGEST_WEIGHT)


def _unknown(reference: np.ndarray, current: np.ndarray, length: int) -> Domain:
    had = f"{len(reference)} reference and {len(current)} current rows in blocks of {length}"
    message = f"domain classifier cannot tell: {had}; needs at least {_LEAST_BLOCKS * length} rows of each"
    folds = Folds.cut(len(reference), len(current), block_rows=length, most=1)
    return Domain(math.nan, math.nan, np.ones(len(reference)), math.nan, math.nan, np.concatenate([reference, current]), folds, message)


def _log_odds(inputs: np.ndarray, folds: Folds, *, reference: int, steps: Collection[int] = ()) -> np.ndarray:
    odds = np.empty(len(inputs))
    for fitted, held in folds.splits(steps):
        model = LogisticRegression(C=_PENALTY, max_iter=300).fit(inputs[fitted], fitted >= reference)
        odds[held] = model.decision_function(inputs[held])
    return odds


def _auc(folds: Folds, inputs: np.ndarray, *, permutations: int, seed: int) -> tuple[float, np.ndarray]:
    """Mean AUC over the folds, and the same after each permutation of the blocks inside the folds, shape (permutations,).

    The classifier is the linear discriminant by least squares: linear in the labels, so that it can be refitted for every permutation.
    Permuting under fixed scores would be wrong: two folds that differ by chance in the same way raise each other's AUC.
    """
    current = np.empty((len(folds.of_block), permutations + 1), np.float32)
    for fold in range(folds.count):
        held = np.flatnonzero(folds.of_block == fold)
        now = held >= folds.first
        current[held, 0] = now
        current[held, 1:] = dependence.relabelled(seed + fold, int((~now).sum()), int(now.sum()), permutations).T
    rows, labels = inputs.astype(np.float32), current[folds.block]
    areas, rng = np.zeros(permutations + 1), np.random.default_rng(seed)
    for fitted, apart in folds.splits():
        held = rng.permutation(apart)  # ties rank in this order: not the reference first
        centre = rows[fitted].mean(axis=0)
        left, answers = rows[fitted] - centre, labels[fitted]
        matrix = left.T @ left + _RIDGE * np.eye(left.shape[1], dtype=np.float32)
        weights = np.linalg.solve(matrix, left.T @ (answers - answers.mean(axis=0)))
        areas += _areas((rows[held] - centre) @ weights, labels[held]) / folds.count
    return float(areas[0]), areas[1:]


def _areas(score: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Area under the curve (Mann-Whitney) of each column; ties rank in the order of the rows, which must not depend on the labels."""
    ordered = np.take_along_axis(labels, np.argsort(score, axis=0), axis=0)
    current = ordered.sum(axis=0, dtype=np.float64)
    ranks = np.arange(1.0, len(score) + 1) @ ordered
    return (ranks - current * (current + 1) / 2) / (current * (len(score) - current))
