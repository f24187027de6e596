"""Tests whether a feature's distribution has moved: a distance per feature against its null under no drift.

The null is a block permutation: the rows of reference and current are cut into nearly independent blocks, and whole blocks
are permuted between the sides. It holds for any number of rows and under autocorrelation, where tabulated p-values and fixed
limits (PSI over 0.2) do not. Each block is reduced to its histogram, so all permutations are one matrix product.

Lahiri: Resampling Methods for Dependent Data. Springer, 2003 (blocks). Phipson, Smyth: Permutation p-values should never be zero.
Statistical Applications in Genetics and Molecular Biology 9, 2010. Besag, Clifford: Sequential Monte Carlo p-values. Biometrika 78,
1991. Holm: A simple sequentially rejective multiple test
procedure. Scandinavian Journal of Statistics 6, 1979 (many features; holds whatever their dependence).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import aspects, distances, levels, shift_words
from driftloop.drift.inputs.aspects import Aspect
from driftloop.drift.inputs.distances import Statistic
from driftloop.drift.inputs.permutation import Draws


@dataclass(frozen=True)
class FeatureTest:
    """Test of one feature; p-values are nan where there were too few rows.

    Distance and statistic are those of its values, the p-values those of the whole feature: of its values, and of the missing and the unseen
    ones where there are any (`aspects`).
    """

    feature: str
    statistic: str  # ks, psi, js or wasserstein of a number; tv, js or psi of a category
    distance: float
    p_value: float
    corrected: float  # the p-value after Holm's correction for all features
    moved: bool  # corrected <= alpha
    message: str
    aspects: tuple[Aspect, ...] = ()  # what was tested; empty where nothing is known of the columns
    kind: str = ""  # category or boolean; empty of a number

    @property
    def untold(self) -> bool:
        """Whether the rows were too few for the feature, or for a part of it."""
        return math.isnan(self.p_value) or any(math.isnan(aspect.p_value) for aspect in self.aspects)

    @property
    def farthest(self) -> float:
        """The largest distance among what has moved, 0..1 for KS and total variation; the distance of the values where nothing has."""
        return max((aspect.distance for aspect in self.aspects if aspect.moved), default=self.distance)

    @property
    def words(self) -> str:
        """What moved: "load by KS 0.31", "category fuel: diesel 40 % → 22 %, electric 12 % → 31 %", "load: missing 2 % → 14 %"."""
        return shift_words.feature(self.feature, self.statistic, self.distance, [(one.moved, one.words) for one in self.aspects], kind=self.kind)


def compare(
    reference: np.ndarray,
    current: np.ndarray,
    *,
    names: Sequence[str],
    columns: Sequence[Column] = (),
    known: Sequence[int] = (),
    statistic: Statistic = "ks",
    alpha: float = 0.05,
    permutations: int = 999,
    seed: int = 7,
    block_rows: int | None = None,
) -> tuple[FeatureTest, ...]:
    """Test every feature for a difference between reference and current rows.

    Args:
        reference: (N, F) numbers in time order; whole numbers and booleans are taken as they are.
        current: (M, F) likewise.
        names: (F,) the features' names.
        columns: (F,) what they hold. By default numbers, none of them missing. Categories and booleans are then compared as such, and nan is a
            missing value. Each category needs a code of its own, unknown ones too: all of them under one code look like a category that moved.
        known: (F,) the codes 0 up that the model has learned, of each category; by default, and where 0, all that the columns have a name for.
        statistic: "ks", "psi", "js" or "wasserstein" of numbers, see `distances`; categories have total variation, or "js" and "psi" as well.
        alpha: probability, in (0, 1), that any feature is reported as moved when none has (family-wise).
        permutations: number of permutations; more are drawn when alpha and the number of features need them and the distance is extreme.
        seed: of the permutations.
        block_rows: rows a block; by default from each column's own autocorrelation.

    Returns:
        one test per feature, in the order of `names`; without rows on either side every p-value is nan.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or an argument outside its range.

    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.standard_normal((300, 2)), rng.standard_normal((300, 2)) + [0, 1]
    >>> [test.moved for test in compare(old, new, names=("still", "moving"))]
    [False, True]
    """
    reference, current = checked(reference, current, features=len(names), missing=bool(columns))
    _check(alpha, statistic=statistic, permutations=permutations, block_rows=block_rows)
    if columns and len(columns) != len(names):
        raise ValueError(f"there are {len(columns)} columns and {len(names)} names: one of each is needed")

    @functools.cache
    def draws(questions: int) -> Draws:
        level = alpha / len(names) / questions  # what Holm requires of the smallest p-value
        return Draws(level, max(permutations, math.ceil(2 / level)), seed)

    tests = []
    for i, name in enumerate(names):
        column = columns[i] if columns else Column(name, "feature", "number")
        asked = aspects.of(reference[:, i], current[:, i], column, known=known[i] if known else None, statistic=statistic, block_rows=block_rows)
        answers = tuple(question(draws(len(asked))) for question in asked)
        tests.append(_test(name, answers, column.kind if levels.are_levels(column) else "", told=bool(columns), alpha=alpha))
    return tuple(replace(test, message=test.message + _tail(test.corrected, len(names))) for test in corrected(tests, alpha=alpha))


def corrected(tests: Sequence[FeatureTest], *, alpha: float) -> tuple[FeatureTest, ...]:
    """The tests after Holm's correction for all of them."""
    return tuple(_decided(test, fixed, alpha) for test, fixed in zip(tests, holm([test.p_value for test in tests]), strict=True))


