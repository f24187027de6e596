"""The loop over a served model: predict, score, judge, retrain, swap; and the work of the scripts at the root.

Called as a function, `driftloop.watch(frame, target=…, prediction=…)`, it judges a table of predictions that any model made: its arguments and
its answer are those of `driftloop.predictions.frame_watch.watch`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from driftloop.predictions.frame_watch import FrameWatch


class CallableRoom(ModuleType):
    """A module that can be called: importing any module of this room binds its name in `driftloop`, where people call `watch`."""

    def __call__(self, frame: Any, **settings: Any) -> FrameWatch:
        """See `driftloop.predictions.frame_watch.watch`."""
        from driftloop.predictions.frame_watch import watch  # here, because --help of the scripts imports this room

        return watch(frame, **settings)


sys.modules[__name__].__class__ = CallableRoom
