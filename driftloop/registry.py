"""MLflow's model registry: versions, and the aliases champion, challenger and previous.

The client comes as an argument; only `tracking` makes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow.exceptions import MlflowException

from driftloop.errors import TrackingError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CHAMPION: Final = "champion"  # the version that is served
CHALLENGER: Final = "challenger"  # the version that is being swapped in
PREVIOUS: Final = "previous"  # the version that was served before, to go back to


@dataclass(frozen=True)
class Registry:
    """One registered model and the client to reach it."""

    client: MlflowClient
    name: str

    def register(self, *, source: str, run_id: str) -> str:
        """Register a logged model as a new version, marked as challenger; give the version's number.

        Raises:
            TrackingError: the registry refused it.
        """
        try:
            if not self.client.search_registered_models(f"name = '{self.name}'"):
                self.client.create_registered_model(self.name)
            # A tracking server wants the id of the model that the source names; a SQLite store takes it without.
            model_id = source.removeprefix("models:/") if source.startswith("models:/m-") else None
            made = self.client.create_model_version(self.name, source=source, run_id=run_id, model_id=model_id)
            self.client.set_registered_model_alias(self.name, CHALLENGER, made.version)
        except MlflowException as exc:
            raise TrackingError(f"registered model {self.name!r}: {str(exc).splitlines()[0]}") from exc
        return str(made.version)

    def promote(self, version: str, *, reason: str) -> None:
        """Make a version the champion and the old champion the previous one; keep the reason on the version.

        Called again with the same version it changes nothing, so that an interrupted promotion can be repeated.

        Raises:
            TrackingError: the registry refused it.
        """
        try:
            before = self.holder(CHAMPION)
            if before and before != version:
                self.client.set_registered_model_alias(self.name, PREVIOUS, before)
                self.client.set_model_version_tag(self.name, version, "driftloop.replaced", before)
            self.client.set_registered_model_alias(self.name, CHAMPION, version)
            self.client.set_model_version_tag(self.name, version, "driftloop.reason", reason)
            if self.holder(CHALLENGER) == version:
                self.client.delete_registered_model_alias(self.name, CHALLENGER)
        except MlflowException as exc:
            raise TrackingError(f"registered model {self.name!r}: {str(exc).splitlines()[0]}") from exc

    def withdraw(self, version: str, *, reason: str) -> None:
        """Take the challenger's alias off a version that was not swapped in; the version stays, with the reason."""
        if self.holder(CHALLENGER) == version:
            self.client.delete_registered_model_alias(self.name, CHALLENGER)
        self.client.set_model_version_tag(self.name, version, "driftloop.reason", reason)

    def describe(self, version: str, text: str) -> None:
        """Give a version its description.

        Raises:
            TrackingError: the registry refused it.
        """
        try:
            self.client.update_model_version(self.name, version, text)
        except MlflowException as exc:
            raise TrackingError(f"registered model {self.name!r}: {str(exc).splitlines()[0]}") from exc

    def describe_model(self, text: str) -> None:
        """Give the registered model a description when it has none.

        Raises:
            TrackingError: the registry refused it.
        """
        try:
            if not self.client.get_registered_model(self.name).description:
                self.client.update_registered_model(self.name, text)
        except MlflowException as exc:
            raise TrackingError(f"registered model {self.name!r}: {str(exc).splitlines()[0]}") from exc

    def holder(self, alias: str) -> str | None:
        """The version that holds an alias; None when there is no such model or alias.

        Raises:
            TrackingError: the registry did not answer.
        """
        try:
            return str(self.client.get_model_version_by_alias(self.name, alias).version)
        except MlflowException as exc:
            if exc.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:  # no such model, no such alias
                return None
            raise TrackingError(f"registered model {self.name!r}: {str(exc).splitlines()[0]}") from exc

    def run_of(self, version: str) -> str:
        """The run that trained a version."""
        return str(self.client.get_model_version(self.name, version).run_id)

    def version_of(self, run_id: str) -> str | None:
        """The newest version that this run trained, or None."""
        found = self.client.search_model_versions(f"name = '{self.name}' and run_id = '{run_id}'")
        return str(max(int(version.version) for version in found)) if found else None
