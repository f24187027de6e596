"""Reads a column of class labels: as numbers if all are numbers, else as texts; reports rows without a label and doubtful labels."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
import pandas as pd

from driftloop.errors import DataError

MOST_CLASSES: Final = 50
EXACT: Final = 2**53  # larger labels are kept as text: not every JSON parser keeps them exact
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LEADING_ZERO: Final = re.compile(r"[+-]?0\d", re.ASCII)
_MISSING: Final = frozenset({"", "?"})
# One program's missing value may be another's class: we do not guess.
_UNCLEAR: Final = frozenset({"na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "nil", "nat"})
_TOLD: Final = 3  # pairs of labels in a note


@dataclass(frozen=True, eq=False)
class Classes:
    """The label of each row, the faults of rows without one, and notes on the others."""

    values: np.ndarray  # (N,) int64, float64, or text as objects
    faults: dict[int, str]
    notes: tuple[str, ...] = ()


def read(column: pd.Series, *, declared: bool = False, missing: str = "the label is missing") -> Classes:
    """The label of each row: a number if every label of the column is one, else text without surrounding spaces.

    Whole numbers become int, so 0, "0" and 0.0 are the same class in every file format. With a leading zero in one of them ("007") all stay
    text. Labels that differ in case only are two classes, reported in a note.

    Args:
        column: as in the file.
        declared: its type says that every text is a class, as in Parquet or where an ARFF names its values; else "None", "NA" and the like,
            which may be classes or missing values, are faults.
        missing: the fault of a row without a label.

    Raises:
        DataError: there are more than `MOST_CLASSES` different labels, or they are neither single values nor text.

    >>> found = read(pd.Series(["UP ", "DOWN", None, "UP"]))
    >>> found.values, found.faults, found.notes
    (array(['UP', 'DOWN', '', 'UP'], dtype=object), {2: 'the label is missing'}, ("label 'UP ' is read as 'UP'",))
    >>> read(pd.Series([1.0, 0.0])).values
    array([1, 0])
    """
    try:
        codes, found = pd.factorize(column)
    except TypeError as exc:
        raise DataError(f"the label {column.name!r} holds lists or the like: give a column with one class a row") from exc
    raw = [_as_text(value, column.name) for value in found]
    texts = [text.strip() for text in raw] + [""]  # the last entry is for code -1, missing
    reasons = _without_infinite(texts, [_fault(text, declared=declared, missing=missing) for text in texts])
    labels, kind = _labels(texts, reasons)
    known = {label for label, reason in zip(labels, reasons, strict=True) if not reason}
    if len(known) > MOST_CLASSES:
        raise DataError(
            f"the label {column.name!r} has {len(known)} different values, which looks like regression: --task regression, or at most {MOST_CLASSES} classes"
        )
    values = np.array(labels, dtype=kind)[codes]
    faults = {int(row): reasons[codes[row]] for row in np.flatnonzero(np.array([bool(reason) for reason in reasons])[codes])}
    return Classes(values, faults, _notes(raw, labels, reasons, np.bincount(codes[codes >= 0], minlength=len(raw))))


def _as_text(value: object, name: object) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as exc:
            raise DataError(f"the label {name!r} holds bytes that are not UTF-8 text: give a column of texts or numbers") from exc
    return str(value)


def _fault(text: str, *, declared: bool, missing: str) -> str:
    if text == "" or (text in _MISSING and not declared):
        return missing
    if text.lower() in _UNCLEAR and not declared:
        return f"the label is {text!r}, which may be a class or mean missing: rename the class, or leave the field empty"
    return ""


def _without_infinite(texts: list[str], reasons: list[str]) -> list[str]:
    """The faults, with one more for each infinite number among finite ones; among texts "inf" is a class."""
    infinite = [text.lower().lstrip("+-") in {"inf", "infinity"} for text in texts]
    found = [reason or f"the label is {text!r}, not finite" * odd for text, reason, odd in zip(texts, reasons, infinite, strict=True)]
    return found if any(infinite) and _all_numbers(texts, found) else reasons


def _all_numbers(texts: list[str], reasons: list[str]) -> bool:
    used = [text for text, reason in zip(texts, reasons, strict=True) if not reason]
    numbers = bool(used) and all(_NUMBER.fullmatch(text) for text in used) and not any(_LEADING_ZERO.match(text) for text in used)
    return numbers and all(abs(Decimal(text)) < EXACT for text in used)


def _labels(texts: list[str], reasons: list[str]) -> tuple[list, type]:
    """The labels of distinct texts and their type; those of faulty texts are placeholders."""
    if not _all_numbers(texts, reasons):
        return list(texts), object
    numbers = [Decimal(text) if not reason else Decimal(0) for text, reason in zip(texts, reasons, strict=True)]
    if all(number == number.to_integral_value() for number in numbers):
        return [int(number) for number in numbers], np.int64
    return [float(number) for number in numbers], np.float64


def _looks(label: str) -> str:
    """Normal form of texts that look alike: case, Unicode composition, width of blanks and invisible characters ignored."""
    shown = "".join(sign for sign in unicodedata.normalize("NFKC", label) if unicodedata.category(sign) != "Cf")
    return " ".join(shown.casefold().split())


def _notes(raw: list[str], labels: list, reasons: list[str], counts: np.ndarray) -> tuple[str, ...]:
    used = [(text, label, int(count)) for text, label, reason, count in zip(raw, labels, reasons, counts, strict=False) if not reason]
    if not used or not isinstance(used[0][1], str):
        return ()
    notes = [f"label {text!r} is read as {label!r}" for text, label, _ in used if text != label][:_TOLD]
    same: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for _, label, count in used:
        same[_looks(label)][label] += count
    for rows in [rows for rows in same.values() if len(rows) > 1][:_TOLD]:
        case = len({label.casefold() for label in rows}) == 1
        told = " and ".join(f"{label!r} ({count:,} rows)" if case else f"{label!a} ({count:,} rows)" for label, count in rows.items())
        notes.append(f"labels {told} {'differ in case only' if case else 'look alike'} and are kept apart: write them alike if they are one class")
    numbers: dict[Decimal, list[str]] = defaultdict(list)
    for label in dict.fromkeys(label for _, label, _ in used if _NUMBER.fullmatch(label) and not _LEADING_ZERO.match(label)):
        numbers[Decimal(label)].append(label)
    for alike in [alike for alike in numbers.values() if len(alike) > 1][:_TOLD]:
        told = " and ".join(map(repr, alike))
        notes.append(f"labels {told} are one number and are kept apart, because not every label is a number: write them alike if they are one class")
    zeros = [label for _, label, _ in used if _LEADING_ZERO.match(label)]
    if zeros and all(_NUMBER.fullmatch(label) for _, label, _ in used):
        notes.append(f"the labels are kept as text, because {zeros[0]!r} has a leading zero")
    return tuple(notes)
