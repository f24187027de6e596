"""Ctrl-C and SIGTERM as exceptions that unwind the script, and that are raised again when they get lost.

Python's own way loses one now and then. An exception that is raised in a destructor or in a weak reference's callback is dropped; a
library may catch it; and one that comes just when a lock was taken, before the `with` has begun, leaves the lock taken, so that the
cleaning waits for it for ever. So a thread of ours knows when a signal came, and sends it again while the script has not ended:
waiting for a lock is ended by it, too. And compiled code that calls Python now and then makes an error of its own out of the exception, so an
error after a signal counts as the signal.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import ClassVar, Final

from driftloop.errors import EXIT_TERMINATED

AGAIN_S = 20.0  # cleaning takes some seconds; a TorchServe that does not listen to SIGTERM is killed after ten
_DROPPED_AGAIN_S: Final = 0.05  # a little later, for what is raised where an exception was dropped would be dropped as well
_DROPPED: Final = 0x80  # beside the signal's number: Python has told that it dropped the exception


class Terminated(SystemExit):
    """SIGTERM, unwound like Ctrl-C."""


@contextlib.contextmanager
def signals_unwind() -> Iterator[None]:
    """Inside, SIGINT raises KeyboardInterrupt and SIGTERM raises `Terminated`, in the main thread.

    A second SIGTERM is ignored, so that it does not cut the cleaning short. SIGINT stays ignored where it was, as in a job that a shell
    has put into the background.
    """
    watch = _Watch()
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, watch.stop) for number in numbers}
    hook = sys.unraisablehook
    sys.unraisablehook = watch.dropped
    outer, _Watch.current = _Watch.current, watch
    try:
        yield
    except Exception as exc:
        raise_again(exc)
        raise
    finally:
        _Watch.current = outer
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
        watch.close()


def came() -> bool:
    """Whether a signal has come since `signals_unwind` began."""
    return _Watch.current is not None and _Watch.current.number != 0


def raise_again(error: BaseException) -> None:
    """Raise what the signal raised, from the error that came of it; return when no signal has come."""
    if _Watch.current is not None and _Watch.current.number:
        if isinstance(error, KeyboardInterrupt | Terminated):
            raise error
        raise (KeyboardInterrupt() if _Watch.current.number == signal.SIGINT else Terminated(EXIT_TERMINATED)) from error


class _Watch:
    """Knows which signals came, and sends one again that has not ended the script.

    The handler only writes into a pipe: it may not take a lock, which the code that it interrupts could hold.
    """

    current: ClassVar[_Watch | None] = None  # of the innermost `signals_unwind`

    def __init__(self) -> None:
        self.number = 0  # of the newest signal that has come
        self._terminated = self._insists = False
        self._reader, self._writer = os.pipe()
        self._thread = threading.Thread(target=self._insist, name="stopping", daemon=True)
        self._thread.start()

    def stop(self, number: int, _: FrameType | None) -> None:
        """The handler of both signals."""
        self.number = number
        os.write(self._writer, bytes([number]))
        insists, self._insists = self._insists, False
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if insists or not self._terminated:
            self._terminated = True
            raise Terminated(EXIT_TERMINATED)

    def dropped(self, lost: sys.UnraisableHookArgs) -> None:
        """Python's hook for an exception that it drops."""
        if issubclass(lost.exc_type, KeyboardInterrupt | Terminated):
            number = signal.SIGINT if issubclass(lost.exc_type, KeyboardInterrupt) else signal.SIGTERM
            os.write(self._writer, bytes([number | _DROPPED]))
        else:
            sys.__unraisablehook__(lost)

    def close(self) -> None:
        """Send nothing any more."""
        os.write(self._writer, b"\0")
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def _insist(self) -> None:
        number, wait = 0, None
        while True:
            if select.select([self._reader], [], [], wait)[0]:
                (told,) = os.read(self._reader, 1)
                if not told:
                    return
                number, wait = told & ~_DROPPED, _DROPPED_AGAIN_S if told & _DROPPED else AGAIN_S
            else:
                self._insists = True
                os.kill(os.getpid(), number)
                wait = AGAIN_S
