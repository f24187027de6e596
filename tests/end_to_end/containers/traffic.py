"""ELEC's rows after those of the base model, sent from this machine as a caller sends them."""

from __future__ import annotations

import itertools
import json
from typing import Any

from driftloop.data import streams
from driftloop.training.base import base_span
from monitoring.local.replay import blocks
from tests.end_to_end.containers.stack import PREDICTIONS, Stack

SIZE = 48
FIND = """
import json, os, sys
from pymongo import MongoClient
found = MongoClient(os.environ["MONGODB_URI"]).get_default_database().predictions.find_one({"_id": %r}, {"label": 1, "version": 1, "prediction": 1})
print(json.dumps(found))
"""


class Traffic:
    """Sends block after block; the bundled stream is long enough for all tests."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.stream = stack, streams.load(None)
        self.row = base_span(self.stream)[1]
        self._prefix = (f"containers-{number}" for number in itertools.count())

    def block(self, rows: int = SIZE) -> list[dict[str, Any]]:
        """Send the next rows and their labels; the answers."""
        ((asked, told),) = blocks(self.stream, self.row, self.row + rows, size=rows, prefix=next(self._prefix), name="elec")
        answers = self.stack.post(f"{PREDICTIONS}/predict", asked)["predictions"]
        self.stack.post(f"{PREDICTIONS}/labels", told)
        self.row += rows
        return list(answers)

    def logged(self, id: str) -> dict[str, Any] | None:
        """A prediction's document in the log, read by a service that has its address."""
        return json.loads(self.stack.python("monitor", FIND % f"elec/{id}"))

    def arrives(self) -> dict[str, Any] | None:
        """Send a row with its label: the answer, when the model itself gave it; None when the fallback had to."""
        (answer,) = self.block(1)
        return None if answer["fallback"] else answer
