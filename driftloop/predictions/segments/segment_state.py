"""What a watch keeps of its segments after the closed blocks: their evidence and figures. Its size depends on the number of segments alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop.drift.segments.rises import Rises


@dataclass(frozen=True, eq=False)
class EvidenceState:
    """The e-values of the K judged segments, of all columns together, after some blocks."""

    judged: tuple[np.ndarray, ...]  # of each column which segments are judged, (S,) bool
    rises: tuple[dict[str, Any] | None, ...]  # of each column, see `Rises.state`; None where no segment is judged
    newest: np.ndarray  # (K,) after the closed test; stays that of the first rejection
    highest: np.ndarray  # (K,)
    named: np.ndarray  # (K,) index of the block in which each was first rejected, or NO_BLOCK
    times: tuple[str, ...]  # (K,) of those blocks
    overall: float  # against "no segment is worse"


@dataclass(frozen=True, eq=False)
class SegmentState:
    """All that is kept of segments; figures are of all S segments of all columns, one column after the other."""

    evidence: EvidenceState
    rows_before: np.ndarray  # (S,) labelled rows of the reference period
    kpi_before: np.ndarray  # (S,)
    rows_after: np.ndarray  # (S,) labelled rows of closed blocks after it
    losses_after: np.ndarray  # (S,) the sum of their losses; nan where the KPI has no losses
    kinds: tuple[str, ...]  # (S,) of drift, learned up to the block in which it was proven; "" without

    def as_values(self) -> dict[str, Any]:
        """Dictionaries, sequences, arrays and numbers."""
        return {**vars(self), "evidence": dict(vars(self.evidence))}

    @classmethod
    def from_values(cls, given: dict[str, Any], *, segments: Sequence[int]) -> SegmentState:
        """What `as_values` returned, of columns with so many segments each.

        Raises:
            ValueError, KeyError, TypeError: it is not that.
        """
        evidence = {**given["evidence"], **{name: tuple(given["evidence"][name]) for name in ("judged", "rises", "times")}}
        found = cls(**{**given, "evidence": EvidenceState(**evidence), "kinds": tuple(given["kinds"])})
        state, every = found.evidence, sum(segments)
        known = sum(int(one.sum()) for one in state.judged)
        sizes = [len(one) for one in (found.rows_before, found.kpi_before, found.rows_after, found.losses_after, found.kinds)]
        right = [len(one) for one in state.judged] == list(segments) and all(one.dtype == bool for one in state.judged)
        if not right or set(sizes) != {every} or {len(one) for one in (state.newest, state.highest, state.named, state.times)} != {known}:
            raise ValueError("segments differ")
        for taken, rises in zip(state.judged, state.rises, strict=True):
            if (rises is None) == bool(taken.any()) or (rises is not None and len(Rises.of_state(rises).largest) != taken.sum()):
                raise ValueError("evidence and segments differ")
        return found
