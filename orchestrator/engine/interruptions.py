"""Interruptions, Ctrl-C and SIGTERM, that cannot get lost."""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_noted = threading.Event()


@contextlib.contextmanager
def insisting(every: float = 2.0) -> Iterator[None]:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt in what runs within, and again `every` so many
    seconds until it has been `noted`: it may strike where an exception goes nowhere, such as a
    callback of an event loop, a finalizer, or a call of which nobody asks the result.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # elsewhere Python neither gets nor sets signals
        return
    received = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.set()
        signal.default_int_handler(number, frame)

    def insist() -> None:
        received.wait()
        while not _noted.wait(every):
            _interrupt_main()

    _noted.clear()
    earlier = {number: signal.signal(number, interrupt) for number in _NUMBERS}
    threading.Thread(target=insist, daemon=True).start()
    try:
        yield
    finally:
        _noted.set()
        received.set()
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def noting() -> Iterator[None]:
    """Note an interruption that passes through here: from now on it will not get lost."""
    try:
        yield
    except KeyboardInterrupt:
        _noted.set()
        raise


def _interrupt_main() -> None:
    """Interrupt the main thread, even while it waits for the operating system."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


_NUMBERS = (signal.SIGINT, signal.SIGTERM)
