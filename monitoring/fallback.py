"""The robust fallback: answers when the model is unavailable or not good enough.

A table from the model's training reference: for each value of the grouping features the majority label
(classification) or the mean (regression), shrunk towards that of all rows in small cells. For ELEC it is the majority
of the half-hour, for taxi rides the mean of the pair of zones. It has no weights to diverge and needs no server.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from driftloop.errors import DataError
from monitoring.features import Given, as_text
from monitoring.stream_settings import StreamConfig

if TYPE_CHECKING:
    import numpy as np

    from driftloop.training.reference import Reference

# Shrinkage: a cell counts its own rows plus this many average rows; 20 own rows have half the weight.
PRIOR_ROWS = 20.0
KEY_SCALE = 1e6  # values that differ only in a float's last bits share a cell

Label = Any  # a label's value, or a number
Key = int | str | None


@dataclass(frozen=True)
class Fallback:
    """Answers by cell; a row of an unknown cell gets the answer of all rows.

    `version` is the registered version whose training rows it is built from; "" if unknown. A cell's key has the text of each of `texts`,
    the features that are categories, whether a row gives it as a text, a number, true or false.
    """

    by: tuple[str, ...]
    cells: Mapping[tuple[Key, ...], Label]
    overall: Label
    version: str = ""
    texts: frozenset[str] = frozenset()

    def predict(self, features: Mapping[str, Given]) -> Label:
        """The answer to one row; never fails.

        >>> table = build({"zone": [1, 1, 2]}, [5.0, 5.0, 11.0], by=("zone",), classification=False)
        >>> table.predict({"zone": 9}), round(table.predict({"zone": 2}), 2)
        (7.0, 7.19)
        """
        return self.cells.get(tuple(_key(features.get(name), text=name in self.texts) for name in self.by), self.overall)


def table(reference: Reference, stream: StreamConfig, *, version: str) -> Fallback:
    """The fallback table of a reference's rows.

    Raises:
        DataError: the reference's task, features, labels or their order differ from the stream's.
    """
    if reference.about.task != stream.task:
        raise DataError(f"{stream.name}: the training reference of run {reference.about.run_id} is for {reference.about.task}, the stream for {stream.task}")
    if fault := stream.labels_fault(reference.about.labels):
        raise DataError(f"{fault} (the training reference of run {reference.about.run_id})")
    columns = {name: reference.rows[:, at].tolist() for at, name in enumerate(reference.about.features)}
    texts = {column.name: column.categories for column in reference.about.columns if column.categories}
    try:
        return build(columns, reference.labels.tolist(), by=stream.fallback_by, classification=stream.task == "classification", version=version, texts=texts)
    except ValueError as exc:
        raise DataError(f"{stream.name}: {exc}: log it again with the model") from exc


def build(
    features: Mapping[str, Sequence[float]],
    labels: Sequence[Label],
    *,
    by: Sequence[str],
    classification: bool,
    version: str = "",
    texts: Mapping[str, Sequence[str]] | None = None,
) -> Fallback:
    """Make the table from training rows.

    Args:
        features: columns by name, each of N values, nan where missing; those of `by` are used.
        labels: N labels, or numbers for regression.
        by: the features that define a cell; empty: one answer for all.
        classification: majority of the labels; else their mean.
        version: the registered version trained on the rows.
        texts: what the values of a category stand for, by its name: its codes.

    Raises:
        ValueError: there are no rows, or a column of `by` is missing.
    """
    import numpy as np  # imported here: a service that only answers starts without it

    if not len(labels):
        raise ValueError("the training reference has no labelled rows")
    missing = [name for name in by if name not in features]
    if missing:
        raise ValueError(f"the training reference lacks {', '.join(missing)}")
    texts = texts or {}
    found = [_keys(features[name], texts.get(name)) for name in by]
    keys, cell = np.unique(np.column_stack([*(places for _, places in found), np.zeros(len(labels), np.int64)]), axis=0, return_inverse=True)
    values, votes = _votes(labels, classification=classification)  # (V,), (N, V)
    counts = np.zeros((len(keys), votes.shape[1]))
    np.add.at(counts, cell.reshape(-1), votes)
    rows = np.bincount(cell.reshape(-1), minlength=len(keys))[:, None]
    overall = votes.mean(axis=0)
    shrunk = (counts + PRIOR_ROWS * overall) / (rows + PRIOR_ROWS)  # (cells, V)
    answers = [_answer(one, values) for one in shrunk]
    names = [tuple(names[place] for (names, _), place in zip(found, key, strict=False)) for key in keys.tolist()]
    return Fallback(tuple(by), dict(zip(names, answers, strict=True)), _answer(overall, values), version, frozenset(texts))


def _votes(labels: Sequence[Label], *, classification: bool) -> tuple[list[Label], np.ndarray]:
    """The rows' labels one-hot encoded; for regression the numbers themselves."""
    import numpy as np

    if not classification:
        return [], np.asarray(labels, dtype=float)[:, None]
    found, index = np.unique(np.asarray(labels), return_inverse=True)
    return found.tolist(), np.eye(len(found))[index]


def _answer(shrunk: np.ndarray, values: list[Label]) -> Label:
    return values[int(shrunk.argmax())] if values else float(shrunk[0])


def _keys(values: Sequence[float], texts: Sequence[str] | None) -> tuple[list[Key], np.ndarray]:
    """The distinct keys of a column, and the place of each row's among them, (N,)."""
    import numpy as np

    distinct, places = np.unique(np.asarray(values, dtype=float), return_inverse=True)  # nan equals nan here
    keys = [_key(None if math.isnan(one) else one if texts is None else texts[int(one)], text=texts is not None) for one in distinct.tolist()]
    places_of = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    return list(places_of), np.array([places_of[key] for key in keys], np.int64)[places]


def _key(value: Given, *, text: bool) -> Key:
    if value is None:
        return None
    if text:
        return as_text(value)
    scaled = value * KEY_SCALE  # type: ignore[operator]
    return round(scaled) if math.isfinite(scaled) else f"{value:.15g}"
