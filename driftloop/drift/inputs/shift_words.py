"""Says what has moved in a feature, in the words of its kind: a number by a distance, a category by the shares of its values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from driftloop.data.schema.schema import Column, shown
from driftloop.drift.inputs import levels

_NAMED = 2  # values of a category whose shares are given
_NEW = 3  # new values that are named


def percent(*shares: float) -> list[str]:
    """Shares as percentages, with one more digit where it tells them apart.

    >>> percent(0.4, 0.22), percent(0.0004, 1.0), percent(0.1021, 0.1043)
    (['40 %', '22 %'], ['0.04 %', '100 %'], ['10.2 %', '10.4 %'])
    """
    for digits in range(2):
        found = [_percent(share, digits) for share in shares]
        if len(set(found)) == len(set(shares)):
            return found
    return [_percent(share, 0) for share in shares]


def _percent(share: float, digits: int) -> str:
    value = 100 * share
    if value >= 1 or not value:
        return f"{value:.{digits if value else 0}f} %"
    return f"{np.format_float_positional(value, precision=digits + 1, fractional=False, trim='-')} %"


def change(before: float, now: float) -> str:
    """Two shares, as "40 % → 22 %"; one where they are equal."""
    return " → ".join(dict.fromkeys(percent(before, now)))


def missing(before: float, now: float) -> str:
    """The share of rows without a value.

    >>> missing(0.02, 0.14)
    'missing 2 % → 14 %'
    """
    return f"missing {change(before, now)}"


def values(column: Column, codes: np.ndarray, before: np.ndarray, now: np.ndarray) -> str:
    """The values of a category whose shares differ most; of a boolean that of true.

    Args:
        column: with the names of its categories.
        codes: (L,) the values that there are.
        before: (L,) their shares.
        now: (L,) likewise.

    >>> fuel = Column("fuel", "feature", "category", categories=("diesel", "electric", "petrol"))
    >>> values(fuel, np.arange(3), np.array([0.4, 0.12, 0.48]), np.array([0.22, 0.31, 0.47]))
    'electric 12 % → 31 %, diesel 40 % → 22 %'
    """
    order = np.lexsort((-(before + now), -np.round(np.abs(now - before), 12)))[:_NAMED]
    if column.kind == "boolean":
        order = np.array([np.argmax(codes)])
    return ", ".join(f"{levels.name_of(column, codes[i])} {change(float(before[i]), float(now[i]))}" for i in order)


def unseen(column: Column, codes: np.ndarray, shares: np.ndarray, *, before: float) -> str:
    """The values that the model has not learned, the most frequent first.

    >>> unseen(Column("p", "feature", "category", categories=("a", "b", "c")), np.array([1, 2]), np.array([0.01, 0.02]), before=0.0)
    '3 % of values are new: c, b'
    """
    now = float(shares.sum())
    names = [levels.name_of(column, codes[i]) for i in np.argsort(-shares, kind="stable") if shares[i] > 0]
    more = f" and {len(names) - _NEW} more" if len(names) > _NEW else ""
    listed = f": {', '.join(names[:_NEW])}{more}" if names else ""
    return f"new values {change(before, now)}{listed}" if before else f"{percent(now)[0]} of values are new{listed}"


def feature(name: str, statistic: str, distance: float, parts: Sequence[tuple[bool, str]], *, kind: str = "") -> str:
    """A feature and what has moved in it; its values where nothing has.

    Args:
        name: of the feature.
        statistic: the distance of its values.
        distance: of them.
        parts: of each aspect, that of the values first: whether it has moved, and its words, "" for a number's values.
        kind: of the feature; "" for a number.

    >>> feature("load", "ks", 0.314, ()), feature("fuel", "tv", 0.1, [(True, "gas 2 % → 12 %"), (False, "missing 1 %")], kind="category")
    ('load by KS 0.31', 'category fuel: gas 2 % → 12 %')
    """
    moved = [words for moved, words in parts if moved] or [words for _, words in parts[:1]]
    by = f" by {statistic.upper()} {distance:.2f}" if not moved or "" in moved else ""
    told = "; ".join(words for words in moved if words)
    return f"{kind}{' ' * bool(kind)}{shown(name)}{by}{': ' * bool(told)}{told}"


def listed(sentences: Iterable[str]) -> str:
    """Several features in one sentence, cut by semicolons where one of them has a comma or colon itself."""
    parts = list(sentences)
    return ("; " if any({",", ":", ";"} & set(part) for part in parts) else ", ").join(parts)
