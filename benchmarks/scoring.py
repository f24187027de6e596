"""Time the scoring of ELEC's last 30 % through a real TorchServe, and check every served prediction.

    python -m benchmarks.scoring                  # 13,594 rows; writes benchmarks/scoring.md
    python -m benchmarks.scoring --rows 2000 --out /tmp/scoring.md

Two methods are timed in the same run, with the same server and model: one request per day block, like the lifecycle; and
the method of the example this project descends from, which redeploys before each block and sends one request per row.
The latter is timed on a few blocks and extrapolated. Served and local probabilities must agree to 1e-6.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import script
from driftloop import settings
from driftloop.cli import parsing
from driftloop.errors import ServingError

if TYPE_CHECKING:
    from driftloop.data.blocks import Block
    from driftloop.data.streams import Stream
    from driftloop.serving.torchserve import TorchServe, TorchServeClient
    from driftloop.training.fitting import Fitted

NAME = "bench"
HISTORIES = (0, 48)
SAME = 1e-6  # tolerance between a served probability and the local model's


@dataclass(frozen=True)
class Timing:
    """The scoring of one model by both methods; seconds of the requests, without training and server start."""

    history: int
    rows: int
    blocks: int
    seconds: float  # one request per block, all blocks
    difference: float  # largest |served - local| over all rows
    rowwise_blocks: int  # blocks scored by the original's method
    rowwise_rows: int
    rowwise_seconds: float
    deploy_seconds: float  # of these, for redeploying

    @property
    def extrapolated(self) -> float:
        """Seconds of the original's method over all blocks, at the speed of the measured ones."""
        requests = (self.rowwise_seconds - self.deploy_seconds) / self.rowwise_rows * self.rows
        return requests + self.deploy_seconds / self.rowwise_blocks * self.blocks


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--rows", type=parsing.whole(1), default=0, help="rows after the training rows to score; default: all")
    parser.add_argument("--block_size", type=parsing.whole(1), default=48, help="rows per block and request (default: %(default)s, a day)")
    parser.add_argument("--rowwise_blocks", type=parsing.whole(1), default=5, help="blocks on which the original's method is timed (default: %(default)s)")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page of both methods."""
    timings = measure(rows=args.rows, block_size=args.block_size, rowwise_blocks=args.rowwise_blocks)
    return script.page(
        "Scoring through TorchServe",
        f"Written by `{args.command}`, on two cores, CPU only, with one TorchServe worker on the same machine. "
        f"The model is the documented default, trained on the oldest 70 % of ELEC; the rows after those are scored in blocks of {args.block_size}. "
        "Times are of one machine, which may have been busy: trust the ratios.",
        script.table(
            "history: | rows: | blocks: | one request per block, s: | rows/s: | the original's method, extrapolated, s: | ratio: | largest difference:",
            map(_row, timings),
        ),
        "The original's method redeploys before each block (unregister, register, wait until the worker is READY) and sends one request per row. "
        "It was timed in the same run on:",
        script.bullets(map(_rowwise, timings)),
        f"The largest difference is between a served probability and the local model's, over all rows and both methods; over {SAME:g} the run fails. "
        "With history 48 each request also carries up to 48 rows of context.",
    )


def measure(*, rows: int, block_size: int, rowwise_blocks: int) -> list[Timing]:
    """Train a model with each history, serve it, time both methods.

    Raises:
        ServingError: TorchServe failed, or a prediction differs from the local model's.
    """
    from driftloop.data import streams
    from driftloop.data.blocks import cut
    from driftloop.serving.torchserve import TorchServe
    from driftloop.training.base import base_span
    from driftloop.training.fitting import fit
    from learner import ELEC

    stream = streams.load(None)
    span = base_span(stream)
    stop = span[1] + rows if rows else len(stream.rows)
    blocks = list(cut(span[1], stop, block_size=block_size))
    timings = []
    with script.place() as folder, TorchServe(folder) as server:
        for history in HISTORIES:
            fitted = fit(ELEC, stream, settings.DEFAULT_PARAMS | {"history": history}, train=span, max_epochs=3, seed=settings.SEED)
            script.say(f"history {history}: trained, scoring")
            timings.append(time_both(server, stream, fitted, blocks, rowwise=blocks[:rowwise_blocks]))
    return timings


def time_both(server: TorchServe, stream: Stream, fitted: Fitted, blocks: list[Block], *, rowwise: list[Block]) -> Timing:
    """Deploy a model and score the blocks, a request each; then a few of them by the original's method."""
    from driftloop.training import trained_model

    history = fitted.params["history"]
    version = str(history)
    mar = archive_of(fitted, stream, version=version, store=server.model_store)
    client = server.client
    deploy(client, mar, version=version)
    served, seconds = score(client, stream, ((block.start, block.stop) for block in blocks), history=history)
    difference = float(np.abs(served - trained_model.predict(fitted.model, stream, blocks[0].start, blocks[-1].stop)).max())
    deploying = asking = 0.0
    for block in rowwise:
        started = time.perf_counter()
        client.unregister(name=NAME, version=version)
        deploy(client, mar, version=version)
        deploying += time.perf_counter() - started
        singly, took = score(client, stream, ((row, row + 1) for row in range(block.start, block.stop)), history=history)
        difference = max(difference, float(np.abs(singly - trained_model.predict(fitted.model, stream, block.start, block.stop)).max()))
        asking += took
    client.unregister(name=NAME, version=version)
    if difference > SAME:
        raise ServingError(f"history {history}: served probabilities differ from the local model's by {difference:.2g}, more than {SAME:g}")
    return Timing(
        history=history,
        rows=len(served),
        blocks=len(blocks),
        seconds=seconds,
        difference=difference,
        rowwise_blocks=len(rowwise),
        rowwise_rows=sum(block.rows for block in rowwise),
        rowwise_seconds=deploying + asking,
        deploy_seconds=deploying,
    )


