"""Reads a table of costs such as "good:bad=5,bad:good=1": true label, predicted label, and what such a row costs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

import numpy as np

from driftloop.errors import SettingsError

EXAMPLE = "'good:bad=5,bad:good=1' (true:predicted=cost)"


def read_costs(text: str, labels: Sequence[object], *, name: str = "--cost") -> np.ndarray:
    """The cost of each pair of true and predicted label, (K, K) float64; pairs that are not given cost 0.

    Args:
        text: pairs, comma-separated; a pair whose labels contain a comma, in double quotes.
        labels: the K names of the labels, in the order of their codes.
        name: of the setting, for messages.

    Raises:
        SettingsError: the text is empty or has another form, a label is unknown, a pair is given twice, or a cost is negative or not finite; or no wrong
            prediction costs anything.

    >>> read_costs("good:bad=5,bad:good=1", ["bad", "good"]).tolist()
    [[0.0, 1.0], [5.0, 0.0]]
    """
    if not text.strip():
        raise SettingsError(f"--kpi cost needs {name}: give what wrong predictions cost, such as {EXAMPLE}")
    codes = {str(label): code for code, label in enumerate(labels)}
    found: dict[tuple[int, int], float] = {}
    for part in _parts(text):
        pair, equals, cost = part.rpartition("=")
        at = _labels(pair.strip(), codes)
        if not equals or at is None:
            known = ", ".join(codes) if len(codes) <= 10 else f"{', '.join(list(codes)[:10])}, …"
            raise SettingsError(f"{name}: {part.strip()!a:.80} is not true:predicted=cost with labels of this table ({known}): write it as {EXAMPLE}")
        if at in found:
            raise SettingsError(f"{name}: {pair.strip()!a:.80} is given twice: give one cost")
        found[at] = _cost(part.strip(), cost, name)
    costs = np.zeros((len(codes), len(codes)))
    for at, value in found.items():
        costs[at] = value
    if not (costs - costs.diagonal()[:, None] > 0).any():
        raise SettingsError(f"{name} {text!a:.80}: no wrong prediction costs more than a right one: give the cost of at least one, such as {EXAMPLE}")
    return costs


def written(costs: np.ndarray, labels: Sequence[object]) -> str:
    """The text of a cost table, (K, K): the same for the same costs, in the order of the codes; `read_costs` reads it.

    >>> written(read_costs("good:bad=5.50, 0:good=1", ["0", "bad", "good"]), ["0", "bad", "good"])
    '0:good=1.0,good:bad=5.5'
    """
    return _joined([f"{labels[true]}:{labels[guess]}={float(costs[true, guess])!r}" for true, guess in np.argwhere(costs != 0)])


def ordered(text: str) -> str:
    """The same pairs in one order and with one spacing.

    >>> ordered('b:a=1,  "a, c:b=2"')
    '"a, c:b=2",b:a=1'
    """
    return _joined(sorted(part.strip() for part in _parts(text)))


def _parts(text: str) -> list[str]:
    (parts,) = csv.reader([" ".join(text.split())], skipinitialspace=True)
    return list(filter(str.strip, parts))


def _joined(parts: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(parts)
    return text.getvalue()


def _labels(pair: str, codes: dict[str, int]) -> tuple[int, int] | None:
    """The codes of "true:predicted"; a label may itself contain a colon."""
    for at in (at for at, character in enumerate(pair) if character == ":"):
        true, predicted = _code(pair[:at].strip(), codes), _code(pair[at + 1 :].strip(), codes)
        if true is not None and predicted is not None:
            return true, predicted
    return None


def _code(label: str, codes: dict[str, int]) -> int | None:
    """A label's code; a number may be written in another way, such as 1.0 for 1."""
    if label in codes:
        return codes[label]
    numbers = {_number(known): code for known, code in codes.items()}
    return numbers.get(number) if (number := _number(label)) is not None else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _cost(part: str, text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value >= 0 and math.isfinite(value)):
        raise SettingsError(f"{name}: the cost in {part!a:.80} is {text.strip()!a:.40}: give a finite number of at least 0")
    return value
