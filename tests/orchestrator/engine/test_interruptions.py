"""An interruption that goes nowhere is raised again, until somebody has noted it."""

from __future__ import annotations

import contextlib
import signal
import time

import pytest

from orchestrator.engine.interruptions import insisting, noting


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_what_is_swallowed_is_raised_again_even_while_one_waits(name: str) -> None:
    """The handlers that were there before are there again."""
    number = getattr(signal, name)
    earlier = signal.getsignal(number)

    def work() -> None:
        with insisting(every=0.1):
            with contextlib.suppress(BaseException):
                signal.raise_signal(number)
            time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert signal.getsignal(number) is earlier


def test_what_became_another_error_is_an_interruption_again() -> None:
    """As where a package puts right what it was interrupted in, and fails at that."""

    def work() -> None:
        with insisting(), noting():
            try:
                signal.raise_signal(signal.SIGTERM)
            except BaseException as error:
                raise ValueError("not begun") from error

    with pytest.raises(KeyboardInterrupt):
        work()


def test_what_was_noted_is_raised_once() -> None:
    """What is written after an interruption is not interrupted by it."""
    with insisting(every=0.1):
        with contextlib.suppress(KeyboardInterrupt), noting():
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.5)
    time.sleep(0.2)
