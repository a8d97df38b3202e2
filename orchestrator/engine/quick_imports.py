"""Imports large packages without Python's search for reference cycles, which takes a
quarter of their time.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import within; what was imported is never searched, nor taken down object by
    object when the process ends.

    Raises:
        KeyboardInterrupt: the process was interrupted meanwhile, also where a package
            caught that and went on.
    """
    gc.disable()
    try:
        with _remembering_interruptions():
            yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _remembering_interruptions() -> Iterator[None]:
    """Raise KeyboardInterrupt again at the end: packages try optional imports, and some
    catch whatever happens then.
    """
    # Elsewhere Python neither gets nor sets signals.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.default_int_handler(number, frame)

    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [getattr(signal, name) for name in names]
    taken = [number for number in numbers if signal.getsignal(number) is signal.default_int_handler]
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.default_int_handler)
    if received:
        raise KeyboardInterrupt