def archive_of(fitted: Fitted, stream: Stream, *, version: str, store: Path, name: str = NAME) -> Path:
    """The .mar file of a fitted model."""
    from driftloop.serving.archive import build_mar
    from learner import ELEC

    card = {
        "class": ELEC.model.__name__,
        "module": ELEC.model_file.name,
        "arguments": dict(fitted.model.hparams),
        "features": list(stream.features),
        "labels": list(stream.label_names),
        "version": version,
    }
    return build_mar(
        name=name, version=version, card=card, state_dict=fitted.model.state_dict(), model_file=ELEC.model_file, handler_file=ELEC.handler_file, store=store
    )


def deploy(client: TorchServeClient, mar: Path, *, version: str) -> None:
    """Register the archive and wait until its worker is READY."""
    client.register(mar, name=NAME, version=version)
    client.wait_ready(name=NAME, version=version)


def score(client: TorchServeClient, stream: Stream, spans: Iterable[tuple[int, int]], *, history: int) -> tuple[np.ndarray, float]:
    """Served probabilities of spans of rows, a request each, and the seconds of all requests."""
    started = time.perf_counter()
    parts = [client.predict(stream.rows[start:stop], name=NAME, context=stream.rows[max(0, start - history) : start]).probabilities for start, stop in spans]
    return np.concatenate(parts), time.perf_counter() - started


def _row(one: Timing) -> list[object]:
    speeds = f"{one.seconds:.1f}", f"{one.rows / one.seconds:,.0f}", f"{one.extrapolated:,.0f}", f"{one.extrapolated / one.seconds:.0f} : 1"
    return [one.history, f"{one.rows:,}", f"{one.blocks:,}", *speeds, f"{one.difference:.1e}"]


def _rowwise(one: Timing) -> str:
    requests = one.rowwise_seconds - one.deploy_seconds
    return (
        f"history {one.history}: {one.rowwise_blocks} blocks, {one.rowwise_rows} rows in {one.rowwise_seconds:.1f} s. "
        f"Deploying took {one.deploy_seconds:.1f} s of these ({one.deploy_seconds / one.rowwise_blocks:.1f} s each), "
        f"the requests {requests:.1f} s ({one.rowwise_rows / requests:.0f} rows/s)."
    )


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
