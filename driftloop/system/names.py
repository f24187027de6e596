"""Checks names of experiments and registered models: valid in MLflow, its databases and TorchServe."""

from __future__ import annotations

import re
from typing import Final

MODEL_LENGTH: Final = 128  # of a model's name, which becomes part of file names; a file name has 255 bytes
EXPERIMENT_LENGTH: Final = 250  # MLflow's tables have 256 characters; SQLite accepts more, PostgreSQL rejects them
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def model_fault(name: str) -> str:
    """The fault of a registered model's name, which is also its name in TorchServe; "" if valid.

    >>> model_fault("drift_model"), model_fault("it's")
    ('', "use letters, digits, '.', '_' and '-', starting with a letter or digit")
    """
    if not _MODEL.fullmatch(name):
        return "use letters, digits, '.', '_' and '-', starting with a letter or digit"
    if len(name) > MODEL_LENGTH:
        return f"it has {len(name)} characters: use at most {MODEL_LENGTH}"
    return ""


def experiment_fault(name: str) -> str:
    r"""The fault of an experiment's name; "" if valid.

    >>> experiment_fault("it's ours / 2024"), experiment_fault("two\nlines")
    ('', 'it contains an unprintable character: use letters, digits, spaces and punctuation')
    """
    if not name.strip():
        return "it is blank: give it a name"
    if not name.isprintable():  # control characters, and bytes that are not text
        return "it contains an unprintable character: use letters, digits, spaces and punctuation"
    if len(name) > EXPERIMENT_LENGTH:
        return f"it has {len(name)} characters: use at most {EXPERIMENT_LENGTH}"
    return ""
