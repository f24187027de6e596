"""Rows that repeat an id: the first one counts, with the last label that any of them has."""

from __future__ import annotations

import numpy as np
import pandas as pd

from driftloop.data.schema.encoding import Written
from driftloop.predictions.later.rows import keys_of_ids


def once(frame: pd.DataFrame, name: str, target: str, written: Written | None) -> tuple[pd.DataFrame, Written | None, list[str]]:
    """Each id once, in the order of the table.

    Args:
        frame: with a column of ids and one of labels.
        name: of the ids' column.
        target: of the labels'.
        written: gives a column as in the file, for all rows of the frame.

    Returns:
        The rows that are left, `written` for these, and a note if an id was repeated.

    Raises:
        DataError: a row has no id.

    >>> once(pd.DataFrame({"id": [1, 2, 1], "y": [None, "a", "b"]}), "id", "y", None)[0].y.tolist()
    ['b', 'a']
    """
    keys = keys_of_ids(frame[name])
    kept = np.flatnonzero(~pd.Series(keys).duplicated().to_numpy())
    if len(kept) == len(frame):
        return frame, written, []
    labels = frame[target]
    there = (labels.notna() & (labels.astype(str).str.strip() != "")).to_numpy()
    newest = pd.Series(np.flatnonzero(there), index=keys[there])
    newest = newest[~newest.index.duplicated(keep="last")]
    labelled_at = newest.reindex(keys[kept]).fillna(pd.Series(kept, index=keys[kept])).to_numpy(int)
    left = frame.iloc[kept].assign(**{target: labels.iloc[labelled_at].to_numpy()})
    note = f"{len(frame) - len(kept):,} rows repeat the {name} of another: the first row of each counts, with the last label"
    return left, written and _of_left(written, target, kept, labelled_at), [note]


def _of_left(written: Written, target: str, kept: np.ndarray, labelled_at: np.ndarray) -> Written:
    return lambda name: written(name).iloc[labelled_at if name == target else kept]
