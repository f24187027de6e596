"""Each decision on which version serves, as a tag of the version that serves after it.

A tag holds one decision as JSON, under a name made of its time: so writing it again after a crash changes nothing, and any MLflow store can
hold it. A decision that a swap could not carry out is replaced by the refusal, under the same name.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Final

from driftloop.errors import DataError
from driftloop.settings import ASKED_BY
from driftloop.tracking.registry import CHAMPION, Registry

DEPLOYED, PROMOTED, ROLLED_BACK, REFUSED = "deployed", "promoted", "rolled back", "refused"
TAG: Final = "driftloop.promotion."
LONGEST: Final = 2000  # characters of a reason


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """One decision on which version serves.

    >>> made = Promotion(action=REFUSED, why="no better", who="ann", script="retrain_model.py", at="2026-01-02T03:04:05.000006Z")
    >>> Promotion.read(made.text()) == made
    True
    """

    action: str  # deployed; promoted; rolled back: an earlier version serves again; refused: the version in service stays
    why: str
    who: str  # the person, or what asked for it
    script: str
    at: str  # UTC
    before: str = ""  # the version in service before; "" for the first
    after: str = ""  # the version in service after
    run_id: str = ""  # of the model that was decided on
    evidence: dict[str, Any] = field(default_factory=dict)  # the test's name, its figures, its level
    rows: tuple[int, int] | None = None  # of the stream: the first on which both models were compared, and the row after the last

    def text(self) -> str:
        """The value of its tag."""
        return json.dumps(asdict(self))

    @staticmethod
    def read(text: str) -> Promotion:
        """The decision of a tag's value.

        Raises:
            DataError: it is none.
        """
        try:
            values = json.loads(text)
            known = {one.name: values[one.name] for one in fields(Promotion) if one.name in values}
            return Promotion(**known | {"rows": tuple(known["rows"]) if known.get("rows") else None})
        except (ValueError, TypeError, KeyError) as exc:
            raise DataError(f"this is no entry of the promotion log ({exc}): {text:.80}") from exc


def person() -> str:
    """Who is asking: the value of the environment variable `ASKED_BY`, else the user."""
    try:
        return os.environ.get(ASKED_BY) or getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"


def made(action: str, *, why: str, script: str, run_id: str = "", evidence: Mapping[str, Any] | None = None, rows: tuple[int, int] | None = None) -> Promotion:
    """A decision, made now by the current person."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return Promotion(action=action, why=why[:LONGEST], who=person(), script=script, at=now, run_id=run_id, evidence=dict(evidence or {}), rows=rows)


def carry_out(registry: Registry, decision: Promotion) -> None:
    """Move the aliases as decided and log it; may be repeated. A champion that stays is not logged.

    Raises:
        TrackingError: the registry is unreachable or rejects the change.
    """
    logged = {TAG + decision.at: decision.text()} if decision.before != decision.after else {}
    move = registry.roll_back if decision.action == ROLLED_BACK else registry.promote
    move(decision.after, reason=decision.why, tags=logged)


def refuse(registry: Registry, decision: Promotion, *, why: str = "") -> None:
    """Log that the version in service stays, on that version; without one there is nothing to log on.

    Args:
        registry: of the model.
        decision: what was decided on; a decision that was noted already is replaced.
        why: overrules its reason.

    Raises:
        TrackingError: the registry is unreachable or rejects the change.
    """
    champion = registry.holder(CHAMPION)
    if decision.after and decision.after != champion:
        registry.untag(decision.after, TAG + decision.at)
    if champion:
        stays = replace(decision, action=REFUSED, why=(why or decision.why)[:LONGEST], before=champion, after=champion)
        registry.tag(champion, {TAG + decision.at: stays.text()})


def newest_first(registry: Registry) -> list[Promotion]:
    """All logged decisions of a registered model; empty where there is none.

    Raises:
        TrackingError: the registry is unreachable.
        DataError: a tag of ours holds something else.
    """
    found = [Promotion.read(value) for tags in registry.tags_of_versions() for name, value in tags.items() if name.startswith(TAG)]
    return sorted(found, key=lambda one: one.at, reverse=True)