def _test(name: str, answers: tuple[Aspect, ...], kind: str, *, told: bool, alpha: float) -> FeatureTest:
    """The test of a feature before correction for the others; that for its own aspects is Bonferroni's."""
    known = [aspect.p_value for aspect in answers if not math.isnan(aspect.p_value)]
    p = min(1.0, len(answers) * min(known)) if known else math.nan
    if len(known) < len(answers) and p > alpha:  # where a part could not be tested, that the others have not moved is no answer
        p = math.nan
    message = f"{name}: {'; '.join(one.message for one in answers)}"
    return FeatureTest(name, answers[0].statistic, answers[0].distance, p, p, False, message, answers if told else (), kind)


def _decided(test: FeatureTest, fixed: float, alpha: float) -> FeatureTest:
    moved = bool(fixed <= alpha)
    raised = fixed / test.p_value if moved else 1.0
    within = holm([aspect.p_value for aspect in test.aspects]) if test.aspects else []
    parts = tuple(replace(aspect, moved=moved and bool(p * raised <= alpha * (1 + 1e-9))) for aspect, p in zip(test.aspects, within, strict=True))
    return replace(test, corrected=fixed, moved=moved, aspects=parts)


def checked(reference: np.ndarray, current: np.ndarray, *, features: int, missing: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The two as arrays of floats, shape (N, features) and (M, features); nan is a missing value where there may be such.

    Raises:
        ValueError: wrong shape, not numbers, or a value that is not finite; the message says where.
    """
    both = []
    for side, rows in (("reference", reference), ("current", current)):
        array = np.asarray(rows)
        if not features:
            raise ValueError(f"{side} has no columns: give at least one feature")
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{side} holds {array.dtype}: numbers are needed")
        if array.ndim != 2 or array.shape[1] != features:
            raise ValueError(f"{side} has shape {array.shape}: (rows, {features}) is needed, a column for each name")
        bad = np.isinf(array) if missing else ~np.isfinite(array)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise ValueError(f"{side} row {row}, column {column} is {array[row, column]}: leave such rows out or fill them first")
        both.append(array if array.dtype.kind == "f" else array.astype(np.float64))
    return both[0], both[1]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-corrected p-values, in the order given; a nan counts as a test and stays nan.

    >>> [round(p, 3) for p in holm([0.04, 0.01, 0.03])]
    [0.06, 0.03, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)  # nan last
    raised = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    corrected = np.empty(len(p))
    corrected[order] = raised
    return corrected.tolist()


def _check(alpha: float, *, statistic: str, permutations: int, block_rows: int | None) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha:g}: it must lie in (0, 1)")
    if statistic not in get_args(Statistic):
        raise ValueError(f"statistic is {statistic!r}: give one of {', '.join(distances.STATISTICS)}")
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}: give at least 1")
    if block_rows is not None and block_rows < 1:
        raise ValueError(f"block_rows is {block_rows}: give at least 1")


def _tail(corrected: float, features: int) -> str:
    return f", {corrected:.2g} after correction for {features} features" if features > 1 and not math.isnan(corrected) else ""
