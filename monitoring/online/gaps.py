"""What is missing and what is new to the model among the newest values of each feature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.vocabulary import Vocabulary


@dataclass(frozen=True)
class Gap:
    """The shares of one feature; nan without rows."""

    feature: str
    missing: float  # of the rows
    unseen: float  # of the values that there are: texts that the model has not learned; nan of a feature without texts


def of_rows(rows: np.ndarray, vocabulary: Vocabulary, names: Sequence[str]) -> tuple[Gap, ...]:
    """The gaps of each feature.

    Args:
        rows: (N, F) in the codes of the vocabulary, nan where missing.
        vocabulary: begun with the texts that the model has learned.
        names: (F,) of the features.
    """
    absent = np.isnan(rows)
    found = []
    for at, name in enumerate(names):
        there = rows[~absent[:, at], at]
        unseen = float((there >= vocabulary.known[at]).mean()) if vocabulary.is_coded(at) and len(there) else math.nan
        found.append(Gap(name, float(absent[:, at].mean()) if len(rows) else math.nan, unseen))
    return tuple(found)
