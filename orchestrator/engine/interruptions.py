"""Interruptions, Ctrl-C and SIGTERM, that cannot get lost."""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_received, _noted = threading.Event(), threading.Event()


@contextlib.contextmanager
def insisting(every: float = 2.0, before: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt in what runs within, and again `every` so many
    seconds until it has been `noted` or has ended the block: it may strike where an exception goes
    nowhere, such as a callback of an event loop, a finalizer, or a call of which nobody asks the
    result. Each time `before` is called before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # elsewhere Python neither gets nor sets signals
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        _received.set()
        before()
        signal.default_int_handler(number, frame)

    def insist() -> None:
        _received.wait()
        while not _noted.wait(every):
            _interrupt_main()

    _received.clear()
    _noted.clear()
    earlier = {number: signal.signal(number, interrupt) for number in _NUMBERS}
    threading.Thread(target=insist, daemon=True).start()
    try:
        yield
    finally:
        _noted.set()
        _received.set()
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def noting() -> Iterator[None]:
    """Note an interruption that passes through here: from now on it will not get lost.

    Raises:
        KeyboardInterrupt: also where whoever was interrupted within made another error of it, or
            went on.
    """
    try:
        yield
    except KeyboardInterrupt:
        _noted.set()
        raise
    except BaseException as error:
        if _is_lost():
            _noted.set()
            raise KeyboardInterrupt from error
        raise
    if _is_lost():
        _noted.set()
        raise KeyboardInterrupt


def _is_lost() -> bool:
    return _received.is_set() and not _noted.is_set()


def _interrupt_main() -> None:
    """Interrupt the main thread, even while it waits for the operating system."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


_NUMBERS = (signal.SIGINT, signal.SIGTERM)
