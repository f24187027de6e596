"""The rows of a request as JSON values, and how large they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np

    from driftloop.data.schema.schema import Column

NUMBER_BYTES: Final = 25  # of a number, its comma included, at most


def of_rows(rows: np.ndarray, columns: Sequence[Column]) -> list[list[Any]]:
    """Rows (N, F) as the handler takes them: texts, true, false and null for a model that takes values as they are, else (no columns) numbers."""
    if not columns:
        return rows.tolist()
    from driftloop.data.schema import encoding  # imported here: a model of numbers needs no pandas

    return encoding.decode(rows, columns)


def takes(rows: np.ndarray, columns: Sequence[Column]) -> bool:
    """Whether every value of the rows can be sent: JSON has no infinity and no nan, and null only a model takes that knows missing values."""
    import numpy as np

    return not np.isinf(rows).any() if columns else bool(np.isfinite(rows).all())


def largest_row(rows: np.ndarray, columns: Sequence[Column]) -> int:
    """Bytes of the largest of the rows (N, F) in a request, at most.

    >>> import numpy as np
    >>> from driftloop.data.schema.schema import Column
    >>> largest_row(np.zeros((1, 2)), ()), largest_row(np.array([[1.0], [np.nan]]), [Column("x", "feature", "category", categories=("a" * 900, "b" * 90))])
    (50, 93)
    """
    import numpy as np

    sizes = np.full(len(rows), NUMBER_BYTES * rows.shape[1])
    for values, column in zip(rows.T, columns, strict=False):
        if column.categories:
            used, places = np.unique(values, return_inverse=True)
            texts = np.array([NUMBER_BYTES if np.isnan(code) else len(json.dumps(column.categories[int(code)])) + 1 for code in used])
            sizes += np.maximum(texts[places] - NUMBER_BYTES, 0)
    return int(sizes.max(initial=1))
