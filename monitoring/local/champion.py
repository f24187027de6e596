"""Loads the registry's champion into a running TorchServe, which forgets its models when it ends."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable

from driftloop.errors import DriftloopError
from driftloop.settings import ROOT
from driftloop.system import processes
from monitoring.stream_settings import StreamConfig

DEPLOY_S = 1800.0


def serve(stream: StreamConfig, *, torchserve_url: str, flags: Iterable[str] = ()) -> tuple[int, list[str]]:
    """Serve the stream's champion with the lifecycle's script, which trains a base model if there is none.

    A swap that a crash interrupted is completed or undone first.

    Returns:
        The first row that the champion was not trained on, and the messages about a champion of another experiment.

    Raises:
        DriftloopError: the script failed.
    """
    command = [sys.executable, str(ROOT / "deploy_model.py"), "--learner", stream.learner, "--json", "--serve_only", "--torchserve_url", torchserve_url]
    done = processes.run([*command, "--train_base", "--register_model_name", stream.model, *flags], timeout_s=DEPLOY_S)
    if done.code:
        raise DriftloopError(f"the champion could not be served: {done.last_line}")
    return int(json.loads(done.last_line)["trained_rows"][1]), [line for line in done.output.splitlines() if re.match(r"version \S+ takes the alias", line)]
