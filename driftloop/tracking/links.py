"""Where a run is seen in MLflow's UI."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

# The UI opens on its pages for language models unless the address says otherwise, and remembers what was chosen.
TRAINING: Final = "?workflowType=machine_learning"


def on_server(uri: str, place: str) -> str:
    """The address of a place on a tracking server, without a password: the browser asks for that.

    >>> on_server("http://me:secret@host:5000/", experiment("1"))
    'http://host:5000/#/experiments/1/runs?workflowType=machine_learning'
    """
    parts = urlsplit(uri)
    return f"{parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl().rstrip('/')}/{place}"


def experiment(experiment_id: str) -> str:
    """The runs of an experiment, to stand behind a server's address or, within a description, alone.

    >>> experiment("1")
    '#/experiments/1/runs?workflowType=machine_learning'
    """
    return f"#/experiments/{experiment_id}/runs{TRAINING}"


def run(experiment_id: str, run_id: str) -> str:
    """One run, likewise."""
    return f"#/experiments/{experiment_id}/runs/{run_id}{TRAINING}"


def artifact(experiment_id: str, run_id: str, path: str) -> str:
    """A file of a run, likewise."""
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{path}{TRAINING}"


def version(model: str, number: str) -> str:
    """A version of a registered model, likewise."""
    return f"#/models/{model}/versions/{number}{TRAINING}"
