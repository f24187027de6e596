"""What is known of the model in service beyond its accuracy: the estimate without labels, the kind of drift, the forecast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from driftloop.blocks import Block
from driftloop.drift import forecast, kinds
from driftloop.drift.confidence import Estimate, LabelFree
from driftloop.drift.forecast import Forecast
from driftloop.drift.verdict import Verdict
from driftloop.results import NO_BLOCK, BlockScore
from driftloop.streams import Stream

CURRENT_ROWS = 336  # newest rows, in whole blocks, at most half of all, that are held against the rows before them to tell the kind of drift


@dataclass
class _Service:
    """The blocks that one version has answered so far, and its estimate without labels."""

    blocks: list[Block] = field(default_factory=list)
    correct: list[np.ndarray] = field(default_factory=list)
    label_free: LabelFree = field(default_factory=LabelFree)
    kind: Verdict | None = None  # of its first drift
    alarm: int = NO_BLOCK  # the block of it

    @property
    def accuracies(self) -> list[float]:
        return [float(right.mean()) for right in self.correct]

    @property
    def rows(self) -> list[int]:
        return [block.rows for block in self.blocks]


class Diagnosis:
    """Follows one watch, version by version.

    Args:
        stream: the rows that are watched.
        threshold: lowest accuracy that is good enough, 0..1.
        alpha: rate of false alarms of the tests that tell the kind of drift.
    """

    def __init__(self, stream: Stream, *, threshold: float, alpha: float) -> None:
        self.stream, self.threshold, self.alpha = stream, threshold, alpha
        self.now = _Service()
        self.past: list[_Service] = []
        self.newest: Estimate | None = None

    def estimate(self, probabilities: np.ndarray) -> Estimate:
        """The accuracy of a block before its labels come, with the error of such estimates so far."""
        self.newest = self.now.label_free.estimate(probabilities)
        return self.newest

    def learn(self, block: Block, probabilities: np.ndarray) -> None:
        """Take a block whose labels have come."""
        labels = self.stream.labels[block.start : block.stop]
        self.now.blocks.append(block)
        self.now.correct.append(probabilities.argmax(axis=1) == labels)
        self.now.label_free.learn(probabilities, labels)

    def forecast(self) -> Forecast:
        """When the version in service will cross the threshold, in blocks from now.

        By its own trend; while it is too fresh for one, by how long the versions before it lasted.
        """
        if not 0 < self.threshold < 1:
            return Forecast(math.nan, math.nan, math.nan, math.nan, "none", f"no forecast for the threshold {self.threshold:g}")
        lifetimes = [forecast.lifetime(service.accuracies, threshold=self.threshold) for service in self.past if service.blocks]
        return forecast.predict(self.now.accuracies, self.now.rows, threshold=self.threshold, lifetimes=lifetimes)

    def ahead(self, lead_blocks: float) -> Forecast:
        """What a proactive retrain goes by: when the block KPI of the version in service will be under the threshold."""
        if not 0 < self.threshold < 1:
            return self.forecast()
        earlier = [(service.accuracies, service.rows) for service in self.past if service.blocks]
        return forecast.ahead(self.now.accuracies, self.now.rows, threshold=self.threshold, earlier=earlier, lead_blocks=lead_blocks)

    def kind(self) -> Verdict:
        """Of which kind is the drift of the version in service: its newest rows against those that it answered before.

        Looked into at its first alarm only, for the tests take a second. Performance is the kind where no other can be proven.
        """
        if self.now.kind is None:
            first, last = self.now.blocks[0].start, self.now.blocks[-1].stop
            current = min(CURRENT_ROWS, (last - first) // 2)
            edge = next(block.start for block in self.now.blocks if block.start >= last - current or block is self.now.blocks[-1])
            correct = np.concatenate(self.now.correct)
            told = kinds.tell(
                self.stream.rows[first:edge],
                correct[: edge - first],
                self.stream.rows[edge:last],
                correct[edge - first :],
                names=self.stream.features,
                alpha=self.alpha,
            )
            self.now.alarm = self.now.blocks[-1].index
            self.now.kind = told if told.drift else replace(told, kind="performance")
        return self.now.kind

    def replaced(self) -> None:
        """Another version is in service from the next block on."""
        self.past.append(self.now)
        self.now = _Service()

    def findings(self, rule: str, verdict: Verdict | None, scores: Sequence[BlockScore]) -> tuple[str, ...]:
        """What the statistics say at the end of the watch, in sentences.

        Args:
            rule: the drift rule's name.
            verdict: its newest.
            scores: of all blocks so far.
        """
        told = [f"Drift rule {rule}, newest block: {verdict.message}"] if verdict else []
        looked_into = [(service, service.kind) for service in (*self.past, self.now) if service.kind]
        if looked_into:
            told_apart = [found for found in looked_into if found[1].drift]
            service, kind = (told_apart or looked_into)[-1]
            told.append(f"Kind of the drift that was first found in block {service.alarm}: {kind.message}")
        ahead = self.forecast()
        told.append(f"Forecast: {ahead.message}{_dates(ahead, scores)}")
        if self.newest:
            told.append(f"Without labels, newest block: {self.newest.message}")
        return tuple(sentence.removesuffix(".") + "." for sentence in told)


def _dates(ahead: Forecast, scores: Sequence[BlockScore]) -> str:
    """The interval of a forecast as days, counted on at the pace of the blocks so far."""
    if len(scores) < 2 or not math.isfinite(ahead.early):
        return ""
    first, last = (np.datetime64(score.timestamp, "s") for score in (scores[0], scores[-1]))
    pace = (last - first) / (len(scores) - 1)
    early, late = (str((last + pace * blocks).astype("datetime64[D]")) if math.isfinite(blocks) else "" for blocks in (ahead.early, ahead.late))
    return f": {early} to {late}" if late else f": from {early} on"
