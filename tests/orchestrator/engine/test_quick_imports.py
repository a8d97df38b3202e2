"""Imports of large packages: an interruption meanwhile is never lost."""

from __future__ import annotations

import contextlib
import gc
import signal

import pytest

from orchestrator.engine.quick_imports import loading


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interruption_that_a_package_swallows_is_raised_in_the_end(name: str) -> None:
    """A bare `except` around an optional import does not turn Ctrl-C into a run that goes on."""
    number, went_on = getattr(signal, name), []

    def load() -> None:
        with loading():
            with contextlib.suppress(BaseException):
                signal.raise_signal(number)
            went_on.append(True)

    earlier = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            load()
        assert went_on
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, earlier)
    assert gc.isenabled()


def test_a_handler_of_somebody_else_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """Who handles a signal otherwise goes on to do so."""
    earlier = signal.signal(signal.SIGINT, lambda *_: print("handled"))
    try:
        with loading():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, earlier)
    assert capsys.readouterr().out == "handled\n"
