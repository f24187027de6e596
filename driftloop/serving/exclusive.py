"""A lock that keeps a second process from changing what is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driftloop.errors import ServingError, SettingsError
from driftloop.system import lock


@contextmanager
def alone(path: Path, *, taken: str) -> Iterator[None]:
    """Hold a file's lock.

    Raises:
        ServingError: another process holds it (message `taken`), or it cannot be locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = lock.hold(path, taken=taken)
    except SettingsError as exc:
        raise ServingError(str(exc)) from exc
    except OSError as exc:
        raise ServingError(f"{path} cannot be locked: {exc}; make room there or fix its permissions") from exc
    with held:
        yield
