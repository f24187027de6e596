"""URLs of experiments, runs and versions in MLflow's UI."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

# The UI opens on its pages for language models unless the URL says otherwise, and remembers the choice.
TRAINING: Final = "?workflowType=machine_learning"


def on_server(uri: str, place: str) -> str:
    """The URL of a page on a tracking server, without a password: the browser prompts for it.

    >>> on_server("http://me:secret@host:5000/", experiment("1"))
    'http://host:5000/#/experiments/1/runs?workflowType=machine_learning'
    """
    parts = urlsplit(uri)
    return f"{parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl().rstrip('/')}/{place}"


def experiment(experiment_id: str) -> str:
    """The path of an experiment's runs: appended to a server's URL, or a relative link in a description.

    >>> experiment("1")
    '#/experiments/1/runs?workflowType=machine_learning'
    """
    return f"#/experiments/{experiment_id}/runs{TRAINING}"


def run(experiment_id: str, run_id: str) -> str:
    """The path of a run."""
    return f"#/experiments/{experiment_id}/runs/{run_id}{TRAINING}"


def artifact(experiment_id: str, run_id: str, path: str) -> str:
    """The path of a run's file."""
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{path}{TRAINING}"


def version(model: str, number: str) -> str:
    """The path of a version of a registered model."""
    return f"#/models/{model}/versions/{number}{TRAINING}"
