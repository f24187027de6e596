"""Access to MLflow's model registry: versions, and the aliases champion, challenger and previous.

The client is an argument; only `tracking` creates one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow.exceptions import MlflowException

from driftloop.errors import TrackingError
from driftloop.tracking import retries
from driftloop.tracking.translate import translated

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CHAMPION: Final = "champion"  # the version that is served
CHALLENGER: Final = "challenger"  # the version that is being swapped in
PREVIOUS: Final = "previous"  # the version served before, for rollback
REPLACED: Final = "driftloop.replaced"  # tag of a version: the champion before it


@dataclass(frozen=True)
class Registry:
    """One registered model and its client. Every method raises `TrackingError` when the registry is unreachable or rejects the change."""

    client: MlflowClient
    name: str

    def register(self, *, source: str, run_id: str) -> str:
        """Register a logged model as a new version with the alias challenger; return its number.

        An interruption leaves nothing behind: no version without an alias, no model without a version."""
        # A tracking server needs the id of the source's model; a SQLite store does not.
        model_id = source.removeprefix("models:/") if source.startswith("models:/m-") else None
        with translated(f"registered model {self.name!r}"):
            new = self._make()
            version = ""
            try:
                before = retries.failed()
                made = self.client.create_model_version(self.name, source=source, run_id=run_id, model_id=model_id)
                version = str(made.version)
                if retries.failed() != before:
                    self._delete_twins(made)
                self._point(CHALLENGER, version)
            except BaseException:
                self._take_back(version, new=new)
                raise
        return version

    def _delete_twins(self, made: ModelVersion) -> None:
        """Delete what the same request created before this version: a server that dies before it answers may have registered one already."""
        for other in self.client.search_model_versions(f"name = '{self.name}' and run_id = '{made.run_id}'"):
            same = int(other.version) < int(made.version) and other.source == made.source
            if same and not self.client.get_model_version(self.name, str(other.version)).aliases:  # a search does not return them
                self.client.delete_model_version(self.name, str(other.version))

    def _make(self) -> bool:
        """Create the registered model if missing; False if it exists."""
        if self._exists():
            return False
        try:
            self.client.create_registered_model(self.name)
            return True
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_ALREADY_EXISTS":  # another process has just created it
                raise
            return False

    def _exists(self) -> bool:
        try:
            self.client.get_registered_model(self.name)
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        return True

    def _point(self, alias: str, version: str) -> None:
        for last in (False, False, False, True):
            try:
                self.client.set_registered_model_alias(self.name, alias, version)
                return
            except MlflowException as exc:
                if last or exc.error_code != "BAD_REQUEST":  # two processes set a new alias at once: the database accepts one
                    raise

    def _release(self, version: str) -> None:
        if self.holder(CHALLENGER) == version:
            self.client.delete_registered_model_alias(self.name, CHALLENGER)

    def _take_back(self, version: str, *, new: bool) -> None:
        with suppress(MlflowException):  # this may fail for the same reason; report the first error
            if version:
                self.client.delete_model_version(self.name, version)
            if new and not self.client.search_model_versions(f"name = '{self.name}'"):
                self.client.delete_registered_model(self.name)

    def promote(self, version: str, *, reason: str, tags: Mapping[str, str] | None = None) -> None:
        """Make a version the champion and the old champion the previous one; store the reason and further tags on the version.

        Idempotent, so that an interrupted promotion can be repeated."""
        with translated(f"registered model {self.name!r}"):
            before = self.holder(CHAMPION)
            if before and before != version:
                self._point(PREVIOUS, before)
                self.client.set_model_version_tag(self.name, version, REPLACED, before)
            self._crown(version, reason=reason, tags=tags)

    def roll_back(self, version: str, *, reason: str, tags: Mapping[str, str] | None = None) -> None:
        """Make a version the champion that it was before, and the one that it had replaced then the previous one.

        A version that the champion does not descend from is promoted. Idempotent, like `promote`."""
        with translated(f"registered model {self.name!r}"):
            before = self.holder(CHAMPION)
            if before and before != version and version not in self.before(before):
                self.promote(version, reason=reason, tags=tags)
                return
            if before and before != version:
                self.client.set_model_version_tag(self.name, before, "driftloop.rolled_back", f"to version {version}: {reason}")
            older = self.before(version)
            if older:
                self._point(PREVIOUS, older[0])
            elif self.holder(PREVIOUS):
                self.client.delete_registered_model_alias(self.name, PREVIOUS)
            self._crown(version, reason=reason, tags=tags)

    def _crown(self, version: str, *, reason: str, tags: Mapping[str, str] | None) -> None:
        self.tag(version, {**(tags or {}), "driftloop.reason": reason})
        self._release(version)
        self._point(CHAMPION, version)  # last: if an earlier step fails, the swap is undone and the champion is unchanged

    def before(self, version: str) -> list[str]:
        """The versions that served before this one, each once, the newest first: what it replaced, what that replaced, and so on."""
        found: list[str] = []
        with translated(f"registered model {self.name!r}"):
            tags = self._tags()
            while (older := tags.get(found[-1] if found else version, {}).get(REPLACED)) and older in tags and older not in (version, *found):
                found.append(older)
        return found

    def previous(self) -> str | None:
        """The version that served before the champion, or None."""
        champion = self.holder(CHAMPION)
        older = self.before(champion) if champion else []
        aliased = self.holder(PREVIOUS)  # a person may have moved the aliases, which leaves no tag
        return older[0] if older else aliased if aliased != champion else None

    def versions(self) -> list[str]:
        """All versions, oldest first."""
        with translated(f"registered model {self.name!r}"):
            return sorted(self._tags(), key=int)

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        with translated(f"registered model {self.name!r}"):
            for name, value in tags.items():
                self.client.set_model_version_tag(self.name, version, name, value)

    def untag(self, version: str, name: str) -> None:
        """Remove a tag of a version, if it has it."""
        with translated(f"registered model {self.name!r}"):
            if name in self._tags().get(version, {}):
                self.client.delete_model_version_tag(self.name, version, name)

    def tags_of_versions(self) -> list[dict[str, str]]:
        """The tags of every version."""
        with translated(f"registered model {self.name!r}"):
            return list(self._tags().values())

    def _tags(self) -> dict[str, dict[str, str]]:
        """The tags of every version, by version."""
        found: dict[str, dict[str, str]] = {}
        token: str | None = None
        while token != "":
            page = self.client.search_model_versions(f"name = '{self.name}'", page_token=token)
            found |= {str(one.version): dict(one.tags) for one in page}
            token = page.token or ""
        return found

    def withdraw(self, version: str, *, reason: str) -> None:
        """Remove the challenger's alias from a version that was not swapped in; the version stays, with the reason.

        A champion that a server rejected keeps its reason."""
        with translated(f"registered model {self.name!r}"):
            self._release(version)
            if self.holder(CHAMPION) != version:
                self.client.set_model_version_tag(self.name, version, "driftloop.reason", reason)

    def forget(self, version: str) -> None:
        """Delete a version that was never served."""
        with translated(f"registered model {self.name!r}"):
            self._release(version)
            self.client.delete_model_version(self.name, version)

    def knows(self, run_id: str) -> bool:
        """Whether a run is one of this store."""
        with translated(f"run {run_id}"):
            try:
                self.client.get_run(run_id)
            except MlflowException as exc:
                if exc.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return False
                raise
        return True

    def describe(self, version: str, text: str) -> None:
        """Set a version's description."""
        with translated(f"registered model {self.name!r}"):
            self.client.update_model_version(self.name, version, text)

    def describe_model(self, text: str) -> None:
        """Set the registered model's description if it has none."""
        with translated(f"registered model {self.name!r}"):
            if not self.client.get_registered_model(self.name).description:
                self.client.update_registered_model(self.name, text)

    def holder(self, alias: str) -> str | None:
        """The version with an alias; None when there is no such model or alias."""
        with translated(f"registered model {self.name!r}"):
            try:
                return str(self.client.get_model_version_by_alias(self.name, alias).version)
            except MlflowException as exc:
                if exc.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:  # no such model, no such alias
                    return None
                raise

    def run_of(self, version: str) -> str:
        """The run that trained a version.

        Raises:
            TrackingError: there is no such version.
        """
        with translated(f"registered model {self.name!r}, version {version}"):
            return str(self.client.get_model_version(self.name, version).run_id)

    def trained(self, version: str = "", *, instead: str = "") -> tuple[str, str]:
        """A version, by default the champion, and the run that trained it.

        Args:
            version: to look up; "": the champion.
            instead: a flag to suggest without a champion, such as "--version".

        Raises:
            TrackingError: there is no such version, or no champion.
        """
        found = version or self.holder(CHAMPION)
        if not found:
            raise TrackingError(f"{self._without_champion()}{f', or give {instead}' if instead else ''}")
        return found, self.run_of(found)

    def _without_champion(self) -> str:
        """Why there is no champion, and what to do."""
        with translated("registered models"):
            exists, known = self._exists(), [found.name for found in self.client.search_registered_models(max_results=12)]
        if exists:
            return f"registered model {self.name!r} has no champion: deploy it first, such as with python lifecycle.py --register_model_name {self.name}"
        there = f"registered are {', '.join(known)}" if known else "none is registered"
        return f"there is no registered model {self.name!r}: {there}: train and deploy one first, such as with python lifecycle.py"

    def version_of(self, run_id: str) -> str | None:
        """The newest version that this run trained, or None."""
        with translated(f"registered model {self.name!r}"):
            found = self.client.search_model_versions(f"name = '{self.name}' and run_id = '{run_id}'")
        return str(max(int(version.version) for version in found)) if found else None
