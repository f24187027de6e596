"""Turns Ctrl-C and SIGTERM into exceptions that unwind the script, and raises them again when they get lost.

Python sometimes loses one. An exception raised in a destructor or in a weak reference's callback is dropped; a library may catch it;
and one raised right after a lock was acquired, before the `with` block starts, leaves the lock held, so that the cleanup waits for
it forever. So a thread records each signal and sends it again until the script ends, which also interrupts waiting for a lock.
Compiled code that calls Python may replace the exception by its own error, so an error after a signal counts as the signal.
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

AGAIN_S = 20.0  # cleanup takes some seconds; a TorchServe that ignores SIGTERM is killed after ten
_DROPPED_AGAIN_S: Final = 0.05  # a little later: raised where an exception was dropped, it would be dropped as well
_DROPPED: Final = 0x80  # besides the signal's number: Python reported that it dropped the exception


class Terminated(SystemExit):
    """SIGTERM, unwound like Ctrl-C."""


@contextlib.contextmanager
def signals_unwind() -> Iterator[None]:
    """Inside, SIGINT raises KeyboardInterrupt and SIGTERM raises `Terminated`, in the main thread.

    A second SIGTERM is ignored, so that it does not interrupt the cleanup. SIGINT stays ignored where it was, as in a shell's
    background job.
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
    """Raise the signal's exception, from the resulting error; return when no signal has arrived."""
    if _Watch.current is not None and _Watch.current.number:
        if isinstance(error, KeyboardInterrupt | Terminated):
            raise error
        raise (KeyboardInterrupt() if _Watch.current.number == signal.SIGINT else Terminated(EXIT_TERMINATED)) from error


class _Watch:
    """Records the signals, and resends one that has not ended the script.

    The handler only writes to a pipe: it must not take a lock, which the interrupted code could hold.
    """

    current: ClassVar[_Watch | None] = None  # of the innermost `signals_unwind`

    def __init__(self) -> None:
        self.number = 0  # of the newest signal
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
        """Python's hook for dropped exceptions."""
        if issubclass(lost.exc_type, KeyboardInterrupt | Terminated):
            number = signal.SIGINT if issubclass(lost.exc_type, KeyboardInterrupt) else signal.SIGTERM
            os.write(self._writer, bytes([number | _DROPPED]))
        else:
            sys.__unraisablehook__(lost)

    def close(self) -> None:
        """Stop resending."""
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
