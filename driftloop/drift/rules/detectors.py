"""Wraps river's change detectors as drift rules.

A detector is fed the errors of a block in order; the block has drifted when the detector flags a rise of the error rate
at any of its rows. ADWIN and KSWIN flag a change of either direction: a flag counts as a rise when the mean error of
the detector's window is higher after the flag than before it; otherwise the verdict reports an improvement.
Page-Hinkley is used for rises only. After a flag each detector resets itself, at its next row.

None of them states a false-alarm rate.

Bifet, Gavalda: Learning from time-changing data with adaptive windowing. SDM 2007 (ADWIN).
Gama, Medas, Castillo, Rodrigues: Learning with drift detection. SBIA 2004 (DDM).
Baena-Garcia et al.: Early drift detection method. ECML PKDD workshop 2006 (EDDM).
Frias-Blanco et al.: Online and non-parametric drift detection methods based on Hoeffding's bounds. IEEE TKDE 27, 2015 (HDDM).
Raab, Heusinger, Schleif: Reactive soft prototype computing for concept drift streams. Neurocomputing 416, 2020 (KSWIN).
Page: Continuous inspection schemes. Biometrika 41, 1954 (Page-Hinkley).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from driftloop.drift.rules.rule import Rule, wrong_rows
from driftloop.drift.rules.rule_names import DETECTORS
from driftloop.drift.verdict import Verdict
from driftloop.metrics import kpi

EITHER: Final = ("adwin", "kswin")  # also flag a fall of the error rate


class Detector(Rule):
    """One of river's detectors.

    Args:
        name: one of `rule_names.DETECTORS`.
        seed: of KSWIN, the only randomised one.
        settings: of river's class, such as `delta=0.01` of ADWIN; river's defaults otherwise.

    Raises:
        ValueError: unknown `name`.
        TypeError: a setting that river's class does not have.

    >>> rule = Detector("adwin", seed=7)
    >>> rule.update(np.zeros(200)).drift, rule.update(np.ones(200)).drift
    (False, True)
    """

    def __init__(self, name: str, *, seed: int, **settings: Any) -> None:
        if name not in DETECTORS:
            raise ValueError(f"detector {name!r}: give one of {', '.join(DETECTORS)}")
        self.name = name
        fixed: dict[str, dict[str, Any]] = {"kswin": {"seed": seed}, "page_hinkley": {"mode": "up"}}
        self._settings = fixed.get(name, {}) | settings
        self.reset()

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update`. `statistic` is the block's accuracy; figures that river does not give are nan."""
        wrong = wrong_rows(errors)
        if not len(wrong):
            return Verdict.no_rows(self.name)
        said, risen = self.said(wrong)
        right, rows = int(np.count_nonzero(~wrong)), len(wrong)
        message = f"accuracy {right / rows:.3f} on {rows} rows; {said}; it states no false-alarm rate"
        return Verdict.of_kpi(self.name, message, drift=risen, statistic=right / rows, bounds=kpi.wilson_interval(right, rows))

    def said(self, errors: np.ndarray) -> tuple[str, bool]:
        """Feed the rows of a block, each 0..1; returns what the detector flags, in words, and whether that is a rise."""
        risen, fallen = self._flags(errors)
        if risen:
            return f"{self.name} flags a rise of the error rate at row {risen[0] + 1} of {len(errors)}", True
        if fallen:
            return f"{self.name} flags an improvement at row {fallen[0] + 1} of {len(errors)}, no alarm", False
        return f"{self.name} flags no change", False

    def reset(self) -> None:
        """See `Rule.reset`."""
        self._detector = _made(self.name, self._settings)

    def _flags(self, wrong: np.ndarray) -> tuple[list[int], list[int]]:
        """Rows at which the detector flags a rise, and a fall, of the error rate."""
        risen: list[int] = []
        fallen: list[int] = []
        detector, either = self._detector, self.name in EITHER
        level = self._level() if either else 0.0
        for row, error in enumerate(wrong.tolist()):
            before = level
            detector.update(error)
            if either:
                level = self._level()
            if detector.drift_detected:
                (fallen if level < before else risen).append(row)
        return risen, fallen

    def _level(self) -> float:
        """Mean error in the window of a detector that flags a change of either direction."""
        if self.name == "adwin":
            return self._detector.estimation
        return sum(self._detector.window) / max(len(self._detector.window), 1)


def _made(name: str, settings: dict[str, Any]) -> Any:
    from river import drift  # here, because the rules of our own need no river
    from river.drift import binary

    kinds = (drift.ADWIN, binary.DDM, binary.EDDM, binary.HDDMA, binary.HDDMW, drift.KSWIN, drift.PageHinkley)
    return dict(zip(DETECTORS, kinds, strict=True))[name](**settings)
