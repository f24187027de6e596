"""The model of one stream from MLflow's registry, asked in this process; a thread follows its alias and swaps versions between requests."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from driftloop.errors import DriftloopError, ServingError, SettingsError
from driftloop.tracking import pyfunc_models
from driftloop.tracking.pyfunc_models import RegistryModel
from monitoring import foreign_models
from monitoring.features import Given
from monitoring.stream_settings import StreamConfig
from prediction_service.registry_model import model_frames
from prediction_service.served_model import AskedModel, ModelAnswers, plain_row

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

MOST_CALLS: Final = 64  # that run at once, those that nobody waits for any more included
LOG = logging.getLogger("prediction_service")


class PyfuncModel(AskedModel):
    """A registered model of any flavour; thread-safe if its `predict` is.

    Args:
        stream: with `model_uri` and its features.
        timeout_s: longest wait for an answer.
        every_s: pause between two looks at where the alias points.
        failed: called when such a look fails; the version at hand keeps answering.

    Raises:
        TrackingError: the registry is unreachable, or the version cannot be loaded.
        SettingsError: the stream's features are not its signature's.
        ServingError: it does not answer a plain row, or not with what the stream's task demands.
    """

    def __init__(self, stream: StreamConfig, *, timeout_s: float, every_s: float = 60.0, failed: Callable[[], object] = lambda: None) -> None:
        super().__init__(stream)
        self._timeout_s, self._every_s, self._failed = timeout_s, every_s, failed
        self._uri = foreign_models.read_uri(stream.model_uri, f"stream {stream.name}")
        self._running = threading.BoundedSemaphore(MOST_CALLS)
        self._fault = ""  # of the latest look; "" if it worked
        self._client: MlflowClient = pyfunc_models.open_client()
        self._loaded = self._load(pyfunc_models.resolve(self._client, self._uri.name, self._uri.which))
        self.version, self.error = self._loaded.version, ""
        threading.Thread(target=self._follow, name=f"alias-{stream.name}", daemon=True).start()

    def look(self) -> None:
        """Load the version that the alias holds now, if it is another; if it cannot be used, keep the one at hand."""
        try:
            version = pyfunc_models.resolve(self._client, self._uri.name, self._uri.which)
            if version != self._loaded.version:
                loaded = self._load(version)
                LOG.info("%s: version %s of %s answers from now on, before it version %s", self.stream.name, version, self._uri.name, self._loaded.version)
                self._loaded, self.version = loaded, version
            self._fault = ""
        except DriftloopError as exc:
            if str(exc) != self._fault:
                LOG.warning("%s: version %s of %s keeps answering: %s", self.stream.name, self._loaded.version, self._uri, exc)
            self._fault = str(exc)
            self._failed()

    def _follow(self) -> None:
        while not self._closed.wait(self._every_s):
            try:
                self.look()
            except Exception:  # this thread must survive unexpected errors
                LOG.exception("%s: the registry could not be asked", self.stream.name)
                self._failed()

    def _load(self, version: str) -> RegistryModel:
        """A version that answers a plain row as the stream demands."""
        loaded = pyfunc_models.load(self._uri.name, version)
        where = f"stream {self.stream.name}: version {version} of {self._uri.name}"
        if fault := foreign_models.fault(self.stream.features, loaded.inputs):
            raise SettingsError(f"{where}: {fault}")
        try:
            self._predict(loaded, [plain_row(self.stream)])
        except (ServingError, ValueError, TypeError) as exc:
            raise ServingError(f"{where}: {exc}") from exc
        return loaded

    def _answers(self, rows: Sequence[Mapping[str, Given]], context: Sequence[Mapping[str, Given]]) -> ModelAnswers:
        return self._predict(self._loaded, rows, timeout_s=self._timeout_s)

    def _predict(self, loaded: RegistryModel, rows: Sequence[Mapping[str, Given]], *, timeout_s: float | None = None) -> ModelAnswers:
        table = model_frames.to_frame(rows, loaded.inputs or model_frames.inputs_of(self.stream))
        output = self._within(lambda: loaded.predict(table), timeout_s)
        return ModelAnswers(model_frames.read_output(output, self.stream, rows=len(rows), version=loaded.version), {})

    def _within(self, call: Callable[[], Any], timeout_s: float | None) -> Any:
        """The result of a call that nobody waits for longer than `timeout_s`; its thread cannot be stopped."""
        ended: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        if not self._running.acquire(blocking=False):
            raise ServingError(f"{MOST_CALLS} calls of the model have not ended")

        def work() -> None:
            try:
                ended.put((call(), None))
            except BaseException as exc:  # noqa: BLE001 whatever the model's code raises, sys.exit included
                ended.put((None, exc))
            finally:
                self._running.release()

        threading.Thread(target=work, name=f"model-{self.stream.name}", daemon=True).start()
        try:
            output, exc = ended.get(timeout=timeout_s)
        except queue.Empty:
            raise ServingError(f"the model did not answer within {timeout_s:g} s") from None
        if exc is not None:
            raise ServingError(" ".join(f"the model raises {type(exc).__name__}: {exc}".split())[:300]) from exc
        return output


def check(stream: StreamConfig) -> str:
    """Load the model of a stream and ask it once, as a start would; returns its version. For a process of its own.

    Raises:
        TrackingError, SettingsError, ServingError: as `PyfuncModel`.
    """
    model = PyfuncModel(stream, timeout_s=60.0)
    model.close()
    return model.version
