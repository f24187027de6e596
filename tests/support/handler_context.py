"""A handler without TorchServe."""

from pathlib import Path

from handler import ElecHandler


class FakeContext:
    """What TorchServe gives a handler, as far as ours uses it."""

    def __init__(self, model_dir):
        self.system_properties = {"model_dir": str(model_dir)}
        self.model_name = "elec"
        self.status: dict[int, int] = {}
        self.headers: dict[int, str] = {}

    def set_response_status(self, code, phrase, idx):
        assert phrase
        self.status[idx] = code

    def set_response_header(self, idx, key, value):
        self.headers[idx] = value


def initialized(model_dir: Path) -> ElecHandler:
    """The handler with the model of this folder."""
    served = ElecHandler()
    served.initialize(FakeContext(model_dir))
    return served
